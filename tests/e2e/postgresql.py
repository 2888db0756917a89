"""A real PostgreSQL from Debian's package: as the image `postgres` starts it, and on a port of this machine's loopback.

It refuses to run as root, so that a root of a machine, or of a namespace, becomes somebody else for it.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tools import debian
from tools.processes import Process, wait_until

SUPERUSER = "postgres"
PASSWORD = "it's-$ecret:+%/@"
"""With what means something to a shell, to make, in a URL, and in YAML."""

# What the image's docker-entrypoint.sh does, which is in no module: set up once, then serve. What is written into
# pg_hba.conf by default trusts whoever comes over loopback.
ENTRYPOINT = """\
#!/bin/sh
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  password=$(mktemp)
  printf %s "$POSTGRES_PASSWORD" > "$password"
  initdb --username="$POSTGRES_USER" --pwfile="$password" --encoding=UTF8 --locale=C.UTF-8 --no-sync \\
    ${POSTGRES_INITDB_ARGS:-}
  rm "$password"
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
fi
exec postgres -c 'listen_addresses=*' "$@"
"""

_NEVER_ROOT = """\
[ "$(id -u)" != 0 ] || exec unshare --user --map-user=1000 --map-group=1000 "$@"
exec "$@"
"""
_HOST_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def programs() -> Path:
    """Where PostgreSQL's programs are."""
    return debian.found(debian.POSTGRESQL).resolve().parent


class Postgresql:
    """A PostgreSQL in a folder, as long as the context lasts. `within` is a command that runs others where it is to be.

    Whoever comes needs a password, over loopback too.
    """

    def __init__(self, folder: Path, *, port: int, password: str, within: Sequence[str] = ()) -> None:
        self.port = port
        self._folder = folder
        self._password = password
        self._within = within

    def __enter__(self) -> Self:
        """Return when it answers. Raises ProcessEndedError, or TimeoutError."""
        self._folder.mkdir()
        options = ("listen_addresses=127.0.0.1", f"port={self.port}", "unix_socket_directories=")
        self._process = Process(
            [
                *(*self._within, "sh", "-euc", _NEVER_ROOT, "sh"),
                *("sh", "-c", ENTRYPOINT, "postgresql"),
                *(word for option in options for word in ("-c", option)),
            ],
            self._environment
            | {
                "PGDATA": str(self._folder / "data"),
                "POSTGRES_USER": SUPERUSER,
                "POSTGRES_PASSWORD": self._password,
                "POSTGRES_INITDB_ARGS": "--auth-host=scram-sha-256",
            },
            self._folder / "log",
        )

        def answers() -> bool:
            self._process.require_running()
            return self._psql("SELECT 1", SUPERUSER).returncode == 0

        try:
            wait_until(answers, "PostgreSQL answers")
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def query(self, statement: str, database: str = SUPERUSER) -> list[str]:
        """The rows that its superuser gets, columns with a bar between them."""
        answered = self._psql(statement, database)
        assert answered.returncode == 0, answered.stderr
        return answered.stdout.splitlines()

    def _psql(self, statement: str, database: str) -> "subprocess.CompletedProcess[str]":
        place = ("--host=127.0.0.1", f"--port={self.port}", f"--username={SUPERUSER}", f"--dbname={database}")
        plain = ("--no-psqlrc", "--tuples-only", "--no-align", "--quiet", "--no-password")
        return subprocess.run(
            [*self._within, "psql", *place, *plain, f"--command={statement}"],
            env=self._environment | {"PGPASSWORD": self._password},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": f"{programs()}:{_HOST_PATH}"}
