"""The tables of Temporal's databases, where these are not SQLite, whose tables the server makes by itself.

Each step does nothing where it was done before, so every start may take them all, and the first one after an upgrade
brings the tables up to date. The steps are those of Temporal's own set-up (temporal-sql-tool); the password goes
through the environment, where no list of processes shows it.
"""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tools import ToolError
from tools.toolchain import Toolchain

_TAIL_CHARACTERS = 1000
_TLS = {
    "SQL_CA": "SQL_TLS_CA_FILE",
    "SQL_CERT": "SQL_TLS_CERT_FILE",
    "SQL_CERT_KEY": "SQL_TLS_KEY_FILE",
    "SQL_HOST_NAME": "SQL_TLS_SERVER_NAME",
}


@dataclass(frozen=True, kw_only=True)
class _Database:
    """A kind of database: how its variables begin, its port, and the folder of its schemas in the tool."""

    prefix: str
    port: int
    schemas: str


_POSTGRES = _Database(prefix="POSTGRES", port=5432, schemas="postgresql/v12")
_DATABASES = {
    "postgres12": _POSTGRES,
    "postgres12_pgx": _POSTGRES,
    "mysql8": _Database(prefix="MYSQL", port=3306, schemas="mysql/v8"),
}


def prepare_database(
    server: Mapping[str, str], toolchain: Toolchain, progress: Callable[[str], AbstractContextManager[object]]
) -> None:
    """Make the databases and tables that the server's variables name, or bring them up to date.

    Does nothing for SQLite, and for Cassandra, whose tables are left to its administrator. Raises ToolError with what
    the tool says.
    """
    plugin = server["DB"].lower()
    if plugin not in _DATABASES:
        return
    tool = str(toolchain.sql_tool())
    for schema, variables in _connections(server, plugin, _DATABASES[plugin]):
        name = variables["SQL_DATABASE"]
        with progress(f"bringing the tables of the database {name} up to date"):
            for step in (("create-database",), ("setup-schema", "-v", "0.0"), ("update-schema", "-s", schema)):
                answer = subprocess.run(
                    [tool, *step], env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
                )
                if answer.returncode:
                    said = (answer.stdout + answer.stderr)[-_TAIL_CHARACTERS:].strip()
                    raise ToolError(
                        f"the database {name} could not be prepared ({step[0]}), so nothing was started. Check the "
                        f"variables DB, {_DATABASES[plugin].prefix}_* and SQL_*. What temporal-sql-tool says: {said}"
                    )


def _connections(server: Mapping[str, str], plugin: str, database: _Database) -> Iterator[tuple[str, dict[str, str]]]:
    """Each of the two databases: its schema, and what the tool is told."""
    tls = {tool: server[name] for name, tool in _TLS.items() if server.get(name)}
    for store, prefix in (("temporal", ""), ("visibility", "VISIBILITY_")):

        def variable(name: str, default: str = "", prefix: str = prefix) -> str:
            return server.get(f"{prefix}{name}") or server.get(name) or default

        yield (
            f"{database.schemas}/{store}",
            {
                "SQL_PLUGIN": plugin,
                "SQL_HOST": variable(f"{database.prefix}_SEEDS"),
                "SQL_PORT": variable("DB_PORT", str(database.port)),
                "SQL_USER": variable(f"{database.prefix}_USER"),
                "SQL_PASSWORD": variable(f"{database.prefix}_PWD"),
                "SQL_DATABASE": server.get(f"{prefix}DBNAME") or f"temporal{'_visibility' if prefix else ''}",
                "SQL_TLS": server.get("SQL_TLS_ENABLED", "false"),
                "SQL_TLS_DISABLE_HOST_VERIFICATION": str(server.get("SQL_HOST_VERIFICATION") == "false").lower(),
                **tls,
            },
        )
