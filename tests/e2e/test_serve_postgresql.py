"""`make serve` on PostgreSQL, as the README says, with a real one; and what keeps it from serving there."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote_plus

import pytest

from tests.e2e.newcomer import Newcomer, writers
from tests.e2e.ports import free_ports
from tests.e2e.postgresql import PASSWORD, Postgresql
from tools.processes import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("serve-postgresql")]

USER, GUEST = "temporal", "guest"
"""One may make databases, the other may not."""

EMPTY, GIVEN, GIVEN_VISIBILITY = "empty", "given", "given_visibility"
"""Databases that somebody has made: one for nobody, two for the guest."""

LOGS = ".deploy/local/logs"

GREET = """
export PATH=$PWD/.venv/bin:$PATH
set -a; . .deploy/local/workers/default/worker.env
python examples/python/worker.py & trap "kill $!" EXIT
python examples/python/starter.py Ada
"""
LIST = """
export PATH=$PWD/.venv/bin:$PATH TEMPORAL_API_KEY=$(make --silent token USER=ada@contoso.example)
set -a; . .deploy/local/cli/cli.env
temporal workflow list
"""


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """Somebody who has typed `make up`."""
    with Newcomer(tmp_path_factory.mktemp("newcomer") / "clone") as newcomer:
        done = newcomer.run("make up")
        assert done.returncode == 0, done.stderr
        yield newcomer


@pytest.fixture(scope="module")
def postgresql(newcomer: Newcomer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgresql]:
    """A PostgreSQL on that loopback, with its two users."""
    folder = tmp_path_factory.mktemp("postgresql") / "server"
    with Postgresql(folder, port=free_ports(1)[0], password="superuser", within=newcomer.network()) as postgresql:
        quoted = PASSWORD.replace("'", "''")
        postgresql.query(f"CREATE ROLE {USER} LOGIN CREATEDB PASSWORD '{quoted}'")
        postgresql.query(f"CREATE ROLE {GUEST} LOGIN PASSWORD '{quoted}'")
        postgresql.query(f"CREATE DATABASE {EMPTY}")
        for name in (GIVEN, GIVEN_VISIBILITY):
            postgresql.query(f"CREATE DATABASE {name} OWNER {GUEST}")
        yield postgresql


@pytest.fixture
def database(postgresql: Postgresql) -> dict[str, str]:
    """What the README sets for a database of one's own."""
    return {
        "DB": "postgres12",
        "POSTGRES_SEEDS": "127.0.0.1",
        "POSTGRES_USER": USER,
        "POSTGRES_PWD": PASSWORD,
        "DB_PORT": str(postgresql.port),
    }


@contextmanager
def served(newcomer: Newcomer, variables: Mapping[str, str]) -> Iterator[None]:
    """`make serve`, from when it says that it serves to one Ctrl-C, which has to end all of it."""
    terminal = newcomer.start("make", "serve", log=newcomer.clone / "serve.log", **variables)
    try:

        def serves() -> bool:
            assert terminal.running(), terminal.said
            return "Ctrl-C ends everything" in terminal.said

        wait_until(serves, "make serve serves", timeout_seconds=150)
        yield
    finally:
        terminal.press_ctrl_c()
        wait_until(lambda: not terminal.running(), "make serve has ended", timeout_seconds=60)
    assert terminal.said.endswith("Ended.\n"), terminal.said
    assert writers(newcomer.clone / LOGS) == []


def traces(newcomer: Newcomer, postgresql: Postgresql) -> dict[str, object]:
    """What a start leaves behind, or holds."""
    clone = newcomer.clone
    return {
        "databases": postgresql.query("SELECT datname FROM pg_database ORDER BY datname"),
        "tables": postgresql.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", EMPTY),
        "connections": postgresql.query(f"SELECT pid FROM pg_stat_activity WHERE usename IN ('{USER}', '{GUEST}')"),
        "logs": {log: log.stat().st_mtime_ns for log in clone.glob(f"{LOGS}/*")},
        "SQLite": list(clone.glob(".local/temporal")),
        "processes": writers(clone / LOGS),
    }


