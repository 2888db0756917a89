"""server.yaml as the server itself renders and understands it, next to the template that the official image uses."""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from environment import (
    Deployment,
    dynamic_config,
    internal_frontend_environment,
    server_config,
    server_environment,
)
from tests import temporal_sources
from tests.e2e.temporal import server_program

pytestmark = pytest.mark.e2e

DEPLOYMENT = Deployment(internode_authority="internode", client_authorities=("clients",))
SQLITE = {"DB": "sqlite"}

# Every variable of the official template, by what it is about, each with a value of its own.
POSTGRES = {
    "POSTGRES_SEEDS": "postgres.internal",
    "POSTGRES_USER": "temporal",
    "POSTGRES_PWD": "secret",
    "VISIBILITY_POSTGRES_SEEDS": "visibility.internal",
    "VISIBILITY_POSTGRES_USER": "visibility",
    "VISIBILITY_POSTGRES_PWD": "other secret",
}
SQL = {
    "DB_PORT": "1111",
    "VISIBILITY_DB_PORT": "1112",
    "DBNAME": "one",
    "VISIBILITY_DBNAME": "two",
    "SQL_MAX_CONNS": "11",
    "SQL_MAX_IDLE_CONNS": "12",
    "SQL_MAX_CONN_TIME": "13m",
    "SQL_VIS_MAX_CONNS": "14",
    "SQL_VIS_MAX_IDLE_CONNS": "15",
    "SQL_VIS_MAX_CONN_TIME": "16m",
    "SQL_TLS_ENABLED": "true",
    "SQL_CA": "/sql/ca.pem",
    "SQL_CERT": "/sql/sql.pem",
    "SQL_CERT_KEY": "/sql/sql.key",
    "SQL_HOST_VERIFICATION": "false",
    "SQL_HOST_NAME": "sql.internal",
}
ELASTICSEARCH = {
    "ENABLE_ES": "true",
    "ES_VERSION": "v8",
    "ES_SCHEME": "https",
    "ES_SEEDS": "elastic.internal",
    "ES_PORT": "9201",
    "ES_USER": "elastic",
    "ES_PWD": "secret",
    "ES_VIS_INDEX": "index",
    "ES_SEC_VIS_INDEX": "second_index",
}
EVERYTHING = {
    "LOG_LEVEL": "warn",
    "NUM_HISTORY_SHARDS": "8",
    "PPROF_PORT": "7936",
    "BIND_ON_IP": "10.0.0.1",
    "TEMPORAL_BROADCAST_ADDRESS": "10.0.0.2",
    "CLUSTER_RPC_ADDRESS": "10.0.0.3:1",
    "CLUSTER_HTTP_ADDRESS": "10.0.0.3:2",
    "PROMETHEUS_ENDPOINT": "10.0.0.1:9090",
    "PROMETHEUS_TIMER_TYPE": "summary",
    "TEMPORAL_AUTH_AUTHORIZER": "default",
    "TEMPORAL_AUTH_CLAIM_MAPPER": "default",
    "TEMPORAL_JWT_KEY_SOURCE1": "https://login.internal/keys",
    "TEMPORAL_JWT_KEY_SOURCE2": "https://login.internal/more-keys",
    "TEMPORAL_JWT_KEY_REFRESH": "5m",
    "TEMPORAL_JWT_PERMISSIONS_CLAIM": "roles",
    "TEMPORAL_JWT_PERMISSIONS_REGEX": "^(?P<namespace>\\w+):(?P<role>\\w+)$",
    **{
        f"{service}_{kind}_PORT": str(port)
        for port, (service, kind) in enumerate(
            [
                ("FRONTEND", "GRPC"),
                ("FRONTEND", "HTTP"),
                ("FRONTEND", "MEMBERSHIP"),
                ("INTERNAL_FRONTEND", "GRPC"),
                ("INTERNAL_FRONTEND", "HTTP"),
                ("INTERNAL_FRONTEND", "MEMBERSHIP"),
                ("HISTORY", "GRPC"),
                ("HISTORY", "MEMBERSHIP"),
                ("MATCHING", "GRPC"),
                ("MATCHING", "MEMBERSHIP"),
                ("WORKER", "GRPC"),
                ("WORKER", "MEMBERSHIP"),
            ],
            start=2001,
        )
    },
}
DATABASES: dict[str, dict[str, str]] = {
    "sqlite": {"DB": "sqlite"},
    "sqlite-everything": {
        "DB": "sqlite",
        "DBNAME": "one",
        "VISIBILITY_DBNAME": "two",
        "SQLITE_MODE": "memory",
        "SQLITE_CACHE": "shared",
        "SQLITE_SETUP": "false",
        "SQLITE_JOURNAL_MODE": "off",
        "SQLITE_SYNCHRONOUS": "1",
        "SQLITE_BUSY_TIMEOUT": "5",
        **SQL,
        **EVERYTHING,
    },
    "postgres12": {"DB": "postgres12", "POSTGRES_SEEDS": "postgres.internal", "POSTGRES_USER": "temporal"},
    "postgres12_pgx-everything": {"DB": "postgres12_pgx", **POSTGRES, **SQL, **EVERYTHING},
    "mysql8": {"DB": "MySQL8", "MYSQL_SEEDS": "mysql.internal", "MYSQL_USER": "temporal"},
    "mysql8-everything": {
        "DB": "mysql8",
        "MYSQL_TX_ISOLATION_COMPAT": "true",
        **{name.replace("POSTGRES", "MYSQL"): value for name, value in POSTGRES.items()},
        **SQL,
        **ELASTICSEARCH,
        **EVERYTHING,
    },
    "cassandra": {
        "DB": "cassandra",
        "CASSANDRA_SEEDS": "cassandra.internal",
        "ENABLE_ES": "true",
        "ES_SEEDS": "elastic.internal",
        "ES_VERSION": "v8",
    },
    "cassandra-everything": {
        "DB": "cassandra",
        "CASSANDRA_SEEDS": "one,two",
        "CASSANDRA_PORT": "9043",
        "CASSANDRA_USER": "temporal",
        "CASSANDRA_PASSWORD": "secret",
        "CASSANDRA_MAX_CONNS": "5",
        "CASSANDRA_TLS_ENABLED": "true",
        "CASSANDRA_CA": "/cassandra/ca.pem",
        "CASSANDRA_CERT": "/cassandra/cassandra.pem",
        "CASSANDRA_CERT_KEY": "/cassandra/cassandra.key",
        "CASSANDRA_CA_DATA": "YQ==",
        "CASSANDRA_CERT_DATA": "Yg==",
        "CASSANDRA_CERT_KEY_DATA": "Yw==",
        "CASSANDRA_HOST_VERIFICATION": "false",
        "CASSANDRA_HOST_NAME": "cassandra.internal",
        "CASSANDRA_ADDRESS_TRANSLATOR": "fixed-address-translator",
        "CASSANDRA_ADDRESS_TRANSLATOR_OPTIONS": "advertised.internal",
        "KEYSPACE": "keyspace",
        **ELASTICSEARCH,
        **(EVERYTHING | {"PROMETHEUS_ENDPOINT": "", "STATSD_ENDPOINT": "10.0.0.4:8125"}),
    },
}


