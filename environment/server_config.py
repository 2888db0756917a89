"""server.yaml and dynamicconfig.yaml: what the server has to know and no environment variable can say.

server.yaml reads the variables that the official image reads, with the same meaning, so databases, ports and metrics
are set up as everybody knows them. It differs where the image's own template lets a slip turn security off:

- without its TLS variables it does not render, so the server does not start; the image would listen in plain text;
- with sign-on it does not render without an audience and an authorizer either; the image knows no audience;
- client certificates are always asked for, and host names always verified, the database's too unless switched off;
- every authority has two files a side, so that one comes or goes while the server runs;
- the internal frontend is always part of the cluster, and there is no archival to a world-writable directory.

The trees below have the shape of the file. Their keys are those of the server's config structs
(common/config/config.go), which ignore a key that they do not know.
"""

from collections.abc import Iterable, Iterator, Sequence

from environment.template import Cases, Node, Pipeline, bare, refusal, render, text, texts
from environment.trust import Trust
from environment.variables import Deployment

DATABASES = ("sqlite", "postgres12", "postgres12_pgx", "mysql8", "cassandra")

_SQLITE = 'eq $database "sqlite"'
_POSTGRES = 'eq $database "postgres12" "postgres12_pgx"'
_MYSQL = 'eq $database "mysql8"'
_CASSANDRA = 'eq $database "cassandra"'
_ELASTICSEARCH = "$elasticsearch"


def server_config(deployment: Deployment) -> str:
    """server.yaml, the same for both processes: their environments tell them apart."""
    document: dict[str, Node] = {
        "log": {"stdout": True, "level": text("LOG_LEVEL", "info")},
        "persistence": _persistence(),
        "global": {
            "membership": {"maxJoinDuration": "30s", "broadcastAddress": text("TEMPORAL_BROADCAST_ADDRESS")},
            "pprof": {"port": bare("PPROF_PORT", 0)},
            "tls": _tls(deployment.trust),
            "metrics": _metrics(),
            "authorization": _authorization(),
        },
        "services": _services(),
        "clusterMetadata": _cluster_metadata(),
        "dynamicConfigClient": {"filepath": text("DYNAMIC_CONFIG_FILE_PATH"), "pollInterval": "60s"},
    }
    return "".join((_HEADER, _DEFINITIONS, *_refusals(deployment), render(document)))


_DYNAMIC_CONFIG = {
    "system.enableRingpopTLS": "true",
    "history.shutdownDrainDuration": "2s",
    "matching.shutdownDrainDuration": "2s",
}
"""Two seconds are enough for others to learn that a node has left, and for a call that waits for a busy database.

History drains before matching, and the frontend for a second before both: a process ends within six.
"""


def dynamic_config() -> str:
    """dynamicconfig.yaml. Without it the membership ports talk plain text and let any stranger join the cluster.

    A node that ends has left the membership, and then finishes what other nodes have asked of it. Left alone the server
    does not: these calls end with CANCELLED, which clients are told and do not try again.
    """
    return "".join(f"{key}:\n  - value: {value}\n" for key, value in _DYNAMIC_CONFIG.items())


_HEADER = f"""\
# enable-template
# The Temporal server renders this file from its environment: server.env or internal-frontend.env, and the variables
# of your database, which are those of the official image (DB={", ".join(DATABASES)}).
"""

_DEFINITIONS = """\
{{- $database := env "DB" | lower }}
{{- $elasticsearch := eq "true" (env "ENABLE_ES" | lower) }}
"""

# What happens without a variable. The content of a file may come as NAME_DATA instead.
_REQUIRED_FILES = {
    "TEMPORAL_TLS_SERVER_CERT": "the services would talk to each other in plain text",
    "TEMPORAL_TLS_SERVER_KEY": "the services would talk to each other in plain text",
    "TEMPORAL_TLS_SERVER_CA_CERT": "the services would trust every authority that this machine trusts",
    "TEMPORAL_TLS_FRONTEND_CERT": "the frontend would listen in plain text",
    "TEMPORAL_TLS_FRONTEND_KEY": "the frontend would listen in plain text",
    "TEMPORAL_TLS_CLIENT1_CA_CERT": "the frontend would trust every authority that this machine trusts",
}
_REQUIRED_VALUES = {
    "TEMPORAL_TLS_INTERNODE_SERVER_NAME": "the services would not know whose certificate to expect",
    "TEMPORAL_TLS_FRONTEND_SERVER_NAME": "the services would not know whose certificate to expect",
    "TEMPORAL_TLS_REFRESH_INTERVAL": "renewed certificates would go unnoticed until the old ones expire",
    "DYNAMIC_CONFIG_FILE_PATH": "the membership ports would let strangers join the cluster",
}


