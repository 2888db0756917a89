"""What each consumer is told: the exact variables, that each is read by somebody, and the files behind them."""

import base64
import re
from datetime import timedelta

import pytest
from temporalio.envconfig import ClientConfigProfile

from environment import (
    CLI,
    SERVER,
    UI,
    AuthorityBundle,
    AuthoritySlot,
    Certificate,
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
    ui_environment,
    worker,
    worker_environment,
)
from tests import temporal_sources

DEPLOYMENT = Deployment(internode_authority="internode", client_authorities=("clients",), namespace="payments")

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
ENVIRONMENTS = {
    "server": (server_environment(DEPLOYMENT), SERVER_ENVIRONMENT),
    "internal-frontend": (internal_frontend_environment(DEPLOYMENT), INTERNAL_FRONTEND_ENVIRONMENT),
    "ui": (ui_environment(DEPLOYMENT), UI_ENVIRONMENT),
    "cli": (cli_environment(DEPLOYMENT), CLI_ENVIRONMENT),
    "worker": (worker_environment(DEPLOYMENT, "orders"), WORKER_ENVIRONMENT),
}


def template_variables(template: str) -> set[str]:
    return set(re.findall(r'env "(\w+)"', template))


def server_variables() -> set[str]:
    """What the server reads: its own template, ours, and the options of its command line."""
    source = temporal_sources.server()
    official = (source / "common/config/config_template_embedded.yaml").read_text()
    options = (source / "common/config/loader.go").read_text() + (source / "cmd/server/main.go").read_text()
    return (
        template_variables(official)
        | template_variables(server_config(DEPLOYMENT))
        | set(re.findall(r'"(TEMPORAL_\w+)"', options))
    )


def ui_variables() -> set[str]:
    return template_variables((temporal_sources.user_interface() / "config/docker.yaml").read_text())


def profile(environment: Environment) -> ClientConfigProfile:
    """What an SDK makes of an environment."""
    return ClientConfigProfile.load(disable_file=True, override_env_vars=environment)


@pytest.mark.parametrize(("actual", "expected"), ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_variables_are_exactly_these(actual: dict[str, str], expected: dict[str, str]) -> None:
    """Somebody's deployment reads these names: one that changes by accident turns something off there."""
    assert actual == expected


@pytest.mark.parametrize("name", ["server", "internal-frontend"])
def test_server_reads_every_variable(name: str) -> None:
    """A misspelt variable is ignored, and what it was to turn on stays off."""
    environment, _ = ENVIRONMENTS[name]
    inline = inlined(environment, lambda path: b"")

    assert environment.keys() | inline.keys() <= server_variables()


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
    environment, _ = ENVIRONMENTS["ui"]

    assert environment.keys() | inlined(environment, lambda path: b"").keys() <= ui_variables()


@pytest.mark.parametrize("name", ["cli", "worker"])
def test_sdk_reads_every_variable(name: str) -> None:
    """Whichever variable is taken away, the SDK sees another configuration: it reads each of them."""
    environment, _ = ENVIRONMENTS[name]
    for variants in (environment, inlined(environment, str.encode)):
        for variable in variants:
            rest = {other: value for other, value in variants.items() if other != variable}
            assert profile(rest) != profile(variants), variable


def test_authorizer_is_not_spoken_of_without_sign_on() -> None:
    """An authorizer without keys would refuse everybody; a claim mapper that is half set admits everybody."""
    for environment, _ in ENVIRONMENTS.values():
        assert not [name for name in environment if name.startswith(("TEMPORAL_AUTH_", "TEMPORAL_JWT_"))]


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


def test_no_consumer_names_a_file_of_another() -> None:
    """Each directory is mounted alone; a file elsewhere would not be there, or show another's key."""
    directories = {"server": SERVER, "internal-frontend": SERVER, "ui": UI, "cli": CLI, "worker": worker("orders")}
    for name, (environment, _) in ENVIRONMENTS.items():
        assert all(path.startswith(f"{directories[name].directory}/") for path in contents(environment))


@pytest.mark.parametrize(("environment", "_expected"), ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_relocated_moves_files_and_nothing_else(environment: dict[str, str], _expected: object) -> None:
    """An address or a name that was taken for a path would point nowhere."""
    moved = relocated(environment, "/etc/temporal")
    files = set(contents(environment))

    assert moved.keys() == environment.keys()
    for variable, value in environment.items():
        assert moved[variable] == (f"/etc/temporal/{value}" if value in files else value)


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