class RenderError(Exception):
    """The server would not take its configuration."""


@pytest.fixture
def render(tmp_path: Path) -> "Renderer":
    return Renderer(tmp_path)


class Renderer:
    """The server's own rendering of a template, as it understands the result."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "test.yaml"

    def __call__(self, template: str, environment: Mapping[str, str]) -> dict[str, Any]:
        self._file.write_text(template)
        finished = subprocess.run(
            [server_program(), "--config", str(self._file.parent), "--env", "test", "render-config"],
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if finished.returncode:
            raise RenderError(finished.stderr)
        rendered = yaml.safe_load(finished.stdout)
        assert isinstance(rendered, dict)
        return rendered


def official_template() -> str:
    return (temporal_sources.server() / "common/config/config_template_embedded.yaml").read_text()


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted path; what is empty is as good as absent."""
    if isinstance(node, dict):
        for key, child in node.items():
            yield from leaves(child, f"{path}.{key}" if path else key)
    elif isinstance(node, list):
        for number, child in enumerate(node):
            yield from leaves(child, f"{path}[{number}]")
    elif node not in (None, "", False, 0):
        yield path, node


@pytest.mark.parametrize("database", DATABASES.values(), ids=DATABASES)
def test_variables_mean_what_they_mean_to_the_official_image(render: Renderer, database: dict[str, str]) -> None:
    """A variable that we forget, or put elsewhere, is a setting that somebody's server silently loses."""
    environment = server_environment(DEPLOYMENT) | database
    official = dict(leaves(render(official_template(), environment)))
    ours = dict(leaves(render(server_config(DEPLOYMENT), environment)))

    tls = "global.tls"
    ours_alone: dict[str, str | bool] = {
        f"{tls}.internode.server.clientCaFiles[1]": "server/ca/internode-b.pem",
        f"{tls}.internode.client.rootCaFiles[1]": "server/ca/internode-b.pem",
        f"{tls}.frontend.client.rootCaFiles[1]": "server/ca/internode-b.pem",
    }
    if not {"SQL_HOST_VERIFICATION", "CASSANDRA_HOST_VERIFICATION"} & database.keys():
        ours_alone |= {path: True for path in ours if path.endswith(".tls.enableHostVerification")}

    assert ours.items() - official.items() == ours_alone.items()
    assert {path.partition(".")[0] for path in official.keys() - ours.keys()} == {
        "archival",
        "dcRedirectionPolicy",
        "namespaceDefaults",
    }