_REQUIRED_FOR_SIGN_ON = {
    "TEMPORAL_AUTH_AUTHORIZER": "every client certificate would be an administrator of every namespace",
    "TEMPORAL_AUTH_CLAIM_MAPPER": "tokens would not be looked at",
    "TEMPORAL_JWT_KEY_SOURCE1": "no token could be verified",
    "TEMPORAL_JWT_AUDIENCE": "tokens of other applications, and of other tenants, would be accepted",
}


def _refusals(deployment: Deployment) -> Iterator[str]:
    advice = "Start this process with the variables of server.env or internal-frontend.env."
    for name, consequence in _REQUIRED_FILES.items():
        yield refusal(f"not ({_file(name)})", f"{name} is not set: {consequence}. {advice}")
    for name, consequence in (_REQUIRED_VALUES | (_REQUIRED_FOR_SIGN_ON if deployment.sign_on else {})).items():
        yield refusal(f'not (env "{name}")', f"{name} is not set: {consequence}. {advice}")
    internode = _file("TEMPORAL_TLS_SERVER_CA_CERT")
    for host, (first, *_) in {"": deployment.trust.client_variables, **deployment.trust.host_variables}.items():
        if host:
            yield refusal(
                f"not ({_file(first)})",
                f"{first} is not set: under the name {host} the frontend would trust every authority that this machine "
                f"trusts. {advice}",
            )
        yield refusal(
            f'and (contains "internal-frontend" (env "TEMPORAL_SERVICES")) (ne ({_file(first)}) ({internode}))',
            f"The internal frontend takes whoever it admits for an administrator, and {first} lets clients in over "
            f"HTTP. Run it as a process of its own, with the variables of internal-frontend.env.",
        )
    databases = " ".join(f'"{name}"' for name in DATABASES)
    yield refusal(
        f"not (has $database (list {databases}))",
        f"DB does not name a database that Temporal knows. Set it to one of {', '.join(DATABASES)}.",
    )
    yield refusal(
        f"and ({_CASSANDRA}) (not {_ELASTICSEARCH})",
        "DB is cassandra, where Temporal cannot list workflows. Set ENABLE_ES=true and ES_SEEDS too.",
    )


def _file(name: str) -> str:
    return f'or (env "{name}") (env "{name}_DATA")'


def _persistence() -> Node:
    return {
        "numHistoryShards": bare("NUM_HISTORY_SHARDS", 4),
        "defaultStore": "default",
        "visibilityStore": Pipeline(f'ternary "es-visibility" "visibility" {_ELASTICSEARCH}'),
        "datastores": {
            "default": Cases(
                {
                    _SQLITE: {"sql": _sqlite(text("DBNAME", "temporal"), pool="SQL")},
                    _POSTGRES: {"sql": _sql("POSTGRES", 5432)},
                    _MYSQL: {"sql": _sql("MYSQL", 3306) | _mysql_compatibility()},
                    _CASSANDRA: {"cassandra": _cassandra()},
                }
            ),
            "visibility": Cases(
                {
                    _SQLITE: {"sql": _sqlite(text("VISIBILITY_DBNAME", "temporal_visibility"), pool="SQL_VIS")},
                    _POSTGRES: {"sql": _sql("POSTGRES", 5432, visibility=True)},
                    _MYSQL: {"sql": _sql("MYSQL", 3306, visibility=True) | _mysql_compatibility()},
                }
            ),
            "es-visibility": Cases({_ELASTICSEARCH: {"elasticsearch": _elasticsearch()}}),
        },
    }


def _sqlite(database: Pipeline, *, pool: str) -> dict[str, Node]:
    return {
        "pluginName": "sqlite",
        "databaseName": database,
        "connectAddr": "localhost",
        "connectProtocol": "tcp",
        "connectAttributes": {
            "mode": text("SQLITE_MODE", "rwc"),
            "cache": text("SQLITE_CACHE", "private"),
            "setup": text("SQLITE_SETUP", "true"),
            "journal_mode": text("SQLITE_JOURNAL_MODE", "wal"),
            "synchronous": text("SQLITE_SYNCHRONOUS", "2"),
            "busy_timeout": text("SQLITE_BUSY_TIMEOUT", "10000"),
        },
        "maxConns": bare(f"{pool}_MAX_CONNS", 1),
        "maxIdleConns": bare(f"{pool}_MAX_IDLE_CONNS", 1),
    }


