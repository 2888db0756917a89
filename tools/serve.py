"""The real Temporal on this machine, from the files that `up` has written: two server processes, and the UI.

Each process gets the variables of its environment file, and of the caller's those that server.yaml or the UI's template
asks for besides: database, ports, log level. Nothing else of the caller's environment reaches it. Everything listens on
loopback unless the caller says otherwise, and everything ends with this process.
"""

import http.client
import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from deploy import envfile
from environment import CLI, SERVER, UI, Document, default_ports
from tools import ToolError
from tools.processes import Process, ProcessEndedError, wait_until
from tools.schema import prepare_database
from tools.toolchain import Toolchain

Progress = Callable[[str], AbstractContextManager[object]]
"""Shows a person what is being done while it is."""

_SERVER_ENV, _INTERNAL_FRONTEND_ENV = (f"{SERVER.directory}/{file}" for file in SERVER.environment_files)
_UI_ENV, _CLI_ENV = (f"{consumer.directory}/{consumer.environment_files[0]}" for consumer in (UI, CLI))
_WORKER_ENVS = "workers/*/worker.env"

_FRONTEND_PORT, _INTERNAL_FRONTEND_PORT = "FRONTEND_GRPC_PORT", "INTERNAL_FRONTEND_GRPC_PORT"
_UI_PORT = "TEMPORAL_UI_PORT"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ASKED_FOR = re.compile(r'env "([A-Z0-9_]+)"')
_SYSTEM_WORKER = ("--namespace", "temporal-system", "--task-queue", "default-worker-tq")
_START_SECONDS, _CALL_SECONDS, _WATCH_SECONDS = 120, 10, 0.5


@dataclass(frozen=True, kw_only=True)
class Site:
    """A stack's files in `deployed`, the folder for its database, and the caller's variables.

    `provision` is the command that brings the files, for messages.
    """

    deployed: Path
    database: Path
    variables: Mapping[str, str]
    provision: str

    def environment(self, file: str) -> dict[str, str]:
        """The variables of an environment file. Raises ToolError when there is none, or it is not as it was written."""
        path = self.deployed / file
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ToolError(
                f"{path} cannot be read ({error.strerror}); nothing was started: {self.provision}"
            ) from None
        try:
            return envfile.parse(content)
        except ValueError as error:
            raise ToolError(
                f"{path} cannot be read as an environment file ({error}); nothing was started. Mend it, or have it "
                f"written anew: {self.provision}"
            ) from None

    def chosen(self, template: Path, given: Mapping[str, str]) -> dict[str, str]:
        """Those of the caller's variables that a template asks for and an environment file does not give."""
        asked_for = set(_ASKED_FOR.findall(template.read_text())) - given.keys()
        return {name: value for name, value in self.variables.items() if name in asked_for}

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self.deployed / "logs"

    @property
    def namespaces(self) -> list[str]:
        """The namespaces of the CLI and the workers."""
        files = [_CLI_ENV, *(str(path.relative_to(self.deployed)) for path in self.deployed.glob(_WORKER_ENVS))]
        return sorted({self.environment(file)["TEMPORAL_NAMESPACE"] for file in files})