def test_workflow_is_in_postgresql_and_found_after_a_restart(
    newcomer: Newcomer, postgresql: Postgresql, database: dict[str, str]
) -> None:
    """Somebody's workflows are in a file beside his database, which is lost with the folder."""
    with served(newcomer, database):
        greeted = newcomer.run(GREET)
        assert greeted.stdout == "Hello, Ada\n", greeted.stderr
        visible = "SELECT workflow_id FROM executions_visibility WHERE workflow_type_name = 'Greeting'"
        (workflow,) = wait_until(lambda: postgresql.query(visible, "temporal_visibility"), "it is visible")
        kept = postgresql.query(f"SELECT count(*) FROM executions WHERE workflow_id = '{workflow}'", "temporal")
        assert kept == ["1"]
    left = traces(newcomer, postgresql)
    assert (left["connections"], left["SQLite"]) == ([], [])

    with served(newcomer, database):
        listed = newcomer.run(LIST)
        assert re.search(rf"Completed +{workflow} +Greeting", listed.stdout), listed.stdout + listed.stderr


def test_databases_that_somebody_else_has_made_are_taken(
    newcomer: Newcomer, postgresql: Postgresql, database: dict[str, str]
) -> None:
    """On a managed PostgreSQL an administrator makes databases, and `make serve` would ask to make them again."""
    own = {"DB": "postgres12_pgx", "POSTGRES_USER": GUEST, "DBNAME": GIVEN, "VISIBILITY_DBNAME": GIVEN_VISIBILITY}
    with served(newcomer, database | own):
        assert postgresql.query("SELECT name FROM namespaces WHERE name = 'default'", GIVEN) == ["default"]
        assert postgresql.query("SELECT db_name FROM schema_version", GIVEN_VISIBILITY) == [GIVEN_VISIBILITY]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"POSTGRES_PWD": "another"}, 'password authentication failed for user "temporal"'),
        ({"POSTGRES_USER": "nobody"}, 'password authentication failed for user "nobody"'),
        ({"POSTGRES_USER": GUEST, "DBNAME": "missing"}, "no database missing, and it could not be made"),
        ({"POSTGRES_USER": GUEST, "DBNAME": EMPTY}, "permission denied for schema public"),
        ({"DB_PORT": "1"}, "127.0.0.1:1: connect: connection refused"),
        ({"POSTGRES_PWD": "two words"}, "POSTGRES_PWD has ' ' in it, which Temporal sends to PostgreSQL as something"),
        (
            {"POSTGRES_USER": "tem/poral"},
            "POSTGRES_USER has '/' in it, which Temporal sends to PostgreSQL as something",
        ),
        ({"DBNAME": "100%"}, 'invalid URL escape "%"'),
        ({"DB_PORT": "none"}, "temporal-sql-tool says nothing, and ends with 1"),
    ],
    ids=["password", "user", "missing", "rights", "away", "space", "slash", "escape", "port"],
)
def test_what_keeps_it_from_serving_is_said_and_nothing_is_begun(
    newcomer: Newcomer, postgresql: Postgresql, database: dict[str, str], changes: dict[str, str], said: str
) -> None:
    """A server that waits two minutes for its database says so in a log; a tool that fails may tell the password."""
    before = traces(newcomer, postgresql)
    refused = newcomer.run("make serve", **database | changes)

    assert refused.returncode == 2, refused.stdout
    (line,) = (line for line in refused.stderr.splitlines() if line.startswith("Error: "))
    assert said in line
    assert "nothing was started" in line
    password = (database | changes)["POSTGRES_PWD"]
    assert not [form for form in (password, quote_plus(password)) if form in refused.stdout + refused.stderr]
    assert traces(newcomer, postgresql) == before
