"""What each consumer is told, as environment variables. File names are relative to the deploy root.

Names and meanings: the server's config_template_embedded.yaml and cmd/server, ui-server's config/docker.yaml, and
the environment configuration that every SDK and the CLI share. The server and an SDK understand
TEMPORAL_TLS_SERVER_CA_CERT_DATA differently (the clients' authority to one, the server's to the other), so
environments of two consumers never belong in one shell.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, Self, TypeAlias
from urllib.parse import urlsplit

from environment.files import CLI, SERVER, UI, Consumer, Document, worker
from environment.trust import Trust

Value: TypeAlias = Any
"""A variable's text, or what an engine will have it from later: such a value is placed as it comes, and never read."""

_SERVICES = ("frontend", "history", "matching", "worker")


class SignOn(Protocol):
    """Where people and workers get their tokens, and how the server tells a good one."""

    @property
    def issuer(self) -> str:
        """The claim `iss`, below which the UI discovers the rest."""

    @property
    def keys_url(self) -> str:
        """Where the keys are that tokens are signed with."""

    @property
    def client_id(self) -> Value:
        """The UI's, and the claim `aud`."""

    @property
    def client_secret(self) -> Value:
        """The UI's. A secret, and the only one here beside those of workers."""

    @property
    def scopes(self) -> Value:
        """What the UI asks for, separated by commas."""

    @property
    def token_scope(self) -> Value:
        """What a worker asks for."""

    @property
    def ui_url(self) -> str: ...

    @property
    def callback_url(self) -> str: ...

    @property
    def worker_variables(self) -> Mapping[str, Mapping[str, Value]]:
        """What each worker signs in with, by its name: the variables that azure-identity reads."""


class Client(Protocol):
    """The name that a client asks the server's certificate for, and its namespace."""

    @property
    def server_name(self) -> str: ...

    @property
    def namespace(self) -> str: ...


class Frontend(Protocol):
    """Where clients find Temporal, under which name, and where they work unless they say otherwise."""

    @property
    def address(self) -> str: ...

    @property
    def server_name(self) -> str: ...

    @property
    def namespace(self) -> str: ...


class Stack(Protocol):
    """What a stack has decided: `Deployment` says what each of these is."""

    @property
    def internode_authority(self) -> str: ...

    @property
    def client_authorities(self) -> tuple[str, ...]: ...

    @property
    def host_overrides(self) -> Mapping[str, tuple[str, ...]]: ...

    @property
    def trusted_generations(self) -> Mapping[str, int]: ...

    @property
    def clients(self) -> Mapping[str, Client]: ...

    @property
    def frontend(self) -> Frontend: ...


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What the stack decides about Temporal.

    `frontend_address` is where clients reach the frontend (host:port), `server_name` the DNS name in the server's
    certificate. `internode_authority` issues that certificate; the frontend admits clients of `client_authorities`, and
    under each name in `host_overrides` those of the authorities there instead. `generations` says how many of an
    authority are trusted, two at most of one that it does not name. `clients` has those, by their certificates, that
    may differ from `server_name` and `namespace`.
    Without `sign_on` whoever holds a client certificate is an administrator.
    The server reads certificates and client authorities again every `refresh_interval`; what ends within a window is
    logged (and counted in metrics) every `expiry_check_interval`, as an error within `expiry_error_window`. The keys of
    tokens are read again every `keys_refresh_interval`, and never because a token has an unknown one.
    """

    internode_authority: str
    client_authorities: tuple[str, ...]
    frontend_address: str = "127.0.0.1:7233"
    server_name: str = "temporal.internal"
    namespace: str = "default"
    host_overrides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    generations: Mapping[str, int] = field(default_factory=dict)
    clients: Mapping[str, Client] = field(default_factory=dict)
    sign_on: SignOn | None = None
    refresh_interval: timedelta = timedelta(minutes=5)
    expiry_warning_window: timedelta = timedelta(days=21)
    expiry_error_window: timedelta = timedelta(days=7)
    expiry_check_interval: timedelta = timedelta(hours=1)
    keys_refresh_interval: timedelta = timedelta(minutes=1)

    @classmethod
    def of(cls, stack: Stack, sign_on: SignOn | None) -> Self:
        """Return what a stack has decided, and everything else as it is by default."""
        return cls(
            internode_authority=stack.internode_authority,
            client_authorities=stack.client_authorities,
            host_overrides=stack.host_overrides,
            generations=stack.trusted_generations,
            clients=stack.clients,
            frontend_address=stack.frontend.address,
            server_name=stack.frontend.server_name,
            namespace=stack.frontend.namespace,
            sign_on=sign_on,
        )

    @property
    def trust(self) -> Trust:
        """Whom the server's listeners admit."""
        return Trust(
            internode=self.internode_authority,
            clients=self.client_authorities,
            hosts=self.host_overrides,
            generations=self.generations,
        )

    def client(self, certificate: str) -> "Client | Deployment":
        """How a client calls the server and where it works, by its certificate."""
        return self.clients.get(certificate, self)


def server_environment(deployment: Deployment) -> dict[str, Value]:
    """The public frontend, history, matching and the system worker: the frontend admits client certificates alone."""
    return _process(deployment, services=_SERVICES, internal=False)


def internal_frontend_environment(deployment: Deployment) -> dict[str, Value]:
    """The internal frontend, to which every caller is an administrator: it admits the cluster's certificate."""
    return _process(deployment, services=("internal-frontend",), internal=True)


