"""Which Azure, and who we are there: the order of ways, the addresses, and sessions that start over."""

import asyncio
import json
import os
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp.connector
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity.aio import (
    AzureCliCredential,
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
    ManagedIdentityCredential,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from cloud import CloudError, Endpoints, Identity, Principal, Session, discover
from cloud.identity import STACK_SETTINGS, claims_of, principal_of
from pki import Role, to_pem
from tests.certificates import authority_policy, issue, leaf_policy

TENANT = "10000000-0000-0000-0000-000000000001"
CLIENT = "20000000-0000-0000-0000-000000000002"
SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-111122223333"
APPLICATION = {"ARM_TENANT_ID": TENANT, "ARM_CLIENT_ID": CLIENT}
PATIENCE_SECONDS = 60

CLOUD = Endpoints(
    authority="https://login.microsoftonline.com",
    resource_manager="https://management.azure.com",
    resource_manager_audience="https://management.core.windows.net",
    key_vault_suffix="vault.azure.net",
    microsoft_graph="https://graph.microsoft.com",
)


# A server on loopback


@dataclass
class Asked:
    """A request that the server had."""

    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: dict[str, list[str]]


Answer = tuple[int, Any]


@dataclass
class Server:
    """Answers as `routes` say, by path."""

    port: int
    authority_file: Path
    routes: dict[str, Callable[[Asked], Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.host}"

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints(
            authority=self.url,
            resource_manager=self.url,
            resource_manager_audience=f"{self.url}/manage",
            key_vault_suffix="vault.test",
            microsoft_graph=f"{self.url}/graph",
        )

    def answers(self, path: str, answer: Any, status: int = 200) -> None:
        self.routes[path] = lambda _: (status, answer)


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    now, names = datetime.now(UTC), {"ip_addresses": ["127.0.0.1"]}
    authority = issue(authority_policy("unit tests"), now=now)
    leaf = issue(leaf_policy("server", role=Role.NODE, subject_alternative_names=names), authority, now=now)
    (folder / "ca.pem").write_text(to_pem(authority.certificate))
    key = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    (folder / "server.pem").write_text(to_pem(leaf.certificate) + key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = parse_qs(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
            request = Asked(parts.path, parse_qs(parts.query), dict(self.headers), body)
            running.asked.append(request)
            status, answer = running.routes.get(parts.path, _not_found)(request)
            sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        running = Server(server.server_address[1], folder / "ca.pem")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        server.shutdown()
        thread.join()


@pytest.fixture
def server(listening: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that this process trusts, with no routes yet."""
    listening.routes.clear()
    listening.asked.clear()
    trusting = ssl.create_default_context(cafile=str(listening.authority_file))
    # aiohttp reads SSL_CERT_FILE when it is imported.
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trusting)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(listening.authority_file))
    return listening


def _not_found(_: Asked) -> Answer:
    return 404, {"error": {"code": "NotFound"}}


def _token(**claims: Any) -> str:
    return jwt.encode({"oid": "caller", "tid": TENANT, **claims}, "k" * 32, "HS256")


# The ways to sign in


async def _kind(variables: Mapping[str, str]) -> type[Any]:
    credential = Identity.found(variables).credential(CLOUD)
    await credential.close()
    return type(credential)


async def test_the_first_way_that_is_configured_is_taken(tmp_path: Path) -> None:
    """The official plugin and ours would sign in as two identities, and one of them lacks the rights.

    The order is that of azure-native's `newSingleMethodAuthCredential`.
    """
    issued = issue(authority_policy(key_type="RSA-2048"))
    path = tmp_path / "application.pem"
    key = issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass")).decode()
    path.write_text(to_pem(issued.certificate) + key)
    ways: list[tuple[dict[str, str], type[Any]]] = [
        ({"ARM_USE_DEFAULT_AZURE_CREDENTIAL": "true"}, DefaultAzureCredential),
        (
            {"ARM_CLIENT_CERTIFICATE_PATH": str(path), "ARM_CLIENT_CERTIFICATE_PASSWORD": "pass"},
            CertificateCredential,
        ),
        ({"ARM_CLIENT_SECRET": "secret"}, ClientSecretCredential),
        ({"ARM_USE_OIDC": "true", "ARM_OIDC_TOKEN": "token"}, ClientAssertionCredential),
        ({"ARM_USE_MSI": "true"}, ManagedIdentityCredential),
        ({}, AzureCliCredential),
    ]
    for index, (own, kind) in enumerate(ways):
        assert await _kind(APPLICATION | own) is kind
        later = {name: value for way, _ in ways[index:] for name, value in way.items()}
        assert await _kind(APPLICATION | later) is kind


@pytest.mark.parametrize(("told", "used"), [("true", True), ("True", True), ("1", True), ("false", False), ("", False)])
async def test_a_way_is_switched_on_by_saying_so(told: str, used: bool) -> None:
    assert (await _kind(APPLICATION | {"ARM_USE_MSI": told}) is ManagedIdentityCredential) is used


@pytest.mark.parametrize("missing", ["ARM_TENANT_ID", "ARM_CLIENT_ID"])
@pytest.mark.parametrize(
    "way",
    [{"ARM_CLIENT_CERTIFICATE_PATH": "a.pem"}, {"ARM_CLIENT_SECRET": "s"}, {"ARM_USE_OIDC": "true"}],
    ids=["certificate", "secret", "OIDC"],
)
def test_a_way_that_lacks_something_says_what(way: dict[str, str], missing: str) -> None:
    """Falling through to the next way would sign in as somebody else."""
    variables = {name: value for name, value in APPLICATION.items() if name != missing} | way
    with pytest.raises(CloudError, match=f"needs {missing}, which is not set"):
        Identity.found(variables).credential(CLOUD)


@pytest.mark.parametrize(
    "variables",
    [
        APPLICATION | {"ARM_CLIENT_CERTIFICATE_PATH": "/nowhere/application.pem"},
        APPLICATION | {"ARM_CLIENT_CERTIFICATE_PATH": os.devnull},
        APPLICATION | {"ARM_TENANT_ID": "no tenant", "ARM_CLIENT_SECRET": "s"},
        {"ARM_TENANT_ID": "no tenant"},
        {"ARM_SUBSCRIPTION_ID": "a;b"},
    ],
    ids=["no file", "empty file", "tenant", "tenant for the CLI", "subscription for the CLI"],
)
def test_a_way_that_cannot_work_is_a_message(variables: dict[str, str]) -> None:
    """A typing error in a variable would be a traceback of azure-identity."""
    with pytest.raises(CloudError, match=r"cannot work: .*Nothing was asked"):
        Identity.found(variables).credential(CLOUD)


async def test_the_azure_cli_is_asked_for_the_tenant_or_else_the_subscriptions() -> None:
    """The CLI takes one of the two; with neither it is the account that it is set to."""
    for variables, tenant, subscription in (
        ({"ARM_TENANT_ID": TENANT, "ARM_SUBSCRIPTION_ID": SUBSCRIPTION}, TENANT, None),
        ({"ARM_SUBSCRIPTION_ID": SUBSCRIPTION}, "", SUBSCRIPTION),
        ({}, "", None),
    ):
        credential = Identity.found(variables).credential(CLOUD)
        assert isinstance(credential, AzureCliCredential)
        assert (credential.tenant_id, credential.subscription) == (tenant, subscription)
        await credential.close()


def test_the_stacks_settings_come_before_the_environment() -> None:
    """A stack that names its tenant is not deployed to the one that a shell happens to name."""
    environ = {"ARM_TENANT_ID": "environment", "ARM_CLIENT_ID": CLIENT, "ARM_SUBSCRIPTION_ID": "environment"}
    identity = Identity.found(environ, {"tenantId": "stack", "subscriptionId": "", "environment": "china"})
    assert identity.variables["ARM_TENANT_ID"] == "stack"
    assert identity.subscription_id == "environment"
    assert identity.environment == "china"
    assert identity.variables["ARM_CLIENT_ID"] == CLIENT


def test_no_credential_is_a_stacks_setting() -> None:
    """It would lie in the repository, and in the state."""
    assert not [name for name in STACK_SETTINGS if "secret" in name.lower() or "password" in name.lower()]
    assert "oidcToken" not in STACK_SETTINGS
    assert len(set(STACK_SETTINGS.values())) == len(STACK_SETTINGS)


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "public"),
        ({"AZURE_ENVIRONMENT": "china"}, "china"),
        ({"AZURE_ENVIRONMENT": "china", "ARM_ENVIRONMENT": "usgovernment"}, "usgovernment"),
        ({"ARM_ENVIRONMENT": ""}, "public"),
    ],
)
def test_the_cloud_is_public_unless_told(variables: dict[str, str], name: str) -> None:
    assert Identity.found(variables).environment == name


def test_an_identity_does_not_show_its_secrets() -> None:
    """It ends up in a traceback, and that in a log."""
    secrets = {
        "ARM_CLIENT_SECRET": "hunter2-secret",
        "ARM_CLIENT_CERTIFICATE_PASSWORD": "hunter2-password",
        "ARM_OIDC_TOKEN": "hunter2-token",
        "ARM_OIDC_REQUEST_TOKEN": "hunter2-request",
    }
    identity = Identity.found(APPLICATION | secrets)
    session = Session(identity, CLOUD)
    for shown in (repr(identity), str(identity), f"{identity!r}", repr(session), repr(identity.credential(CLOUD))):
        assert "hunter2" not in shown


# OIDC


TOKEN_PATH = f"/{TENANT}/oauth2/v2.0/token"
REQUEST = {"ARM_OIDC_REQUEST_URL": "{}/oidc?api-version=2.0", "ARM_OIDC_REQUEST_TOKEN": "request-token"}


@pytest.fixture
def entra(server: Server) -> Server:
    """A sign-in service that takes every assertion."""
    server.answers(TOKEN_PATH, {"access_token": _token(), "token_type": "Bearer", "expires_in": 3600})
    server.answers("/oidc", {"value": "requested"})
    return server


async def _assertion(server: Server, variables: Mapping[str, str]) -> str:
    """Sign in with OIDC, and return what proved who it is."""
    told = {name: value.format(server.url) for name, value in variables.items()}
    identity = Identity.found(APPLICATION | {"ARM_USE_OIDC": "true", "ARM_DISABLE_INSTANCE_DISCOVERY": "true"} | told)
    async with identity.credential(server.endpoints) as credential:
        token = await credential.get_token("https://vault.azure.net/.default")
    assert principal_of(claims_of(token.token)).object_id == "caller"
    [asked] = [request for request in server.asked if request.path == TOKEN_PATH]
    assert asked.body["client_id"] == [CLIENT]
    return asked.body["client_assertion"][0]


async def test_a_token_is_taken_first(entra: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("file")
    told = {"ARM_OIDC_TOKEN": "given", "ARM_OIDC_TOKEN_FILE_PATH": str(tmp_path / "token")} | REQUEST
    assert await _assertion(entra, told) == "given"


async def test_a_tokens_file_is_taken_next(entra: Server, tmp_path: Path) -> None:
    """Kubernetes writes it anew each hour, with a line's end."""
    (tmp_path / "token").write_text("file\n")
    assert await _assertion(entra, {"ARM_OIDC_TOKEN_FILE_PATH": str(tmp_path / "token")} | REQUEST) == "file"


async def test_a_tokens_file_is_read_for_each_sign_in(entra: Server, tmp_path: Path) -> None:
    """A run that is longer than the token would be signed in with an old one."""
    for content in ("first", "second"):
        (tmp_path / "token").write_text(content)
        entra.asked.clear()
        assert await _assertion(entra, {"ARM_OIDC_TOKEN_FILE_PATH": str(tmp_path / "token")}) == content


@pytest.mark.parametrize("prefix", ["ARM_OIDC_REQUEST", "ACTIONS_ID_TOKEN_REQUEST"])
@pytest.mark.parametrize("audience", [None, "api://mine"])
async def test_github_is_asked_for_a_token(entra: Server, prefix: str, audience: str | None) -> None:
    """Its address has a query of its own, which the audience must not displace."""
    told = {f"{prefix}_URL": REQUEST["ARM_OIDC_REQUEST_URL"], f"{prefix}_TOKEN": "request-token"}
    assert await _assertion(entra, told | ({"ARM_OIDC_AUDIENCE": audience} if audience else {})) == "requested"
    [asked] = [request for request in entra.asked if request.path == "/oidc"]
    assert asked.query == {"api-version": ["2.0"], "audience": [audience or "api://AzureADTokenExchange"]}
    assert asked.headers["Authorization"] == "Bearer request-token"


async def test_without_a_token_nothing_is_asked(entra: Server) -> None:
    """A workflow without `id-token: write` has no request address."""
    with pytest.raises(CloudError, match="id-token: write"):
        await _assertion(entra, {})
    assert entra.asked == []


async def test_a_tokens_file_that_is_not_there_is_a_message(entra: Server) -> None:
    with pytest.raises(CloudError, match=r"ARM_OIDC_TOKEN_FILE_PATH: .*/nowhere/token"):
        await _assertion(entra, {"ARM_OIDC_TOKEN_FILE_PATH": "/nowhere/token"})
    assert entra.asked == []


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (403, {"message": "Resource not accessible: request-token"}, "it answered 403 Forbidden"),
        (200, {"token": "misnamed"}, "holds no token"),
        (200, [], "holds no token"),
        (200, b"<html>request-token</html>", "holds no token"),
    ],
)
async def test_a_token_that_is_not_given_is_a_message(entra: Server, status: int, answer: Any, words: str) -> None:
    entra.answers("/oidc", answer, status)
    with pytest.raises(CloudError, match=rf"no token to sign in with from 127\.0\.0\.1:[0-9]+: .*{words}") as caught:
        await _assertion(entra, REQUEST)
    assert "request-token" not in str(caught.value)


async def test_a_request_address_that_does_not_answer_is_a_message(entra: Server) -> None:
    told = {"ARM_OIDC_REQUEST_URL": "https://127.0.0.1:1/oidc", "ARM_OIDC_REQUEST_TOKEN": "request-token"}
    with pytest.raises(CloudError, match=r"no token to sign in with from 127\.0\.0\.1:1") as caught:
        await _assertion(entra, told)
    assert "request-token" not in str(caught.value)


async def test_a_secret_that_is_refused_is_said_by_entra(entra: Server) -> None:
    entra.answers(TOKEN_PATH, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid secret."}, 401)
    identity = Identity.found(APPLICATION | {"ARM_CLIENT_SECRET": "hunter2", "ARM_METADATA_HOSTNAME": entra.host})
    async with identity.credential(entra.endpoints) as credential:
        with pytest.raises(ClientAuthenticationError, match="AADSTS7000215") as caught:
            await credential.get_token("https://vault.azure.net/.default")
    assert "hunter2" not in str(caught.value)


# Principals


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ({"idtyp": "user", "scp": "user_impersonation"}, "User"),
        ({"scp": "user_impersonation"}, "User"),
        ({"idtyp": "app"}, "ServicePrincipal"),
        ({"idtyp": "app", "xms_mirid": "/subscriptions/s/…/userAssignedIdentities/robot"}, "ServicePrincipal"),
        ({}, "ServicePrincipal"),
    ],
)
def test_a_token_says_who_it_speaks_for(claims: dict[str, str], kind: str) -> None:
    """A role assignment with the wrong kind is refused, or looks for the principal for minutes."""
    assert principal_of(claims_of(_token(**claims))) == Principal("caller", TENANT, kind)


# Clouds


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("public", "vault.azure.net"),
        ("Public", "vault.azure.net"),
        ("AzureCloud", "vault.azure.net"),
        ("AzurePublicCloud", "vault.azure.net"),
        ("usgovernment", "vault.usgovcloudapi.net"),
        ("usgov", "vault.usgovcloudapi.net"),
        ("AzureUSGovernment", "vault.usgovcloudapi.net"),
        ("azureusgovernmentcloud", "vault.usgovcloudapi.net"),
        ("china", "vault.azure.cn"),
        ("AzureChinaCloud", "vault.azure.cn"),
    ],
)
async def test_a_cloud_has_its_names(name: str, domain: str) -> None:
    """All that azure-native takes, and those that `az cloud list` prints."""
    assert (await discover(name, None)).key_vault_suffix == domain


