"""What each consumer is told: the exact variables, that each is read by somebody, and the files behind them."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from azure.identity._constants import EnvironmentVariables
from hypothesis import given
from hypothesis import strategies as st
from temporalio.envconfig import ClientConfigProfile

from environment import (
    CLI,
    SERVER,
    UI,
    AuthorityBundle,
    AuthoritySlot,
    Certificate,
    Consumer,
    Deployment,
    Document,
    Environment,
    PrivateKey,
    cli_environment,
    contents,
    inlined,
    internal_frontend_environment,
    relocated,
    server_config,
    server_environment,
    trusting,
    ui_environment,
    worker,
    worker_environment,
)
from environment.files import MOST_SLOTS
from tests import temporal_sources

TENANT = "https://login.microsoftonline.com/10000000-0000-0000-0000-000000000001"
DEPLOYMENT = Deployment(internode_authority="internode", client_authorities=("clients",), namespace="payments")


@dataclass(frozen=True, kw_only=True)
class SignOn:
    """Sign-on whose values are texts; an engine's outputs stand in the same places."""

    issuer: str = f"{TENANT}/v2.0"
    keys_url: str = f"{TENANT}/discovery/v2.0/keys"
    client_id: Any = "c11e47"
    client_secret: Any = "hunter2"
    scopes: Any = "openid,profile,email,offline_access,c11e47/default"
    token_scope: Any = "api://c11e47/.default"
    ui_url: str = "https://temporal.example.com/ui"
    callback_url: str = "https://temporal.example.com/ui/auth/sso/callback"
    worker_variables: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {
            "orders": {
                "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com",
                "AZURE_TENANT_ID": "7e4a47",
                "AZURE_CLIENT_ID": "0de45",
                "AZURE_CLIENT_SECRET": "hunter3",
            }
        }
    )


SIGN_ON = replace(DEPLOYMENT, sign_on=SignOn())

