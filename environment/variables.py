"""What each consumer is told, as environment variables. File names are relative to the deploy root.

Names and meanings: the server's config_template_embedded.yaml and cmd/server, ui-server's config/docker.yaml, and
the environment configuration that every SDK and the CLI share. The server and an SDK understand
TEMPORAL_TLS_SERVER_CA_CERT_DATA differently (the clients' authority to one, the server's to the other), so
environments of two consumers never belong in one shell.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from environment.files import CLI, SERVER, SLOTS, UI, Consumer, Document, worker

_SERVICES = ("frontend", "history", "matching", "worker")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What the stack decides about Temporal.

    `frontend_address` is where clients reach the frontend (host:port), `server_name` the DNS name in the server's
    certificate. `internode_authority` issues that certificate, `client_authorities` those of UI, CLI and workers.
    The server reads certificates and client authorities again every `refresh_interval`; what ends within a window is
    logged (and counted in metrics) every `expiry_check_interval`, as an error within `expiry_error_window`.
    """

    internode_authority: str
    client_authorities: tuple[str, ...]
    frontend_address: str = "127.0.0.1:7233"
    server_name: str = "temporal.internal"
    namespace: str = "default"
    refresh_interval: timedelta = timedelta(minutes=5)
    expiry_warning_window: timedelta = timedelta(days=21)
    expiry_error_window: timedelta = timedelta(days=7)
    expiry_check_interval: timedelta = timedelta(hours=1)


def server_environment(deployment: Deployment) -> dict[str, str]:
    """The public frontend, history, matching and the system worker: the frontend admits client certificates alone."""
    return _process(deployment, services=_SERVICES, admitted=deployment.client_authorities)


def internal_frontend_environment(deployment: Deployment) -> dict[str, str]:
    """The internal frontend, to which every caller is an administrator: it admits the cluster's certificate."""
    return _process(deployment, services=("internal-frontend",), admitted=(deployment.internode_authority,))


def ui_environment(deployment: Deployment) -> dict[str, str]:
    return {
        "TEMPORAL_ADDRESS": deployment.frontend_address,
        "TEMPORAL_DEFAULT_NAMESPACE": deployment.namespace,
        "TEMPORAL_TLS_CA": UI.bundle_path(deployment.internode_authority),
        "TEMPORAL_TLS_CERT": UI.certificate_path,
        "TEMPORAL_TLS_KEY": UI.private_key_path,
        "TEMPORAL_TLS_SERVER_NAME": deployment.server_name,
        "TEMPORAL_TLS_ENABLE_HOST_VERIFICATION": "true",
    }


def cli_environment(deployment: Deployment) -> dict[str, str]:
    return _client(deployment, CLI)


def worker_environment(deployment: Deployment, name: str) -> dict[str, str]:
    """For the worker whose certificate is called `name`: `temporalio.envconfig` and its like need nothing else."""
    return _client(deployment, worker(name))


def _process(deployment: Deployment, *, services: Iterable[str], admitted: Iterable[str]) -> dict[str, str]:
    internode_a, internode_b = (SERVER.slot_path(deployment.internode_authority, slot) for slot in SLOTS)
    client_slots = [SERVER.slot_path(authority, slot) for authority in admitted for slot in SLOTS]
    return {
        "TEMPORAL_SERVICES": ",".join(services),
        "TEMPORAL_SERVER_CONFIG_FILE_PATH": SERVER.document_path(Document.SERVER_CONFIG),
        "DYNAMIC_CONFIG_FILE_PATH": SERVER.document_path(Document.DYNAMIC_CONFIG),
        "USE_INTERNAL_FRONTEND": "true",
        # Without sign-on whoever holds a client certificate is an administrator, and the server wants that said.
        "TEMPORAL_ALLOW_NO_AUTH": "true",
        "TEMPORAL_TLS_REQUIRE_CLIENT_AUTH": "true",
        "TEMPORAL_TLS_SERVER_CERT": SERVER.certificate_path,
        "TEMPORAL_TLS_SERVER_KEY": SERVER.private_key_path,
        "TEMPORAL_TLS_FRONTEND_CERT": SERVER.certificate_path,
        "TEMPORAL_TLS_FRONTEND_KEY": SERVER.private_key_path,
        "TEMPORAL_TLS_SERVER_CA_CERT": internode_a,
        "TEMPORAL_TLS_SERVER2_CA_CERT": internode_b,
        **{f"TEMPORAL_TLS_CLIENT{number}_CA_CERT": path for number, path in enumerate(client_slots, start=1)},
        "TEMPORAL_TLS_INTERNODE_SERVER_NAME": deployment.server_name,
        "TEMPORAL_TLS_FRONTEND_SERVER_NAME": deployment.server_name,
        "TEMPORAL_TLS_REFRESH_INTERVAL": _duration(deployment.refresh_interval),
        "TEMPORAL_TLS_EXPIRATION_CHECKS_WARNING_WINDOW": _duration(deployment.expiry_warning_window),
        "TEMPORAL_TLS_EXPIRATION_CHECKS_ERROR_WINDOW": _duration(deployment.expiry_error_window),
        "TEMPORAL_TLS_EXPIRATION_CHECKS_CHECK_INTERVAL": _duration(deployment.expiry_check_interval),
    }


def _client(deployment: Deployment, consumer: Consumer) -> dict[str, str]:
    return {
        "TEMPORAL_ADDRESS": deployment.frontend_address,
        "TEMPORAL_NAMESPACE": deployment.namespace,
        "TEMPORAL_TLS": "true",
        "TEMPORAL_TLS_CLIENT_CERT_PATH": consumer.certificate_path,
        "TEMPORAL_TLS_CLIENT_KEY_PATH": consumer.private_key_path,
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": consumer.bundle_path(deployment.internode_authority),
        "TEMPORAL_TLS_SERVER_NAME": deployment.server_name,
    }


def _duration(value: timedelta) -> str:
    """As Go's time.ParseDuration reads it, in the largest unit that fits."""
    units = {"h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}
    name, unit = next((item for item in units.items() if not value % item[1]), ("ms", timedelta(milliseconds=1)))
    return f"{value // unit}{name}"