def ui_environment(deployment: Deployment) -> dict[str, Value]:
    return {
        "TEMPORAL_ADDRESS": deployment.frontend_address,
        "TEMPORAL_DEFAULT_NAMESPACE": deployment.client(UI.certificate).namespace,
        "TEMPORAL_TLS_CA": UI.bundle_path(deployment.internode_authority),
        "TEMPORAL_TLS_CERT": UI.certificate_path,
        "TEMPORAL_TLS_KEY": UI.private_key_path,
        "TEMPORAL_TLS_SERVER_NAME": deployment.client(UI.certificate).server_name,
        "TEMPORAL_TLS_ENABLE_HOST_VERIFICATION": "true",
        **(_ui_sign_on(deployment.sign_on) if deployment.sign_on else {}),
    }


def cli_environment(deployment: Deployment) -> dict[str, Value]:
    return _client(deployment, CLI)


def worker_environment(deployment: Deployment, name: str) -> dict[str, Value]:
    """For the worker whose certificate is called `name`: `temporalio.envconfig` and its like, and azure-identity."""
    sign_on = deployment.sign_on
    token = {"TEMPORAL_TOKEN_SCOPE": sign_on.token_scope, **sign_on.worker_variables.get(name, {})} if sign_on else {}
    return _client(deployment, worker(name)) | token


def _process(deployment: Deployment, *, services: Iterable[str], internal: bool) -> dict[str, Value]:
    return {
        "TEMPORAL_SERVICES": ",".join(services),
        "TEMPORAL_SERVER_CONFIG_FILE_PATH": SERVER.document_path(Document.SERVER_CONFIG),
        "DYNAMIC_CONFIG_FILE_PATH": SERVER.document_path(Document.DYNAMIC_CONFIG),
        "USE_INTERNAL_FRONTEND": "true",
        **_authorization(deployment),
        "TEMPORAL_TLS_REQUIRE_CLIENT_AUTH": "true",
        "TEMPORAL_TLS_SERVER_CERT": SERVER.certificate_path,
        "TEMPORAL_TLS_SERVER_KEY": SERVER.private_key_path,
        "TEMPORAL_TLS_FRONTEND_CERT": SERVER.certificate_path,
        "TEMPORAL_TLS_FRONTEND_KEY": SERVER.private_key_path,
        **deployment.trust.environment(internal=internal),
        "TEMPORAL_TLS_INTERNODE_SERVER_NAME": deployment.server_name,
        "TEMPORAL_TLS_FRONTEND_SERVER_NAME": deployment.server_name,
        "TEMPORAL_TLS_REFRESH_INTERVAL": _duration(deployment.refresh_interval),
        "TEMPORAL_TLS_EXPIRATION_CHECKS_WARNING_WINDOW": _duration(deployment.expiry_warning_window),
        "TEMPORAL_TLS_EXPIRATION_CHECKS_ERROR_WINDOW": _duration(deployment.expiry_error_window),
        "TEMPORAL_TLS_EXPIRATION_CHECKS_CHECK_INTERVAL": _duration(deployment.expiry_check_interval),
    }


def _authorization(deployment: Deployment) -> dict[str, Value]:
    sign_on = deployment.sign_on
    if sign_on is None:
        # Whoever holds a client certificate is an administrator then, and the server wants that said.
        return {"TEMPORAL_ALLOW_NO_AUTH": "true"}
    return {
        "TEMPORAL_AUTH_AUTHORIZER": "default",
        "TEMPORAL_AUTH_CLAIM_MAPPER": "default",
        "TEMPORAL_JWT_KEY_SOURCE1": sign_on.keys_url,
        "TEMPORAL_JWT_KEY_REFRESH": _duration(deployment.keys_refresh_interval),
        "TEMPORAL_JWT_PERMISSIONS_CLAIM": "roles",
        # Of server.yaml's own making: no variable of the image's sets the audience.
        "TEMPORAL_JWT_AUDIENCE": sign_on.client_id,
    }


def _ui_sign_on(sign_on: SignOn) -> dict[str, Value]:
    return {
        "TEMPORAL_AUTH_ENABLED": "true",
        "TEMPORAL_AUTH_TYPE": "oidc",
        "TEMPORAL_AUTH_LABEL": "Entra ID",
        # Equal to the claim iss of every token, to the letter, or nobody can sign in.
        "TEMPORAL_AUTH_PROVIDER_URL": sign_on.issuer,
        "TEMPORAL_AUTH_ISSUER_URL": sign_on.issuer,
        "TEMPORAL_AUTH_CLIENT_ID": sign_on.client_id,
        "TEMPORAL_AUTH_CLIENT_SECRET": sign_on.client_secret,
        "TEMPORAL_AUTH_CALLBACK_URL": sign_on.callback_url,
        "TEMPORAL_AUTH_SCOPES": sign_on.scopes,
        "TEMPORAL_CORS_ORIGINS": _origin(sign_on.ui_url),
        # A browser does not send back over http what it was told to keep for https.
        "TEMPORAL_CSRF_COOKIE_INSECURE": "true" if sign_on.ui_url.startswith("http:") else "false",
    }


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _client(deployment: Deployment, consumer: Consumer) -> dict[str, Value]:
    return {
        "TEMPORAL_ADDRESS": deployment.frontend_address,
        "TEMPORAL_NAMESPACE": deployment.client(consumer.certificate).namespace,
        "TEMPORAL_TLS": "true",
        "TEMPORAL_TLS_CLIENT_CERT_PATH": consumer.certificate_path,
        "TEMPORAL_TLS_CLIENT_KEY_PATH": consumer.private_key_path,
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": consumer.bundle_path(deployment.internode_authority),
        "TEMPORAL_TLS_SERVER_NAME": deployment.client(consumer.certificate).server_name,
    }


def _duration(value: timedelta) -> str:
    """As Go's time.ParseDuration reads it, in the largest unit that fits."""
    units = {"h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}
    name, unit = next((item for item in units.items() if not value % item[1]), ("ms", timedelta(milliseconds=1)))
    return f"{value // unit}{name}"