SERVER_ENVIRONMENT = {
    "TEMPORAL_SERVICES": "frontend,history,matching,worker",
    "TEMPORAL_SERVER_CONFIG_FILE_PATH": "server/server.yaml",
    "DYNAMIC_CONFIG_FILE_PATH": "server/dynamicconfig.yaml",
    "USE_INTERNAL_FRONTEND": "true",
    "TEMPORAL_ALLOW_NO_AUTH": "true",
    "TEMPORAL_TLS_REQUIRE_CLIENT_AUTH": "true",
    "TEMPORAL_TLS_SERVER_CERT": "server/cluster.pem",
    "TEMPORAL_TLS_SERVER_KEY": "server/cluster.key",
    "TEMPORAL_TLS_FRONTEND_CERT": "server/cluster.pem",
    "TEMPORAL_TLS_FRONTEND_KEY": "server/cluster.key",
    "TEMPORAL_TLS_SERVER_CA_CERT": "server/ca/internode-a.pem",
    "TEMPORAL_TLS_SERVER2_CA_CERT": "server/ca/internode-b.pem",
    "TEMPORAL_TLS_CLIENT1_CA_CERT": "server/ca/clients-a.pem",
    "TEMPORAL_TLS_CLIENT2_CA_CERT": "server/ca/clients-b.pem",
    "TEMPORAL_TLS_INTERNODE_SERVER_NAME": "temporal.internal",
    "TEMPORAL_TLS_FRONTEND_SERVER_NAME": "temporal.internal",
    "TEMPORAL_TLS_REFRESH_INTERVAL": "5m",
    "TEMPORAL_TLS_EXPIRATION_CHECKS_WARNING_WINDOW": "504h",
    "TEMPORAL_TLS_EXPIRATION_CHECKS_ERROR_WINDOW": "168h",
    "TEMPORAL_TLS_EXPIRATION_CHECKS_CHECK_INTERVAL": "1h",
}
INTERNAL_FRONTEND_ENVIRONMENT = SERVER_ENVIRONMENT | {
    "TEMPORAL_SERVICES": "internal-frontend",
    "TEMPORAL_TLS_CLIENT1_CA_CERT": "server/ca/internode-a.pem",
    "TEMPORAL_TLS_CLIENT2_CA_CERT": "server/ca/internode-b.pem",
}
UI_ENVIRONMENT = {
    "TEMPORAL_ADDRESS": "127.0.0.1:7233",
    "TEMPORAL_DEFAULT_NAMESPACE": "payments",
    "TEMPORAL_TLS_CA": "ui/ca/internode.pem",
    "TEMPORAL_TLS_CERT": "ui/ui.pem",
    "TEMPORAL_TLS_KEY": "ui/ui.key",
    "TEMPORAL_TLS_SERVER_NAME": "temporal.internal",
    "TEMPORAL_TLS_ENABLE_HOST_VERIFICATION": "true",
}
CLI_ENVIRONMENT = {
    "TEMPORAL_ADDRESS": "127.0.0.1:7233",
    "TEMPORAL_NAMESPACE": "payments",
    "TEMPORAL_TLS": "true",
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "cli/cli.pem",
    "TEMPORAL_TLS_CLIENT_KEY_PATH": "cli/cli.key",
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "cli/ca/internode.pem",
    "TEMPORAL_TLS_SERVER_NAME": "temporal.internal",
}
WORKER_ENVIRONMENT = CLI_ENVIRONMENT | {
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "workers/orders/orders.pem",
    "TEMPORAL_TLS_CLIENT_KEY_PATH": "workers/orders/orders.key",
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH": "workers/orders/ca/internode.pem",
}
SERVER_SIGN_ON = {
    "TEMPORAL_AUTH_AUTHORIZER": "default",
    "TEMPORAL_AUTH_CLAIM_MAPPER": "default",
    "TEMPORAL_JWT_KEY_SOURCE1": f"{TENANT}/discovery/v2.0/keys",
    "TEMPORAL_JWT_KEY_REFRESH": "1m",
    "TEMPORAL_JWT_PERMISSIONS_CLAIM": "roles",
    "TEMPORAL_JWT_AUDIENCE": "c11e47",
}
UI_SIGN_ON = {
    "TEMPORAL_AUTH_ENABLED": "true",
    "TEMPORAL_AUTH_TYPE": "oidc",
    "TEMPORAL_AUTH_LABEL": "Entra ID",
    "TEMPORAL_AUTH_PROVIDER_URL": f"{TENANT}/v2.0",
    "TEMPORAL_AUTH_ISSUER_URL": f"{TENANT}/v2.0",
    "TEMPORAL_AUTH_CLIENT_ID": "c11e47",
    "TEMPORAL_AUTH_CLIENT_SECRET": "hunter2",
    "TEMPORAL_AUTH_CALLBACK_URL": "https://temporal.example.com/ui/auth/sso/callback",
    "TEMPORAL_AUTH_SCOPES": "openid,profile,email,offline_access,c11e47/default",
    "TEMPORAL_CORS_ORIGINS": "https://temporal.example.com",
    "TEMPORAL_CSRF_COOKIE_INSECURE": "false",
}
WORKER_SIGN_ON = {
    "TEMPORAL_TOKEN_SCOPE": "api://c11e47/.default",
    "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com",
    "AZURE_TENANT_ID": "7e4a47",
    "AZURE_CLIENT_ID": "0de45",
    "AZURE_CLIENT_SECRET": "hunter3",
}


def with_sign_on(environment: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != "TEMPORAL_ALLOW_NO_AUTH"} | dict(added)