@dataclass(frozen=True, kw_only=True)
class _Program:
    """What one process is started with. `ports` are those that it listens on once it is up."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ports: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Serving:
    """Temporal at work: where, and in which processes."""

    frontend: str
    ui: str
    namespaces: Sequence[str]
    processes: Sequence[Process]

    def wait(self) -> None:
        """Wait for ever. Raises ToolError as soon as a process ends."""
        while True:
            for process in self.processes:
                try:
                    process.require_running()
                except ProcessEndedError as error:
                    raise ToolError(f"{process.log.stem} {error}") from None
            time.sleep(_WATCH_SECONDS)


@contextmanager
def serving(site: Site, toolchain: Toolchain, progress: Progress) -> Iterator[Serving]:
    """Temporal, from when a workflow can run to the end of the context. Raises ToolError when it does not get there."""
    server, internal_frontend, ui = programs = _programs(site, toolchain)
    _require_free(programs)
    prepare_database(server.environment, toolchain, progress)
    site.logs.mkdir(exist_ok=True)
    running: list[Process] = []

    def start(program: _Program) -> Process:
        with progress(f"starting {program.name}"):
            log = site.logs / f"{program.name}.log"
            log.unlink(missing_ok=True)
            process = Process(program.command, program.environment, log)
            running.append(process)
            _until(lambda: program.ports <= process.listening_ports(), process, f"{program.name} listens")
        return process

    try:
        # One first: two first boots at once collide over the cluster's metadata.
        works = start(server)
        start(internal_frontend)
        administer = _administrator(site, toolchain, internal_frontend)
        with progress("waiting for the system worker"):
            _until(lambda: _polls(administer), works, "the system worker polls")
        for namespace in site.namespaces:
            with progress(f"making the namespace {namespace}"):
                _make_namespace(administer, namespace)
        interface, (ui_port,) = start(ui), ui.ports
        with progress("waiting for the UI"):
            _until(lambda: _answers(ui_port), interface, "the UI answers")
        yield Serving(
            frontend=f"127.0.0.1:{server.environment[_FRONTEND_PORT]}",
            ui=f"http://localhost:{ui_port}",
            namespaces=site.namespaces,
            processes=running,
        )
    finally:
        with _uninterrupted(), progress("ending, once the server has finished what it was asked"):
            for process in reversed(running):
                process.terminate()
            for process in running:
                process.stop()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Who presses Ctrl-C twice must not leave a server behind."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _programs(site: Site, toolchain: Toolchain) -> tuple[_Program, _Program, _Program]:
    """The two processes of the server, and the UI."""
    template = site.deployed / SERVER.document_path(Document.SERVER_CONFIG)
    executable = toolchain.temporal_server()
    defaults = _database(site) | {_FRONTEND_PORT: str(_port(site.environment(_CLI_ENV)["TEMPORAL_ADDRESS"], 7233))}

    def process(name: str, file: str) -> _Program:
        given = site.environment(file)
        environment = {**given, **defaults, **site.chosen(template, given)}
        ports = default_ports(given["TEMPORAL_SERVICES"].split(","))
        return _Program(
            name=name,
            command=(str(executable), "start"),
            environment=environment,
            ports=frozenset(int(environment.get(variable, port)) for variable, port in ports.items()),
        )

    ui, given = toolchain.ui_server(), site.environment(_UI_ENV)
    opened = _port(urlsplit(given.get("TEMPORAL_AUTH_CALLBACK_URL", "")).netloc, 8080)
    environment = {**given, _UI_PORT: str(opened), **site.chosen(ui.configuration / "docker.yaml", given)}
    options = ("--root", "/", "--config", str(ui.configuration), "--env", "docker", "start")
    interface = _Program(
        name="ui",
        command=(str(ui.executable), *options),
        environment=environment,
        ports=frozenset({int(environment[_UI_PORT])}),
    )
    return process("server", _SERVER_ENV), process("internal-frontend", _INTERNAL_FRONTEND_ENV), interface


def _database(site: Site) -> dict[str, str]:
    """SQLite in two files, unless the caller has a database."""
    if site.variables.get("DB", "sqlite") != "sqlite":
        return {}
    site.database.mkdir(parents=True, exist_ok=True)
    files = {"DBNAME": "temporal.db", "VISIBILITY_DBNAME": "visibility.db"}
    return {"DB": "sqlite", **{variable: str(site.database / file) for variable, file in files.items()}}


def _port(address: str, default: int) -> int:
    """The port of an address on this machine; what is elsewhere is served on the default here."""
    parts = urlsplit(f"//{address}")
    return parts.port or default if parts.hostname in _LOOPBACK else default


def _require_free(programs: Sequence[_Program]) -> None:
    """Raise ToolError when somebody listens where one of the programs wants to."""
    taken = [f"{port} ({program.name})" for program in programs for port in sorted(program.ports) if _is_taken(port)]
    if taken:
        raise ToolError(
            f"something listens on {', '.join(taken)} already; nothing was started. End it, another `make serve` "
            f"maybe, or choose other ports, as in `make serve {_FRONTEND_PORT}=17233 {_UI_PORT}=18080`"
        )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _until(condition: Callable[[], object], process: Process, what: str) -> None:
    def holds() -> object:
        process.require_running()
        return condition()

    try:
        wait_until(holds, what, timeout_seconds=_START_SECONDS)
    except (ProcessEndedError, TimeoutError) as error:
        raise ToolError(f"{process.log.stem} did not come up; all that it said is in {process.log}: {error}") from None


_Administrator = Callable[..., "subprocess.CompletedProcess[str]"]


def _administrator(site: Site, toolchain: Toolchain, internal_frontend: _Program) -> _Administrator:
    """The `temporal` CLI as a node of the cluster, on the internal frontend, where no token is asked for."""
    node = site.environment(_SERVER_ENV)
    port = internal_frontend.environment.get(
        _INTERNAL_FRONTEND_PORT, default_ports(["internal-frontend"])[_INTERNAL_FRONTEND_PORT]
    )
    environment = site.environment(_CLI_ENV) | {
        "TEMPORAL_ADDRESS": f"127.0.0.1:{port}",
        "TEMPORAL_TLS_CLIENT_CERT_PATH": node["TEMPORAL_TLS_SERVER_CERT"],
        "TEMPORAL_TLS_CLIENT_KEY_PATH": node["TEMPORAL_TLS_SERVER_KEY"],
    }
    program = str(toolchain.temporal_cli())

    def administer(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [program, *arguments, "--command-timeout", f"{_CALL_SECONDS}s"]
        return subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    return administer


def _polls(administer: _Administrator) -> bool:
    """Whether the system worker polls: without it Temporal says SERVING, and does no work of its own."""
    answer = administer("task-queue", "describe", *_SYSTEM_WORKER, "--output", "json")
    return answer.returncode == 0 and bool(json.loads(answer.stdout).get("pollers"))


def _make_namespace(administer: _Administrator, namespace: str) -> None:
    if administer("operator", "namespace", "describe", "--namespace", namespace).returncode == 0:
        return
    answer = administer("operator", "namespace", "create", "--namespace", namespace)
    if answer.returncode:
        raise ToolError(f"the namespace {namespace} could not be made: {answer.stderr.strip()}")


def _answers(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=_CALL_SECONDS)) as connection:
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