async def test_each_cloud_has_addresses_of_its_own() -> None:
    """A token would be asked of the wrong cloud, or sent to it."""
    clouds = [await discover(name, None) for name in ("public", "usgovernment", "china")]
    for name in ("authority", "resource_manager", "resource_manager_audience", "key_vault_suffix", "microsoft_graph"):
        assert len({getattr(cloud, name) for cloud in clouds}) == 3
    assert all(cloud.authority.startswith("https://") and not cloud.authority.endswith("/") for cloud in clouds)


async def test_an_unknown_cloud_is_refused() -> None:
    """azure-native takes an unknown name for the public cloud: a sovereign one must not end up there."""
    with pytest.raises(CloudError, match=r'"germany", which is not known.*public, usgovernment, china'):
        await discover("germany", None)


DESCRIPTION: dict[str, Any] = {
    "name": "Local",
    "authentication": {"loginEndpoint": "https://login.test/", "audiences": ["https://manage.test/", "https://other"]},
    "resourceManager": "https://manage.test/",
    "microsoftGraphResourceId": "https://graph.test/",
    "suffixes": {"keyVaultDns": ".vault.test"},
}
METADATA = "/metadata/endpoints"


async def test_a_metadata_host_describes_its_cloud(server: Server) -> None:
    server.answers(METADATA, DESCRIPTION)
    assert await discover("public", server.host) == Endpoints(
        authority="https://login.test",
        resource_manager="https://manage.test",
        resource_manager_audience="https://manage.test",
        key_vault_suffix="vault.test",
        microsoft_graph="https://graph.test",
    )
    [asked] = server.asked
    assert asked.query == {"api-version": ["2022-09-01"]}
    assert "Authorization" not in asked.headers


