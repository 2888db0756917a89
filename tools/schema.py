"""The tables of Temporal's databases, where these are not SQLite, whose tables the server makes by itself.

Each step does nothing where it was done before, so every start may take them all, and the first one after an upgrade
brings the tables up to date. The steps are those of Temporal's own set-up (temporal-sql-tool); the password goes
through the environment, where no list of processes shows it. A database is made only where there is none: who may not
make any has one that somebody else has made.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tools import ToolError
from tools.toolchain import Toolchain

_TAIL_CHARACTERS = 1000
_ERROR = re.compile(r"ERROR\S*\t[^\t]*\t(\{.*\})$", re.MULTILINE)
_CREDENTIALS = re.compile(r"//[^/\n]*@")
_NOT_THERE = re.compile(r"3D000|Error 1049\b")  # as PostgreSQL and MySQL number it

# Temporal writes both into a URL: the user as it is, the password as in a query, where a space is a plus sign.
_SENT_OTHERWISE = {"POSTGRES_USER": re.compile(r"[^\w.~!$&'()*+,;=@-]", re.ASCII), "POSTGRES_PWD": re.compile(" ")}
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
    _require_sendable(server, _DATABASES[plugin])
    tool = str(toolchain.sql_tool())
    for schema, variables in _connections(server, plugin, _DATABASES[plugin]):
        name = variables["SQL_DATABASE"]

        def take(*step: str, variables: Mapping[str, str] = variables) -> str | None:
            """Take a step; why it failed, None if it did not."""
            answer = subprocess.run(
                [tool, *step], env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            return _reason(answer) if answer.returncode else None

        with progress(f"bringing the tables of the database {name} up to date"):
            begin, update = ("setup-schema", "-v", "0.0"), ("update-schema", "-s", schema)
            wrong = take(*begin)
            if wrong and _NOT_THERE.search(wrong):
                if refused := take("create-database"):
                    raise ToolError(
                        f"there is no database {name}, and it could not be made ({refused}), so nothing was started. "
                        f"Have it made for {variables['SQL_USER']}, or name a user who may make it"
                    )
                wrong = take(*begin)
            wrong = wrong or take(*update)
            if wrong:
                raise ToolError(
                    f"the tables of the database {name} could not be brought up to date ({wrong}), so nothing was "
                    f"started. Check the variables DB, DB_PORT, {_DATABASES[plugin].prefix}_* and SQL_*"
                )


def _require_sendable(server: Mapping[str, str], database: _Database) -> None:
    """Raise ToolError when Temporal would send another user or password than the variables name."""
    for name, otherwise in _SENT_OTHERWISE.items():
        for variable in (name, f"VISIBILITY_{name}"):
            found = otherwise.search(server.get(variable, "")) if name.startswith(database.prefix) else None
            if found:
                raise ToolError(
                    f"{variable} has {found[0]!r} in it, which Temporal sends to PostgreSQL as something else, so that "
                    f"nobody could log in; nothing was started. Choose another without it"
                )


def _reason(answer: "subprocess.CompletedProcess[str]") -> str:
    """Why the tool failed: the first error that it logs, else the end of what it says. No password is in it."""
    said = _CREDENTIALS.sub("//…@", answer.stdout + answer.stderr)
    logged = _ERROR.search(said)
    reason = str(json.loads(logged[1]).get("error", "")) if logged else said[-_TAIL_CHARACTERS:].strip()
    return reason or f"temporal-sql-tool says nothing, and ends with {answer.returncode}"


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