ENVIRONMENTS = {
    "server": (server_environment(DEPLOYMENT), SERVER_ENVIRONMENT),
    "internal-frontend": (internal_frontend_environment(DEPLOYMENT), INTERNAL_FRONTEND_ENVIRONMENT),
    "ui": (ui_environment(DEPLOYMENT), UI_ENVIRONMENT),
    "cli": (cli_environment(DEPLOYMENT), CLI_ENVIRONMENT),
    "worker": (worker_environment(DEPLOYMENT, "orders"), WORKER_ENVIRONMENT),
}
SIGN_ON_ENVIRONMENTS = {
    "server": (server_environment(SIGN_ON), with_sign_on(SERVER_ENVIRONMENT, SERVER_SIGN_ON)),
    "internal-frontend": (
        internal_frontend_environment(SIGN_ON),
        with_sign_on(INTERNAL_FRONTEND_ENVIRONMENT, SERVER_SIGN_ON),
    ),
    "ui": (ui_environment(SIGN_ON), with_sign_on(UI_ENVIRONMENT, UI_SIGN_ON)),
    "cli": (cli_environment(SIGN_ON), CLI_ENVIRONMENT),
    "worker": (worker_environment(SIGN_ON, "orders"), with_sign_on(WORKER_ENVIRONMENT, WORKER_SIGN_ON)),
}
ALL_ENVIRONMENTS = [*ENVIRONMENTS.values(), *SIGN_ON_ENVIRONMENTS.values()]
ALL_NAMES = [*ENVIRONMENTS, *(f"{name} with sign-on" for name in SIGN_ON_ENVIRONMENTS)]


def template_variables(template: str) -> set[str]:
    return set(re.findall(r'env "(\w+)"', template))


def server_variables() -> set[str]:
    """What the server reads: its own template, ours, and the options of its command line."""
    source = temporal_sources.server()
    official = (source / "common/config/config_template_embedded.yaml").read_text()
    options = (source / "common/config/loader.go").read_text() + (source / "cmd/server/main.go").read_text()
    return (
        template_variables(official)
        | template_variables(server_config(SIGN_ON))
        | set(re.findall(r'"(TEMPORAL_\w+)"', options))
    )


def ui_variables() -> set[str]:
    return template_variables((temporal_sources.user_interface() / "config/docker.yaml").read_text())


def profile(environment: Environment) -> ClientConfigProfile:
    """What an SDK makes of an environment."""
    return ClientConfigProfile.load(disable_file=True, override_env_vars=environment)


def sdk_variables(environment: Environment) -> dict[str, str]:
    """What is left for the SDK, without what azure-identity and the worker's own code read."""
    return {name: value for name, value in environment.items() if name not in WORKER_SIGN_ON}


@pytest.mark.parametrize(("actual", "expected"), ALL_ENVIRONMENTS, ids=ALL_NAMES)
def test_variables_are_exactly_these(actual: dict[str, str], expected: dict[str, str]) -> None:
    """Somebody's deployment reads these names: one that changes by accident turns something off there."""
    assert actual == expected


@pytest.mark.parametrize("name", ["server", "internal-frontend"])
@pytest.mark.parametrize("environments", [ENVIRONMENTS, SIGN_ON_ENVIRONMENTS], ids=["mutual TLS", "sign-on"])
def test_server_reads_every_variable(environments: dict[str, tuple[dict[str, str], object]], name: str) -> None:
    """A misspelt variable is ignored, and what it was to turn on stays off."""
    environment, _ = environments[name]
    inline = inlined(environment, lambda path: b"")

    assert environment.keys() | inline.keys() <= server_variables()


def test_audience_is_read_by_our_server_config_alone() -> None:
    """The official template knows no audience: with it, tokens of every other application would be accepted."""
    official = (temporal_sources.server() / "common/config/config_template_embedded.yaml").read_text()

    assert "TEMPORAL_JWT_AUDIENCE" not in template_variables(official)
    assert "TEMPORAL_JWT_AUDIENCE" in template_variables(server_config(SIGN_ON))


@pytest.mark.parametrize("variable", ["AUTH_AUTHORIZER", "AUTH_CLAIM_MAPPER", "JWT_KEY_SOURCE1", "JWT_AUDIENCE"])
def test_server_config_does_not_render_without_what_sign_on_needs(variable: str) -> None:
    """The server would start, and take strangers' tokens, or every client certificate, for an administrator's."""
    needed = f'(env "TEMPORAL_{variable}")'
    refusals = [line for line in server_config(SIGN_ON).splitlines() if "fail" in line and f"not {needed}" in line]

    assert len(refusals) == 1
    assert f"not {needed}" not in server_config(DEPLOYMENT)