def _sql(prefix: str, port: int, *, visibility: bool = False) -> dict[str, Node]:
    """A PostgreSQL or MySQL store. What is not said of the visibility store is as for the default store."""

    def variable(name: str, default: str = "") -> Pipeline:
        common = text(name, default)
        return text(f"VISIBILITY_{name}", common) if visibility else common

    address, port_number = variable(f"{prefix}_SEEDS"), variable("DB_PORT", str(port))
    pool, connections = ("SQL_VIS", 10) if visibility else ("SQL", 20)
    return {
        "pluginName": Pipeline("$database"),
        "databaseName": text("VISIBILITY_DBNAME", "temporal_visibility") if visibility else text("DBNAME", "temporal"),
        "connectAddr": Pipeline(f'printf "%s:%s" ({address.text}) ({port_number.text})'),
        "connectProtocol": "tcp",
        "user": variable(f"{prefix}_USER"),
        "password": variable(f"{prefix}_PWD"),
        "maxConns": bare(f"{pool}_MAX_CONNS", connections),
        "maxIdleConns": bare(f"{pool}_MAX_IDLE_CONNS", connections),
        "maxConnLifetime": bare(f"{pool}_MAX_CONN_TIME", "1h"),
        "tls": {
            "enabled": bare("SQL_TLS_ENABLED", "false"),
            "caFile": text("SQL_CA"),
            "certFile": text("SQL_CERT"),
            "keyFile": text("SQL_CERT_KEY"),
            "enableHostVerification": bare("SQL_HOST_VERIFICATION", "true"),
            "serverName": text("SQL_HOST_NAME"),
        },
    }


def _mysql_compatibility() -> dict[str, Node]:
    return {
        "connectAttributes": Cases({'env "MYSQL_TX_ISOLATION_COMPAT"': {"tx_isolation": "'READ-COMMITTED'"}}),
    }


def _cassandra() -> dict[str, Node]:
    return {
        "hosts": text("CASSANDRA_SEEDS"),
        "port": bare("CASSANDRA_PORT", 9042),
        "keyspace": text("KEYSPACE", "temporal"),
        "user": text("CASSANDRA_USER"),
        "password": text("CASSANDRA_PASSWORD"),
        "allowedAuthenticators": Pipeline(
            'env "CASSANDRA_ALLOWED_AUTHENTICATORS" | nospace | splitList "," | compact | toJson', bare=True
        ),
        "maxConns": bare("CASSANDRA_MAX_CONNS", 20),
        "tls": {
            "enabled": bare("CASSANDRA_TLS_ENABLED", "false"),
            "caFile": text("CASSANDRA_CA"),
            "certFile": text("CASSANDRA_CERT"),
            "keyFile": text("CASSANDRA_CERT_KEY"),
            "caData": text("CASSANDRA_CA_DATA"),
            "certData": text("CASSANDRA_CERT_DATA"),
            "keyData": text("CASSANDRA_CERT_KEY_DATA"),
            "enableHostVerification": bare("CASSANDRA_HOST_VERIFICATION", "true"),
            "serverName": text("CASSANDRA_HOST_NAME"),
        },
        "addressTranslator": Cases(
            {
                'env "CASSANDRA_ADDRESS_TRANSLATOR"': {
                    "translator": text("CASSANDRA_ADDRESS_TRANSLATOR"),
                    "options": {"advertised-hostname": text("CASSANDRA_ADDRESS_TRANSLATOR_OPTIONS")},
                }
            }
        ),
    }


def _elasticsearch() -> dict[str, Node]:
    return {
        "version": text("ES_VERSION"),
        "url": {
            "scheme": text("ES_SCHEME", "http"),
            "host": Pipeline('printf "%s:%s" (env "ES_SEEDS") (env "ES_PORT" | default "9200")'),
        },
        "username": text("ES_USER"),
        "password": text("ES_PWD"),
        "indices": {
            "visibility": text("ES_VIS_INDEX", "temporal_visibility_v1_dev"),
            "secondary_visibility": Cases({'env "ES_SEC_VIS_INDEX"': text("ES_SEC_VIS_INDEX")}),
        },
    }


def _tls(trust: Trust) -> Node:
    internode = trust.internode_variables
    hosts = {
        host: _tls_server(certificate="TEMPORAL_TLS_FRONTEND", admitted=admitted)
        for host, admitted in trust.host_variables.items()
    }
    return {
        "refreshInterval": bare("TEMPORAL_TLS_REFRESH_INTERVAL", "0s"),
        "expirationChecks": {
            "warningWindow": bare("TEMPORAL_TLS_EXPIRATION_CHECKS_WARNING_WINDOW", "0s"),
            "errorWindow": bare("TEMPORAL_TLS_EXPIRATION_CHECKS_ERROR_WINDOW", "0s"),
            "checkInterval": bare("TEMPORAL_TLS_EXPIRATION_CHECKS_CHECK_INTERVAL", "0s"),
        },
        "internode": {
            "server": _tls_server(certificate="TEMPORAL_TLS_SERVER", admitted=internode),
            "client": _tls_client("INTERNODE", roots=internode),
        },
        "frontend": {
            "server": _tls_server(certificate="TEMPORAL_TLS_FRONTEND", admitted=trust.client_variables),
            "client": _tls_client("FRONTEND", roots=internode),
            **({"hostOverrides": hosts} if hosts else {}),
        },
    }


