"""The real Temporal, started from a deploy directory: the two server processes, the UI, the CLI.

Each process gets the variables of its env file and nothing of the caller's environment; to them come those that an
operator chooses, database and ports. The database is SQLite in two files that both processes open (WAL, and ten seconds
of patience for the other's lock, which are the defaults of server.yaml). One process starts first, because two first
boots at once collide over the cluster's metadata. Output goes to a log file per process.
"""

import base64
import http.client
import json
import re
import subprocess
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Self

from tests.e2e.deployed import Deployed
from tests.e2e.ports import free_ports
from tools.processes import Process, ProcessEndedError, wait_until
from tools.toolchain import Toolchain, UiServer

SERVER_ENVS = ("server/server.env", "server/internal-frontend.env")
CLI_ENV, UI_ENV = "cli/cli.env", "ui/ui.env"
_SEVERE, _OF_CONCERN = re.compile(r'"level":"(warn|error|fatal)"'), re.compile("tls|certificate|auth|config")
_STARTS = 5
_REFUSED = re.compile("tls: |x509: ")
_SYSTEM_WORKER = ("--namespace", "temporal-system", "--task-queue", "default-worker-tq")


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


SERVER, INTERNAL_FRONTEND = "server", "internal-frontend"

FRONTEND = Listener("frontend", Protocol.GRPC, SERVER, "clients")
FRONTEND_HTTP = Listener("frontend", Protocol.HTTP, SERVER, "clients")
INTERNAL_FRONTEND_GRPC = Listener("internal-frontend", Protocol.GRPC, INTERNAL_FRONTEND, "internode")
LISTENERS = (
    FRONTEND,
    FRONTEND_HTTP,
    Listener("frontend", Protocol.MEMBERSHIP, SERVER, "internode"),
    *(
        Listener(service, protocol, SERVER, "internode")
        for service in ("history", "matching", "worker")
        for protocol in (Protocol.GRPC, Protocol.MEMBERSHIP)
    ),
    INTERNAL_FRONTEND_GRPC,
    *(
        Listener("internal-frontend", protocol, INTERNAL_FRONTEND, "internode")
        for protocol in (Protocol.HTTP, Protocol.MEMBERSHIP)
    ),
)

READ_AGAIN = {"TEMPORAL_TLS_REFRESH_INTERVAL": "1s"}
"""A cluster with this change sees in a second what it would otherwise see in five minutes."""


@cache
def server_program() -> str:
    return str(Toolchain().temporal_server())


@cache
def cli_program() -> str:
    return str(Toolchain().temporal_cli())


@cache
def ui_program() -> UiServer:
    return Toolchain().ui_server()