@pytest.mark.parametrize("told", [{}, {"microsoftGraphResourceId": None}, {"microsoftGraphResourceId": ""}])
async def test_a_cloud_may_be_without_a_graph(server: Server, told: dict[str, Any]) -> None:
    """Only sign-on needs one: a stack without it must not stop there."""
    rest = {name: value for name, value in DESCRIPTION.items() if name != "microsoftGraphResourceId"}
    server.answers(METADATA, rest | told)
    assert (await discover("public", server.host)).microsoft_graph is None


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (404, {"error": {"code": "NotFound"}}),
        (500, b""),
        (200, b"<html>"),
        (200, [DESCRIPTION]),
        (200, {}),
        (200, None),
        (200, DESCRIPTION | {"suffixes": {}}),
        (200, DESCRIPTION | {"authentication": {"loginEndpoint": "https://login.test", "audiences": []}}),
        (200, DESCRIPTION | {"resourceManager": None}),
    ],
)
async def test_a_host_that_describes_no_cloud_is_refused(server: Server, status: int, answer: Any) -> None:
    """An old version of the API answers a list, and a proxy a page: both would be a traceback."""
    server.answers(METADATA, answer, status)
    with pytest.raises(
        CloudError, match=rf"host 127\.0\.0\.1:{server.port} \(ARM_METADATA_HOSTNAME\) did not describe"
    ):
        await discover("public", server.host)