def test_server_config_reads_every_variable_of_the_official_template() -> None:
    """People know these: a variable that does nothing any more is a setting lost. Those left out would weaken TLS."""
    official = (temporal_sources.server() / "common/config/config_template_embedded.yaml").read_text()

    assert template_variables(official) - template_variables(server_config(DEPLOYMENT)) == {
        "TEMPORAL_TLS_REQUIRE_CLIENT_AUTH",
        "TEMPORAL_TLS_INTERNODE_DISABLE_HOST_VERIFICATION",
        "TEMPORAL_TLS_FRONTEND_DISABLE_HOST_VERIFICATION",
        "USE_INTERNAL_FRONTEND",
        "PUBLIC_FRONTEND_ADDRESS",
    }


def test_ui_reads_every_variable() -> None:
    """The UI verifies nobody unless told to, in a variable that it knows."""
    for environment, _ in (ENVIRONMENTS["ui"], SIGN_ON_ENVIRONMENTS["ui"]):
        assert environment.keys() | inlined(environment, lambda path: b"").keys() <= ui_variables()


@pytest.mark.parametrize("name", ["cli", "worker"])
def test_sdk_reads_every_variable(name: str) -> None:
    """Whichever variable is taken away, the SDK sees another configuration: it reads each of them."""
    environment = sdk_variables(SIGN_ON_ENVIRONMENTS[name][0])
    for variants in (environment, inlined(environment, str.encode)):
        for variable in variants:
            rest = {other: value for other, value in variants.items() if other != variable}
            assert profile(rest) != profile(variants), variable


def test_worker_signs_in_with_what_azure_identity_reads() -> None:
    """A misspelt variable is ignored, and the worker signs in as somebody else, or not at all."""
    read = {value for value in vars(EnvironmentVariables).values() if isinstance(value, str)}
    environment, _ = SIGN_ON_ENVIRONMENTS["worker"]

    assert {name for name in environment if name.startswith("AZURE_")} <= read
    example = (temporal_sources.TOOLS.parents[1] / "examples/python/temporal_token.py").read_text()
    assert 'environ.get("TEMPORAL_TOKEN_SCOPE")' in example


def test_worker_without_an_identity_is_told_none() -> None:
    """Another worker's secret would be in its environment."""
    environment = worker_environment(SIGN_ON, "billing")

    assert sdk_variables(environment).keys() == CLI_ENVIRONMENT.keys()
    assert environment["TEMPORAL_TOKEN_SCOPE"] == "api://c11e47/.default"
    assert not [name for name in environment if name.startswith("AZURE_")]


def test_values_are_placed_as_they_come() -> None:
    """An engine's output that was formatted would be its `repr`, and a secret would not stay one."""
    names = ("client_id", "client_secret", "scopes", "token_scope")
    outputs: dict[str, Any] = {name: object() for name in names}
    identity = {"AZURE_CLIENT_ID": object(), "AZURE_CLIENT_SECRET": object()}
    deployment = replace(DEPLOYMENT, sign_on=SignOn(**outputs, worker_variables={"orders": identity}))
    placed: list[tuple[Callable[[Deployment], dict[str, Any]], str, object]] = [
        (server_environment, "TEMPORAL_JWT_AUDIENCE", outputs["client_id"]),
        (internal_frontend_environment, "TEMPORAL_JWT_AUDIENCE", outputs["client_id"]),
        (ui_environment, "TEMPORAL_AUTH_CLIENT_ID", outputs["client_id"]),
        (ui_environment, "TEMPORAL_AUTH_CLIENT_SECRET", outputs["client_secret"]),
        (ui_environment, "TEMPORAL_AUTH_SCOPES", outputs["scopes"]),
        (lambda it: worker_environment(it, "orders"), "TEMPORAL_TOKEN_SCOPE", outputs["token_scope"]),
        *(((lambda it: worker_environment(it, "orders")), name, value) for name, value in identity.items()),
    ]

    for environment, variable, value in placed:
        assert environment(deployment)[variable] is value, variable


