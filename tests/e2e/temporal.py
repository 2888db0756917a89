"""The real Temporal, started from a deploy directory: the two server processes, the UI, the CLI.

Each process gets the variables of its env file and nothing of the caller's environment; to them come those that an
operator chooses, database and ports. The database is SQLite in two files that both processes open (WAL, and ten seconds
of patience for the other's lock, which are the defaults of server.yaml). One process starts first, because two first
boots at once collide over the cluster's metadata. Output goes to a log file per process.
"""

import asyncio
import http.client
import random
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Self, TypeVar

import psutil
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile
from temporalio.service import RPCError

from tools.toolchain import Toolchain, UiServer

T = TypeVar("T")

SYSTEM_NAMESPACE = "temporal-system"
SYSTEM_TASK_QUEUE = "default-worker-tq"


class Protocol(Enum):
    """What a listening socket speaks once TLS is up."""

    GRPC = "GRPC"
    HTTP = "HTTP"
    MEMBERSHIP = "MEMBERSHIP"


@dataclass(frozen=True)
class Listener:
    """A socket that a server process listens on. `admits` is the authority whose certificates open it."""

    service: str
    protocol: Protocol
    process: str
    admits: str

    @property
    def port_variable(self) -> str:
        return f"{self.service.upper().replace('-', '_')}_{self.protocol.value}_PORT"

    def __str__(self) -> str:
        return f"{self.service}-{self.protocol.value.lower()}"


SERVER = "server"
INTERNAL_FRONTEND = "internal-frontend"

FRONTEND = Listener("frontend", Protocol.GRPC, SERVER, "clients")
LISTENERS = (
    FRONTEND,
    Listener("frontend", Protocol.HTTP, SERVER, "clients"),
    Listener("frontend", Protocol.MEMBERSHIP, SERVER, "internode"),
    *(
        Listener(service, protocol, SERVER, "internode")
        for service in ("history", "matching", "worker")
        for protocol in (Protocol.GRPC, Protocol.MEMBERSHIP)
    ),
    *(Listener("internal-frontend", protocol, INTERNAL_FRONTEND, "internode") for protocol in Protocol),
)


@cache
def server_program() -> str:
    return str(Toolchain().temporal_server())


@cache
def cli_program() -> str:
    return str(Toolchain().temporal_cli())


@cache
def ui_program() -> UiServer:
    return Toolchain().ui_server()


def read_environment(file: Path) -> dict[str, str]:
    """An env file as a shell reads it."""
    return dict(word.split("=", 1) for word in shlex.split(file.read_text(), comments=True))


def free_ports(count: int, *, besides: int | None = None) -> list[int]:
    """Ports that nobody listens on, outside the range from which the kernel takes those of outgoing connections."""
    ports: list[int] = []
    with ExitStack() as stack:
        while len(ports) < count:
            candidate = stack.enter_context(closing(socket.socket()))
            port = random.randrange(10_000, 32_000)
            with suppress(OSError):
                candidate.bind(("127.0.0.1", port))
                if port != besides:
                    ports.append(port)
    return ports


def wait_until(
    condition: Callable[[], T],
    what: str,
    *,
    passing_errors: tuple[type[Exception], ...] = (),
    timeout_seconds: float = 30,
) -> T:
    """The first true result of `condition`, which may meet `passing_errors` until then."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        error: Exception | None = None
        try:
            if result := condition():
                return result
        except passing_errors as passing:
            error = passing
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: still not so after {timeout_seconds:.0f} s") from error
        time.sleep(0.02)


class Process:
    """A program with nothing but the given environment, and its log."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    def listening_ports(self) -> set[int]:
        """The port of every TCP socket that the process listens on."""
        if self._popen.poll() is not None:
            raise ProcessEndedError(f"ended with {self._popen.returncode}, saying\n{self.log.read_text()[-2000:]}")
        connections = psutil.Process(self._popen.pid).net_connections(kind="tcp")
        return {connection.laddr.port for connection in connections if connection.status == psutil.CONN_LISTEN}

    def terminate(self) -> None:
        """Ask it to end; `stop` waits until it has."""
        self._popen.terminate()

    def stop(self) -> None:
        self.terminate()
        try:
            self._popen.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