async def test_a_host_that_does_not_answer_is_refused(server: Server) -> None:
    with pytest.raises(CloudError, match="did not describe a cloud"):
        await discover("public", "127.0.0.1:1")


async def test_a_host_that_is_not_trusted_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers in its place would be given the credentials."""
    server.answers(METADATA, DESCRIPTION)
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", ssl.create_default_context())
    with pytest.raises(CloudError, match="SSL_CERT_FILE"):
        await discover("public", server.host)
    assert server.asked == []


# Sessions


@pytest.fixture
async def session(entra: Server) -> AsyncIterator[Session]:
    entra.answers(METADATA, _description_of(entra))
    variables = APPLICATION | {"ARM_CLIENT_SECRET": "secret", "ARM_METADATA_HOSTNAME": entra.host}
    async with await Session.open(Identity.found(variables)) as session:
        yield session


def _description_of(server: Server) -> dict[str, Any]:
    authentication = {"loginEndpoint": server.url, "audiences": [f"{server.url}/manage"]}
    graph = f"{server.url}/graph/"
    return DESCRIPTION | {
        "authentication": authentication,
        "resourceManager": server.url,
        "microsoftGraphResourceId": graph,
    }


async def test_a_session_is_where_its_identity_says(entra: Server, session: Session) -> None:
    assert await session.principal() == Principal("caller", TENANT, "ServicePrincipal")
    [asked] = [request for request in entra.asked if request.path == TOKEN_PATH]
    assert asked.body["scope"][0].startswith(f"{entra.url}/manage/.default")


async def test_the_directory_is_asked_for_a_token_of_its_own(entra: Server, session: Session) -> None:
    """A token for Azure Resource Manager says nothing of permissions in the directory."""
    claims = await session.directory_claims()
    assert (claims["oid"], claims["tid"]) == ("caller", TENANT)
    [asked] = [request for request in entra.asked if request.path == TOKEN_PATH]
    assert asked.body["scope"][0].startswith(f"{entra.url}/graph/.default")


async def test_another_tenants_directory_is_signed_in_to(entra: Server, session: Session) -> None:
    """Sign-on may live in another tenant than the subscription."""
    other = "30000000-0000-0000-0000-000000000003"
    entra.routes[f"/{other}/oauth2/v2.0/token"] = entra.routes[TOKEN_PATH]
    await session.directory_claims(other)
    assert [request for request in entra.asked if request.path == TOKEN_PATH] == []
    assert [request for request in entra.asked if request.path == f"/{other}/oauth2/v2.0/token"]


async def test_a_cloud_without_a_graph_is_said_to_be(entra: Server) -> None:
    session = Session(Identity.found({}), replace(entra.endpoints, microsoft_graph=None))
    with pytest.raises(CloudError, match="microsoftGraphResourceId"):
        await session.directory_claims()


async def test_a_vault_has_one_client(session: Session) -> None:
    """Each client holds connections open, and signs in for itself."""
    vault, other, key = "https://one.vault.test/", "https://other.vault.test/", "https://one.vault.test/keys/k/v"
    assert session.certificates(vault) is session.certificates(vault)
    assert session.certificates(vault) is not session.certificates(other)
    assert session.secrets(vault) is session.secrets(vault)
    assert session.cryptography(key) is session.cryptography(key)


@pytest.mark.parametrize(
    ("address", "verified"),
    [
        ("https://one.vault.test/", True),
        ("https://one.vault.test", True),
        ("https://one.vault.test:443/", True),
        ("https://ONE.VAULT.TEST/", True),
        ("https://127.0.0.1:8443/", False),
        ("https://vault.test.example/", False),
        ("https://evilvault.test/", False),
    ],
)
async def test_in_the_clouds_own_domain_a_vault_must_ask_for_its_own_tokens(
    session: Session, monkeypatch: pytest.MonkeyPatch, address: str, verified: bool
) -> None:
    """Otherwise a host could name another service, and be sent a token for that."""
    made: list[dict[str, Any]] = []

    class Client:
        def __init__(self, address: str, credential: object, **options: Any) -> None:
            made.append(options)

        async def close(self) -> None: ...

    monkeypatch.setattr("cloud.session.CertificateClient", Client)
    session.certificates(address)
    assert made == [{"api_version": "7.6", "verify_challenge_resource": verified}]


async def test_renewing_signs_in_anew(entra: Server, session: Session) -> None:
    """A token from before a role assignment never learns of it."""
    await session.principal()
    await session.principal()
    before, client = session.credential, session.certificates("https://one.vault.test/")
    assert len([request for request in entra.asked if request.path == TOKEN_PATH]) == 1
    session.renew()
    assert session.credential is not before
    assert session.certificates("https://one.vault.test/") is not client
    await session.principal()
    assert len([request for request in entra.asked if request.path == TOKEN_PATH]) == 2


async def test_renewing_leaves_calls_under_way_alone(entra: Server, session: Session) -> None:
    """One leaf that waits for its role would break off what the others have asked."""
    arrived, released = threading.Event(), threading.Event()
    certificate_id = f"{entra.url}/certificates/orders/0123456789abcdef0123456789abcdef"

    def hold(_: Asked) -> Answer:
        arrived.set()
        assert released.wait(PATIENCE_SECONDS)
        return 200, {"id": certificate_id, "attributes": {"enabled": True}}

    entra.routes["/certificates/orders/"] = hold
    call = asyncio.ensure_future(session.certificates(entra.url).get_certificate("orders"))
    assert await asyncio.to_thread(arrived.wait, PATIENCE_SECONDS)
    session.renew()
    session.renew()
    released.set()
    held = await asyncio.wait_for(call, PATIENCE_SECONDS)
    assert held.id == certificate_id


async def test_everything_is_closed_with_the_session(entra: Server) -> None:
    """A connection that is left open is a warning at the end of each run."""
    closed: list[str] = []

    class Closable:
        def __init__(self, name: str) -> None:
            self.name = name

        async def close(self) -> None:
            closed.append(self.name)

    session = Session(Identity.found({}), entra.endpoints)
    for name in ("first", "second"):
        session._credential = Closable(f"{name} credential")  # type: ignore[assignment]
        session._clients = {(Closable, "vault"): Closable(f"{name} client")}
        session.renew()
        assert closed == []
    session._credential = Closable("last credential")  # type: ignore[assignment]
    async with session:
        pass
    assert sorted(closed) == [
        "first client",
        "first credential",
        "last credential",
        "second client",
        "second credential",
    ]


async def test_a_session_without_a_credential_says_so_when_it_is_needed(entra: Server) -> None:
    session = Session(Identity.found({"ARM_CLIENT_SECRET": "s"}), entra.endpoints)
    with pytest.raises(CloudError, match="ARM_TENANT_ID"):
        session.certificates("https://one.vault.test/")


# The subscription


def _azure_cli(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    folder.mkdir()
    (folder / "az").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "az").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


async def test_the_subscription_is_the_one_that_is_named(entra: Server) -> None:
    session = Session(Identity.found({"ARM_SUBSCRIPTION_ID": SUBSCRIPTION}), entra.endpoints)
    assert await session.subscription_id() == SUBSCRIPTION


async def test_or_else_the_one_that_the_azure_cli_is_set_to(
    entra: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _azure_cli(tmp_path / "bin", monkeypatch, f'[ "$1 $2" = "account show" ] && echo {SUBSCRIPTION}')
    assert await Session(Identity.found({}), entra.endpoints).subscription_id() == SUBSCRIPTION


async def test_or_else_a_message(entra: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(Identity.found({}), entra.endpoints)
    _azure_cli(tmp_path / "bin", monkeypatch, "echo \"Please run 'az login' to setup account.\" >&2; exit 1")
    with pytest.raises(CloudError, match="Please run 'az login'"):
        await session.subscription_id()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CloudError, match="Set ARM_SUBSCRIPTION_ID"):
        await session.subscription_id()