def test_secrets_reach_nobody_but_their_owner() -> None:
    """Who may read the server's environment would sign in as the UI, or as a worker."""
    for name, (environment, _) in SIGN_ON_ENVIRONMENTS.items():
        found = {value for value in environment.values() if value.startswith("hunter")}
        assert found == {"ui": {"hunter2"}, "worker": {"hunter3"}}.get(name, set()), name


@pytest.mark.parametrize(
    ("ui_url", "origin", "insecure"),
    [
        ("http://localhost:8080", "http://localhost:8080", "true"),
        ("https://localhost:8080", "https://localhost:8080", "false"),
        ("https://example.com/temporal", "https://example.com", "false"),
        ("https://[2001:db8::4]:8443", "https://[2001:db8::4]:8443", "false"),
    ],
)
def test_ui_takes_requests_from_where_it_is_opened(ui_url: str, origin: str, insecure: str) -> None:
    """The browser leaves the cookie out over http, or the UI refuses its own pages: nothing can be changed there."""
    environment = ui_environment(replace(DEPLOYMENT, sign_on=SignOn(ui_url=ui_url)))

    assert environment["TEMPORAL_CORS_ORIGINS"] == origin
    assert environment["TEMPORAL_CSRF_COOKIE_INSECURE"] == insecure


def test_authorizer_is_not_spoken_of_without_sign_on() -> None:
    """An authorizer without keys would refuse everybody; a claim mapper that is half set admits everybody."""
    for environment, _ in ENVIRONMENTS.values():
        assert not [name for name in environment if name.startswith(("TEMPORAL_AUTH_", "TEMPORAL_JWT_", "AZURE_"))]


def test_without_an_authorizer_nobody_is_told_with_sign_on() -> None:
    """The server starts without an authorizer if it is allowed to."""
    for environment, _ in SIGN_ON_ENVIRONMENTS.values():
        assert "TEMPORAL_ALLOW_NO_AUTH" not in environment


@pytest.mark.parametrize(
    ("interval", "written"),
    [
        (timedelta(days=1), "24h"),
        (timedelta(minutes=90), "90m"),
        (timedelta(seconds=61), "61s"),
        (timedelta(milliseconds=1500), "1500ms"),
    ],
)
def test_durations_are_written_as_go_reads_them(interval: timedelta, written: str) -> None:
    """A duration that Go cannot read stops the server; one a thousand times too long stops the renewal."""
    deployment = Deployment(internode_authority="a", client_authorities=("b",), refresh_interval=interval)

    assert server_environment(deployment)["TEMPORAL_TLS_REFRESH_INTERVAL"] == written


def test_files_are_those_of_the_layout() -> None:
    """The writer fills directories from this list: what is not in it is missing when the consumer starts."""
    server = contents(server_environment(DEPLOYMENT), internal_frontend_environment(DEPLOYMENT))
    assert server == {
        "server/server.yaml": Document.SERVER_CONFIG,
        "server/dynamicconfig.yaml": Document.DYNAMIC_CONFIG,
        "server/cluster.pem": Certificate("cluster"),
        "server/cluster.key": PrivateKey("cluster"),
        "server/ca/internode-a.pem": AuthoritySlot("internode", "a"),
        "server/ca/internode-b.pem": AuthoritySlot("internode", "b"),
        "server/ca/clients-a.pem": AuthoritySlot("clients", "a"),
        "server/ca/clients-b.pem": AuthoritySlot("clients", "b"),
    }
    assert contents(ui_environment(DEPLOYMENT)) == {
        "ui/ui.pem": Certificate("ui"),
        "ui/ui.key": PrivateKey("ui"),
        "ui/ca/internode.pem": AuthorityBundle("internode"),
    }
    assert contents(cli_environment(DEPLOYMENT)) == {
        "cli/cli.pem": Certificate("cli"),
        "cli/cli.key": PrivateKey("cli"),
        "cli/ca/internode.pem": AuthorityBundle("internode"),
    }