def test_public_frontend_admits_clients_and_internal_frontend_the_cluster(render: Renderer) -> None:
    """If the processes shared their trust as they share the file, workers would reach the internal frontend by HTTP."""
    public, internal = (
        render(server_config(DEPLOYMENT), {**environment, **SQLITE})["global"]["tls"]
        for environment in (server_environment(DEPLOYMENT), internal_frontend_environment(DEPLOYMENT))
    )
    internode = ["server/ca/internode-a.pem", "server/ca/internode-b.pem"]

    assert public["frontend"]["server"]["clientCaFiles"] == ["server/ca/clients-a.pem", "server/ca/clients-b.pem"]
    assert internal["frontend"]["server"]["clientCaFiles"] == internode
    for tls in (public, internal):
        assert tls["internode"]["server"]["clientCaFiles"] == internode
        assert tls["frontend"]["server"]["requireClientAuth"] is True
        assert tls["internode"]["server"]["requireClientAuth"] is True
        assert tls["refreshInterval"] == "5m0s"
        assert tls["expirationChecks"] == {
            "warningWindow": "504h0m0s",
            "errorWindow": "168h0m0s",
            "checkInterval": "1h0m0s",
        }


def test_frontend_admits_every_client_authority(render: Renderer) -> None:
    """The official template knows two files; clients of a second authority would be locked out."""
    deployment = Deployment(internode_authority="internode", client_authorities=("clients", "partners"))
    rendered = render(server_config(deployment), server_environment(deployment) | SQLITE)

    assert rendered["global"]["tls"]["frontend"]["server"]["clientCaFiles"] == [
        f"server/ca/{authority}-{slot}.pem" for authority in ("clients", "partners") for slot in "ab"
    ]


HOSTS = replace(
    DEPLOYMENT,
    host_overrides={"orders.internal": ("orders",), "billing.internal": ("billing",)},
    generations={"orders": 3},
)


def test_every_host_override_asks_for_certificates_of_its_own_authorities(render: Renderer) -> None:
    """An override without its own requireClientAuth admits callers that show no certificate."""
    public, internal = (
        render(server_config(HOSTS), {**environment, **SQLITE})["global"]["tls"]["frontend"]
        for environment in (server_environment(HOSTS), internal_frontend_environment(HOSTS))
    )

    assert public["hostOverrides"].keys() == {"orders.internal", "billing.internal"}
    for name, slots in {"orders": "abc", "billing": "ab"}.items():
        override = public["hostOverrides"][f"{name}.internal"]
        assert override == {**public["server"], "clientCaFiles": [f"server/ca/{name}-{slot}.pem" for slot in slots]}
        assert override["requireClientAuth"] is True
        assert internal["hostOverrides"][f"{name}.internal"] == internal["server"]


def test_host_override_without_its_authority_does_not_start(render: Renderer) -> None:
    """The server would admit, under that name, the clients of every public authority."""
    environment = server_environment(HOSTS) | SQLITE
    del environment["TEMPORAL_TLS_HOST1_CLIENT1_CA_CERT"]

    with pytest.raises(RenderError, match=r"TEMPORAL_TLS_HOST1_CLIENT1_CA_CERT is not set: under the name orders\.int"):
        render(server_config(HOSTS), environment)