class Cluster:
    """Both server processes of a deploy directory, with `changes` to their variables.

    Unless told, the frontend listens where cli.env looks for it, so there is one such cluster of a stack at a time.
    """

    def __init__(self, deployed: Deployed, state: Path, **changes: str) -> None:
        self.deployed = deployed
        self.processes: dict[str, Process] = {}
        self._state = state
        self._changes = changes
        clients = deployed.variables(CLI_ENV)
        self.namespace = clients["TEMPORAL_NAMESPACE"]
        frontend_port = changes.get(FRONTEND.port_variable) or clients["TEMPORAL_ADDRESS"].rpartition(":")[2]
        other_ports = free_ports(len(LISTENERS) - 1)
        self.ports = dict(zip(LISTENERS, (int(frontend_port), *other_ports), strict=True))

    def __enter__(self) -> Self:
        """Start, and return when the frontend serves, the system worker polls, and the clients have their namespace."""
        self._state.mkdir(parents=True, exist_ok=True)
        try:
            for env_file in SERVER_ENVS:
                self._start(env_file)
            wait_until(self.system_pollers, "the system worker polls")
            created = self.administrate("operator", "namespace", "create", "--namespace", self.namespace)
            # Another node has made it, or on a loaded machine the CLI itself, which tries again what has succeeded.
            exists = (f'Namespace "{self.namespace}" already exists', f"{self.namespace}: name: {self.namespace}")
            if not any(said in created.stderr for said in exists):
                created.check_returncode()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def restart(self) -> None:
        """Stop both processes and start them anew; return when the frontend serves.

        A start that meets another node's write in SQLite ends at once, so like a supervisor this one starts it again.
        """
        self._stop()
        for env_file in SERVER_ENVS:
            for attempts_left in reversed(range(_STARTS)):
                try:
                    self._start(env_file)
                    break
                except ProcessEndedError as error:
                    if not attempts_left or "SQLITE_BUSY" not in str(error):
                        raise
        address = f"127.0.0.1:{self.ports[FRONTEND]}"
        wait_until(
            lambda: self.cli("operator", "cluster", "health", "--address", address).stdout == "SERVING\n", "it serves"
        )

    def system_pollers(self) -> list[str]:
        """Who polls the system worker's task queue. Empty means that Temporal serves but does not work."""
        finished = self.administrate(
            "task-queue", "describe", *_SYSTEM_WORKER, "--output", "json", "--command-timeout", "1s"
        )
        found = json.loads(finished.stdout) if finished.returncode == 0 else {}
        return [poller["identity"] for poller in found.get("pollers") or ()]

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the `temporal` CLI with the variables of cli.env and no other."""
        return self.deployed.run(CLI_ENV, cli_program(), *arguments)

    def administrate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the `temporal` CLI as a node, on the internal frontend: no token is asked for there."""
        address = f"127.0.0.1:{self.ports[INTERNAL_FRONTEND_GRPC]}"
        return self.deployed.run(CLI_ENV, cli_program(), *arguments, TEMPORAL_ADDRESS=address, **self._node_pair())

    def _node_pair(self) -> dict[str, str]:
        """The node's certificate and key as the CLI reads them: files, or what is inlined for the server."""
        server = self.deployed.variables(SERVER_ENVS[0])
        if "TEMPORAL_TLS_SERVER_CERT" in server:
            node = self.deployed.root / "server" / "cluster"
            return {
                "TEMPORAL_TLS_CLIENT_CERT_PATH": f"{node}.pem",
                "TEMPORAL_TLS_CLIENT_KEY_PATH": f"{node}.key",
            }
        return {
            f"TEMPORAL_TLS_CLIENT_{part}_DATA": base64.b64decode(server[f"TEMPORAL_TLS_SERVER_{part}_DATA"]).decode()
            for part in ("CERT", "KEY")
        }

    def complaints(self) -> list[str]:
        """What the server has said that is wrong with certificates, configuration or the authorizer."""
        lines = [line for process in self.processes.values() for line in process.log.read_text().splitlines()]
        return [line for line in lines if _SEVERE.search(line) and _OF_CONCERN.search(line)]

    def refusals(self) -> list[str]:
        """What the server has said of handshakes that one side refused, whether it listened or dialled."""
        lines = [line for process in self.processes.values() for line in process.log.read_text().splitlines()]
        return [line for line in lines if _REFUSED.search(line)]

    def _start(self, env_file: str) -> None:
        name = Path(env_file).stem
        environment = {
            **self.deployed.variables(env_file),
            "DB": "sqlite",
            "DBNAME": str(self._state / "temporal.db"),
            "VISIBILITY_DBNAME": str(self._state / "visibility.db"),
            # The only place where gRPC says why it refused a connection that spoke no TLS.
            "GRPC_GO_LOG_SEVERITY_LEVEL": "info",
            **{listener.port_variable: str(port) for listener, port in self.ports.items()},
            **self._changes,
        }
        command = self.deployed.command(env_file, [server_program(), "start"])
        process = Process(command, environment, self._state / f"{name}.log")
        self.processes[name] = process
        ports = {port for listener, port in self.ports.items() if listener.process == name}
        wait_until(lambda: ports <= process.listening_ports(), f"{name} listens on {sorted(ports)}")

    def _stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.stop()


class UserInterface:
    """The UI server of a deploy directory, with `changes` to its variables."""

    def __init__(self, deployed: Deployed, state: Path, **changes: str) -> None:
        self._port = int(changes.get("TEMPORAL_UI_PORT") or free_ports(1)[0])
        self.log = state / "ui.log"
        self._deployed = deployed
        self._environment = deployed.variables(UI_ENV) | {"TEMPORAL_UI_PORT": str(self._port)} | changes

    def __enter__(self) -> Self:
        program = ui_program()
        options = ("--root", "/", "--config", str(program.configuration), "--env", "docker")
        command = self._deployed.command(UI_ENV, [str(program.executable), *options, "start"])
        self._process = Process(command, self._environment, self.log)
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