@pytest.mark.parametrize("name", ["orders", "ca", "server", "a-b"])
def test_name_of_a_worker_does_not_change_what_its_files_hold(name: str) -> None:
    """A worker may be called as a directory of the layout is."""
    deployment = Deployment(internode_authority="internode-b", client_authorities=("clients",))

    assert contents(worker_environment(deployment, name)) == {
        f"workers/{name}/{name}.pem": Certificate(name),
        f"workers/{name}/{name}.key": PrivateKey(name),
        f"workers/{name}/ca/internode-b.pem": AuthorityBundle("internode-b"),
    }


def test_authority_whose_name_ends_like_a_slot_keeps_its_name() -> None:
    """`clients-a` has the slots `clients-a-a` and `clients-a-b`."""
    deployment = Deployment(internode_authority="internode", client_authorities=("clients", "clients-a"))
    files = contents(server_environment(deployment))

    assert files["server/ca/clients-a.pem"] == AuthoritySlot("clients", "a")
    assert files["server/ca/clients-a-a.pem"] == AuthoritySlot("clients-a", "a")
    assert files["server/ca/clients-a-b.pem"] == AuthoritySlot("clients-a", "b")


@dataclass(frozen=True)
class Client:
    server_name: str
    namespace: str


HOSTS = replace(
    DEPLOYMENT,
    host_overrides={"orders.internal": ("orders",), "billing.internal": ("billing", "clients")},
    generations={"internode": 1, "clients": 2, "orders": 3},
    clients={"orders": Client("orders.internal", "orders")},
)


def test_host_overrides_admit_their_own_authorities_and_nodes_alone_to_the_internal_frontend() -> None:
    """To the internal frontend whoever gets in is an administrator, under whichever name they ask for it."""
    public, internal = server_environment(HOSTS), internal_frontend_environment(HOSTS)
    node = ["server/ca/internode-a.pem", "server/ca/internode-b.pem"]

    def admitted(environment: dict[str, Any], prefix: str) -> list[str]:
        return [value for name, value in environment.items() if name.startswith(f"TEMPORAL_TLS_{prefix}")]

    assert admitted(public, "CLIENT") == ["server/ca/clients-a.pem", "server/ca/clients-b.pem"]
    assert admitted(public, "HOST1_") == [f"server/ca/orders-{slot}.pem" for slot in "abc"]
    assert admitted(public, "HOST2_") == [
        f"server/ca/{name}-{slot}.pem" for name in ("billing", "clients") for slot in "ab"
    ]
    for prefix in ("CLIENT", "HOST1_", "HOST2_"):
        assert admitted(internal, prefix) == node


def test_a_client_of_a_host_override_is_told_its_name_and_namespace() -> None:
    """It would ask for the frontend's first name, under which it is refused."""
    orders, reports = worker_environment(HOSTS, "orders"), worker_environment(HOSTS, "reports")

    assert (orders["TEMPORAL_TLS_SERVER_NAME"], orders["TEMPORAL_NAMESPACE"]) == ("orders.internal", "orders")
    assert (reports["TEMPORAL_TLS_SERVER_NAME"], reports["TEMPORAL_NAMESPACE"]) == ("temporal.internal", "payments")


@given(st.integers(min_value=0, max_value=MOST_SLOTS))
def test_every_generation_has_a_file_and_every_file_a_generation(generations: int) -> None:
    """A generation without a file is trusted on paper; a file without one keeps the server from starting."""
    deployment = replace(DEPLOYMENT, generations={"clients": generations})
    trusted = list(range(max(generations, 1)))
    files = [
        content.chosen(trusted)
        for content in contents(server_environment(deployment)).values()
        if isinstance(content, AuthoritySlot) and content.authority == "clients"
    ]

    assert files[: len(trusted)] == trusted
    assert len(files) == max(len(trusted), 2)
    assert set(files[len(trusted) :]) <= {trusted[0]}