def test_one_process_that_admits_clients_by_a_host_name_does_not_start(render: Renderer) -> None:
    """The way in to the internal frontend that one looks for last."""
    environment = internal_frontend_environment(HOSTS) | SQLITE
    render(server_config(HOSTS), environment)
    environment["TEMPORAL_TLS_HOST2_CLIENT1_CA_CERT"] = "server/ca/billing-a.pem"

    with pytest.raises(RenderError, match="TEMPORAL_TLS_HOST2_CLIENT1_CA_CERT lets clients in over HTTP"):
        render(server_config(HOSTS), environment)


@pytest.mark.parametrize(
    "missing",
    [
        "TEMPORAL_TLS_SERVER_CERT",
        "TEMPORAL_TLS_SERVER_KEY",
        "TEMPORAL_TLS_SERVER_CA_CERT",
        "TEMPORAL_TLS_FRONTEND_CERT",
        "TEMPORAL_TLS_FRONTEND_KEY",
        "TEMPORAL_TLS_CLIENT1_CA_CERT",
        "TEMPORAL_TLS_INTERNODE_SERVER_NAME",
        "TEMPORAL_TLS_FRONTEND_SERVER_NAME",
        "TEMPORAL_TLS_REFRESH_INTERVAL",
        "DYNAMIC_CONFIG_FILE_PATH",
    ],
)
def test_server_does_not_start_without(render: Renderer, missing: str) -> None:
    """A missing variable turns TLS off, and the server says nothing about it."""
    environment = server_environment(DEPLOYMENT) | SQLITE
    render(server_config(DEPLOYMENT), environment)
    del environment[missing]

    with pytest.raises(
        RenderError, match=f"{missing} is not set: .* Start this process with the variables of server.env"
    ):
        render(server_config(DEPLOYMENT), environment)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DB": ""}, "DB does not name a database"),
        ({"DB": "postgres"}, "DB does not name a database"),
        ({"DB": "cassandra", "CASSANDRA_SEEDS": "cassandra.internal"}, "Set ENABLE_ES=true and ES_SEEDS too"),
        (
            {"TEMPORAL_SERVICES": "frontend,internal-frontend,history,matching,worker"},
            "Run it as a process of its own, with the variables of internal-frontend.env",
        ),
    ],
)
def test_server_does_not_start_with(render: Renderer, changes: dict[str, str], message: str) -> None:
    """The server's own words for these come late, name no variable, or never come."""
    environment = server_environment(DEPLOYMENT) | SQLITE
    render(server_config(DEPLOYMENT), environment)

    with pytest.raises(RenderError, match=message):
        render(server_config(DEPLOYMENT), environment | changes)


@pytest.mark.parametrize("awkward", ['"', "'", "a: b #c", "\\n", "{{ . }}", "*&!|>%@`", "é<>", "- x", "null", "007"])
def test_value_of_a_variable_stays_what_it_is(render: Renderer, awkward: str) -> None:
    """A generated password with a quote in it would be another password, or another YAML document."""
    environment = server_environment(DEPLOYMENT) | {"DB": "postgres12", "POSTGRES_USER": awkward}
    stores = render(server_config(DEPLOYMENT), environment)["persistence"]["datastores"]

    assert {store["sql"]["user"] for store in stores.values()} == {awkward}


def test_server_that_forgets_server_yaml_still_speaks_mutual_tls(render: Renderer) -> None:
    """Without TEMPORAL_SERVER_CONFIG_FILE_PATH it renders the template that it carries, from the same variables."""
    tls = render(official_template(), server_environment(DEPLOYMENT) | SQLITE)["global"]["tls"]

    for group in ("internode", "frontend"):
        assert tls[group]["server"]["requireClientAuth"] is True
        assert tls[group]["server"]["keyFile"] == "server/cluster.key"
        assert tls[group]["client"]["disableHostVerification"] is False


def test_dynamic_config_has_only_keys_that_the_server_knows(tmp_path: Path) -> None:
    """The server takes no notice of a key that it does not know, and the membership ports stay open."""

    def verdict(document: str) -> str:
        file = tmp_path / "dynamicconfig.yaml"
        file.write_text(document)
        command = [server_program(), "validate-dynamic-config", str(file)]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return finished.stdout.removeprefix(f"{file}\n")

    assert verdict(dynamic_config()) == ""
    assert "unregistered key" in verdict(dynamic_config().replace("TLS", "SSL"))