class ProcessEndedError(Exception):
    """A program ended that should still run."""


class Cluster:
    """Both server processes of a deploy directory; the frontend listens where cli.env looks for it."""

    def __init__(self, root: Path, state: Path) -> None:
        self.root = root
        self.processes: dict[str, Process] = {}
        self._state = state
        self._cli_environment = read_environment(root / "cli/cli.env")
        frontend_port = int(self._cli_environment["TEMPORAL_ADDRESS"].rpartition(":")[2])
        other_ports = free_ports(len(LISTENERS) - 1, besides=frontend_port)
        self.ports = dict(zip(LISTENERS, (frontend_port, *other_ports), strict=True))

    def __enter__(self) -> Self:
        """Start, and return when the frontend serves and the system worker polls."""
        self._state.mkdir(parents=True, exist_ok=True)
        try:
            for name in (SERVER, INTERNAL_FRONTEND):
                self._start(name)
            wait_until(self.system_pollers, "the system worker polls", passing_errors=(RPCError, RuntimeError))
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def system_pollers(self) -> list[str]:
        """Who polls the system worker's task queue. Empty means that Temporal serves but does not work."""
        return asyncio.run(_pollers(self._cli_environment, SYSTEM_NAMESPACE, SYSTEM_TASK_QUEUE))

    def create_namespace(self, name: str) -> None:
        self.cli("operator", "namespace", "create", "--namespace", name).check_returncode()

    def cli(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run the `temporal` CLI with the variables of cli.env, or with `environment`, and no other."""
        return subprocess.run(
            [cli_program(), *arguments],
            env=dict(environment or self._cli_environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _start(self, name: str) -> None:
        environment = {
            **read_environment(self.root / f"server/{name}.env"),
            "DB": "sqlite",
            "DBNAME": str(self._state / "temporal.db"),
            "VISIBILITY_DBNAME": str(self._state / "visibility.db"),
            # The only place where gRPC says why it refused a connection that spoke no TLS.
            "GRPC_GO_LOG_SEVERITY_LEVEL": "info",
            **{listener.port_variable: str(port) for listener, port in self.ports.items()},
        }
        process = Process([server_program(), "start"], environment, self._state / f"{name}.log")
        self.processes[name] = process
        ports = {port for listener, port in self.ports.items() if listener.process == name}
        wait_until(lambda: ports <= process.listening_ports(), f"{name} listens on {sorted(ports)}")

    def _stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.stop()


class UserInterface:
    """The UI server of a deploy directory, or of one with `changes` to its variables."""

    def __init__(self, root: Path, state: Path, **changes: str) -> None:
        self._port = free_ports(1)[0]
        self._log = state / "ui.log"
        self._environment = read_environment(root / "ui/ui.env") | {"TEMPORAL_UI_PORT": str(self._port)} | changes

    def __enter__(self) -> Self:
        program = ui_program()
        options = ("--root", "/", "--config", str(program.configuration), "--env", "docker")
        command = (str(program.executable), *options, "start")
        self._process = Process(command, self._environment, self._log)
        try:
            wait_until(lambda: self._port in self._process.listening_ports(), "the UI listens")
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a GET."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()


async def _pollers(environment: Mapping[str, str], namespace: str, task_queue: str) -> list[str]:
    profile = ClientConfigProfile.load(disable_file=True, override_env_vars=environment)
    client = await Client.connect(**profile.to_client_connect_config())
    request = DescribeTaskQueueRequest(namespace=namespace, task_queue=TaskQueue(name=task_queue))
    description = await client.workflow_service.describe_task_queue(request, timeout=timedelta(seconds=1))
    return [poller.identity for poller in description.pollers]
