"""`make serve`: the real server and UI from a deploy directory, natively, and what keeps them from starting."""

import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from environment import default_ports
from tests.e2e import sample_worker
from tests.e2e.newcomer import writers
from tests.e2e.ports import free_ports
from tests.e2e.stack import WORKER_ENV, Stack
from tools import REPOSITORY, ToolError
from tools.serve import Site, serving
from tools.toolchain import Toolchain

pytestmark = pytest.mark.e2e

SERVICES = ("frontend", "history", "matching", "worker", "internal-frontend")
PROGRAM = """\
import sys
from contextlib import nullcontext
from pathlib import Path
from tools.serve import Site, serving
from tools.toolchain import Toolchain

deployed, database, *variables = sys.argv[1:]
site = Site(
    deployed=Path(deployed),
    database=Path(database),
    variables=dict(each.split("=", 1) for each in variables),
    provision="make up",
)
with serving(site, Toolchain(), nullcontext) as temporal:
    print("serving", flush=True)
    temporal.wait()
"""


@pytest.fixture
def site(stack: Stack, shared: Path, tmp_path: Path) -> Iterator[Site]:
    """A copy of what `make up` left, and free ports; the frontend's is the stack's own, which one cluster has."""
    deployed = tmp_path / "deployed"
    shutil.copytree(stack.deployed.root, deployed, symlinks=True)
    variables = [name for name in default_ports(SERVICES) if name != "FRONTEND_GRPC_PORT"]
    chosen = dict(zip([*variables, "TEMPORAL_UI_PORT"], map(str, free_ports(len(variables) + 1)), strict=True))
    with FileLock(shared / "cluster.lock"):
        yield Site(deployed=deployed, database=tmp_path / "database", variables=chosen, provision="make up STACK=local")


def test_a_workflow_runs_and_nothing_is_left_running(stack: Stack, site: Site) -> None:
    """Whoever tries it has a server at once, and none for ever after."""
    said: list[str] = []

    def progress(what: str) -> nullcontext[None]:
        said.append(what)
        return nullcontext()

    with serving(site, Toolchain(), progress) as temporal:
        finished = stack.deployed.run(WORKER_ENV, sys.executable, sample_worker.__file__)
        assert finished.stdout == "Hello, Temporal\n", finished.stderr
        assert temporal.frontend == stack.deployed.variables(WORKER_ENV)["TEMPORAL_ADDRESS"]
        assert temporal.namespaces == ["default"]
        assert len(writers(site.logs)) == 3

    assert writers(site.logs) == []
    assert {file.name for file in site.database.iterdir()} >= {"temporal.db", "visibility.db"}
    assert {log.name for log in site.logs.iterdir()} == {"server.log", "internal-frontend.log", "ui.log"}
    assert said == [
        "starting server",
        "starting internal-frontend",
        "waiting for the system worker",
        "making the namespace default",
        "starting ui",
        "waiting for the UI",
        "ending, once the server has finished what it was asked",
    ]


def test_ctrl_c_ends_everything(site: Site) -> None:
    """A server that outlives its terminal keeps the ports, and nobody knows whose it is."""
    variables = [f"{name}={value}" for name, value in site.variables.items()]
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(site.deployed), str(site.database), *variables],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout
        assert program.stdout.readline() == "serving\n"
        program.send_signal(signal.SIGINT)
        program.send_signal(signal.SIGINT)
        program.wait(60)

    assert writers(site.logs) == []


def test_a_process_that_dies_ends_the_others_and_is_named(site: Site) -> None:
    """Without its internal frontend the server answers, and does half of its work."""

    def wait_while_one_dies() -> None:
        with serving(site, Toolchain(), lambda what: nullcontext()) as temporal:
            (victim,) = (process for process in temporal.processes if process.log.stem == "internal-frontend")
            victim.stop()
            temporal.wait()

    with pytest.raises(ToolError, match="internal-frontend ended with"):
        wait_while_one_dies()

    assert writers(site.logs) == []


def test_a_port_that_is_taken_is_named_before_anything_starts(site: Site) -> None:
    """The server's own words for it come after a minute, in the middle of its log."""
    port = int(site.variables["TEMPORAL_UI_PORT"])
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(ToolError, match=rf"listens on {port} \(ui\) already; nothing was started"),
        serving(site, Toolchain(), lambda what: nullcontext()),
    ):
        pass

    assert not site.logs.exists()


def test_a_stack_without_files_is_told_how_to_get_them(site: Site, tmp_path: Path) -> None:
    """Who types `make serve` first wants the command that comes before it."""
    with (
        pytest.raises(ToolError, match=r"cannot be read .*; nothing was started: make up STACK=local"),
        serving(replace(site, deployed=tmp_path / "nothing"), Toolchain(), lambda what: nullcontext()),
    ):
        pass


def test_a_server_that_does_not_come_up_says_why(site: Site) -> None:
    """The reason is in a log that nobody knows of."""
    wrong = replace(site, variables={**site.variables, "DB": "oracle"})
    with (
        pytest.raises(
            ToolError, match=r"(?s)server did not come up; all that it said is in .*DB does not name a database"
        ),
        serving(wrong, Toolchain(), lambda what: nullcontext()),
    ):
        pass

    assert writers(site.logs) == []