def _tls_server(*, certificate: str, admitted: Sequence[str]) -> dict[str, Node]:
    return {
        # Without it, said here once more for a host, a caller that shows no certificate is let in.
        "requireClientAuth": True,
        "certFile": text(f"{certificate}_CERT"),
        "certData": text(f"{certificate}_CERT_DATA"),
        "keyFile": text(f"{certificate}_KEY"),
        "keyData": text(f"{certificate}_KEY_DATA"),
        "clientCaFiles": texts(admitted),
        "clientCaData": texts(f"{name}_DATA" for name in admitted),
    }


def _tls_client(group: str, *, roots: Sequence[str]) -> dict[str, Node]:
    return {
        "serverName": text(f"TEMPORAL_TLS_{group}_SERVER_NAME"),
        "rootCaFiles": texts(roots),
        "rootCaData": texts(f"{name}_DATA" for name in roots),
    }


def _metrics() -> Node:
    return Cases(
        {
            'env "STATSD_ENDPOINT"': {"statsd": {"hostPort": text("STATSD_ENDPOINT"), "prefix": "temporal"}},
            'env "PROMETHEUS_ENDPOINT"': {
                "prometheus": {
                    "listenAddress": text("PROMETHEUS_ENDPOINT"),
                    "timerType": text("PROMETHEUS_TIMER_TYPE", "histogram"),
                }
            },
        }
    )


def _authorization() -> Node:
    return {
        "authorizer": text("TEMPORAL_AUTH_AUTHORIZER"),
        "claimMapper": text("TEMPORAL_AUTH_CLAIM_MAPPER"),
        "permissionsClaimName": text("TEMPORAL_JWT_PERMISSIONS_CLAIM", "permissions"),
        "permissionsRegex": text("TEMPORAL_JWT_PERMISSIONS_REGEX"),
        "audience": text("TEMPORAL_JWT_AUDIENCE"),
        "jwtKeyProvider": {
            "keySourceURIs": texts(("TEMPORAL_JWT_KEY_SOURCE1", "TEMPORAL_JWT_KEY_SOURCE2")),
            "refreshInterval": bare("TEMPORAL_JWT_KEY_REFRESH", "1m"),
        },
    }


# The ports that a service listens on, unless SERVICE_GRPC_PORT and so on say otherwise: gRPC, membership, HTTP.
_PORT_KEYS = {"GRPC": "grpcPort", "MEMBERSHIP": "membershipPort", "HTTP": "httpPort"}
_PORTS = {
    "frontend": {"GRPC": 7233, "MEMBERSHIP": 6933, "HTTP": 7243},
    "internal-frontend": {"GRPC": 7236, "MEMBERSHIP": 6936, "HTTP": 7246},
    "history": {"GRPC": 7234, "MEMBERSHIP": 6934},
    "matching": {"GRPC": 7235, "MEMBERSHIP": 6935},
    "worker": {"GRPC": 7239, "MEMBERSHIP": 6939},
}


def default_ports(services: Iterable[str]) -> dict[str, int]:
    """The ports that these services listen on, by the variables that set others."""
    return {
        _port_variable(service, protocol): port for service in services for protocol, port in _PORTS[service].items()
    }


def _services() -> Node:
    return {
        service: {
            "rpc": {
                **{
                    _PORT_KEYS[protocol]: bare(_port_variable(service, protocol), port)
                    for protocol, port in ports.items()
                },
                "bindOnIP": text("BIND_ON_IP", "127.0.0.1"),
            }
        }
        for service, ports in _PORTS.items()
    }


def _port_variable(service: str, protocol: str) -> str:
    return f"{service.upper().replace('-', '_')}_{protocol}_PORT"


def _cluster_metadata() -> Node:
    address = 'env "TEMPORAL_BROADCAST_ADDRESS" | default (env "BIND_ON_IP") | default "127.0.0.1"'
    return {
        "enableGlobalNamespace": False,
        "failoverVersionIncrement": 10,
        "masterClusterName": "active",
        "currentClusterName": "active",
        "clusterInformation": {
            "active": {
                "enabled": True,
                "initialFailoverVersion": 1,
                "rpcName": "frontend",
                "rpcAddress": text(
                    "CLUSTER_RPC_ADDRESS",
                    Pipeline(f'printf "%s:%s" ({address}) (env "FRONTEND_GRPC_PORT" | default "7233")'),
                ),
                "httpAddress": text(
                    "CLUSTER_HTTP_ADDRESS",
                    Pipeline(f'printf "%s:%s" ({address}) (env "FRONTEND_HTTP_PORT" | default "7243")'),
                ),
            }
        },
    }