def test_a_third_generation_of_nodes_is_a_third_file_on_both_sides() -> None:
    """Nodes that trust a generation only as callers, or only as servers, talk to half of the cluster."""
    deployment = replace(DEPLOYMENT, generations={"internode": 3})
    template = server_config(deployment)

    assert server_environment(deployment)["TEMPORAL_TLS_SERVER3_CA_CERT"] == "server/ca/internode-c.pem"
    assert internal_frontend_environment(deployment)["TEMPORAL_TLS_CLIENT3_CA_CERT"] == "server/ca/internode-c.pem"
    lists = [line for line in template.splitlines() if "CaFiles:" in line]
    assert len(lists) == 4
    assert all("SERVER3_CA_CERT" in line or "CLIENT3_CA_CERT" in line for line in lists)


def test_no_consumer_names_a_file_of_another() -> None:
    """Each directory is mounted alone; a file elsewhere would not be there, or show another's key."""
    directories = {"server": SERVER, "internal-frontend": SERVER, "ui": UI, "cli": CLI, "worker": worker("orders")}
    for name, (environment, _) in ENVIRONMENTS.items():
        assert all(path.startswith(f"{directories[name].directory}/") for path in contents(environment))


@pytest.mark.parametrize(("environment", "_expected"), ALL_ENVIRONMENTS, ids=ALL_NAMES)
def test_relocated_moves_files_and_nothing_else(environment: dict[str, str], _expected: object) -> None:
    """An address or a name that was taken for a path would point nowhere."""
    moved = relocated(environment, "/etc/temporal")
    files = set(contents(environment))

    assert moved.keys() == environment.keys()
    for variable, value in environment.items():
        assert moved[variable] == (f"/etc/temporal/{value}" if value in files else value)


@pytest.mark.parametrize("consumer", [SERVER, UI, CLI, worker("orders")], ids=lambda consumer: consumer.directory)
def test_trust_for_https_is_a_file_of_the_consumers_own(consumer: Consumer) -> None:
    """Entra ID would not be reached through a proxy; or the file would be a certificate's of the stack."""
    trusted = trusting({"TEMPORAL_ADDRESS": "a:1"}, consumer)
    path = f"{consumer.directory}/https.crt"

    assert trusted == {"TEMPORAL_ADDRESS": "a:1", "SSL_CERT_FILE": path, "REQUESTS_CA_BUNDLE": path}
    assert relocated(trusted, "/etc/temporal")["SSL_CERT_FILE"] == f"/etc/temporal/{path}"
    assert relocated(trusted, "/etc/temporal")["REQUESTS_CA_BUNDLE"] == f"/etc/temporal/{path}"
    assert contents(trusted) == {}
    assert path not in contents(*(environment for environment, _ in ALL_ENVIRONMENTS))


def test_inlined_carries_the_content_in_the_encoding_that_the_consumer_reads() -> None:
    """Server and UI decode base64, the SDKs do not: in the wrong one the certificate is none."""

    def read(path: str) -> bytes:
        return f"content of {path}\n".encode()

    server = inlined(server_environment(DEPLOYMENT), read)
    assert base64.b64decode(server["TEMPORAL_TLS_SERVER_KEY_DATA"]) == b"content of server/cluster.key\n"
    assert "\n" not in server["TEMPORAL_TLS_SERVER_KEY_DATA"]
    assert server["DYNAMIC_CONFIG_FILE_PATH"] == "server/dynamicconfig.yaml"
    assert "TEMPORAL_TLS_SERVER_KEY" not in server

    ui = inlined(ui_environment(DEPLOYMENT), read)
    assert base64.b64decode(ui["TEMPORAL_TLS_CA_DATA"]) == b"content of ui/ca/internode.pem\n"

    orders = inlined(worker_environment(DEPLOYMENT, "orders"), read)
    assert orders["TEMPORAL_TLS_CLIENT_KEY_DATA"] == "content of workers/orders/orders.key\n"
    assert orders["TEMPORAL_NAMESPACE"] == "payments"
    assert "TEMPORAL_TLS_CLIENT_KEY_PATH" not in orders
