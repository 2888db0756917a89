"""One local stack: the real engine on a folder of its own, for `make up` and for tests.

The tracked stack file is never given to the engine, which would write its salt into it: the engine gets a copy in the
stack's folder, made anew each time with the salt of the copy before. Tests start engines in sessions of their own,
because the engine puts each plugin into a process group of its own: only the session reaches them all.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import psutil
import yaml

from localazure.client import LocalAzure
from localazure.processes import has_ended
from tools import REPOSITORY, ToolError
from tools.enginelock import clear_stale_locks
from tools.local import engine_environment, write_passphrase
from tools.plugins import install_plugins
from tools.toolchain import Engine, Toolchain
from tools.unfinished import take_up

_POLL_SECONDS = 0.02
_SALT = re.compile(r"^encryptionsalt:.*\n?", re.MULTILINE)


class EngineError(Exception):
    """The engine ended otherwise than it should; the text is all that it said."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an engine run ended. `changes` counts resources by operation (`create`, `same`, …), only after a success."""

    command: Sequence[str]
    exit_status: int
    stdout: str
    stderr: str
    changes: Mapping[str, int] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """Both streams."""
        return self.stdout + self.stderr

    def check(self) -> Self:
        """This outcome, when the engine succeeded. Raises EngineError when it did not."""
        if self.exit_status:
            raise EngineError(f"{shlex.join(self.command)} exited with {self.exit_status}:\n{self.output}")
        return self


@dataclass(frozen=True, kw_only=True)
class Preview(Outcome):
    """What an `up` would do. `steps` are the engine's: `op`, `urn`, `oldState`, `newState`, `detailedDiff`."""

    steps: Sequence[Mapping[str, Any]] = ()


class Running:
    """An engine at work, in a session of its own. As a context manager it leaves no process behind."""

    def __init__(self, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> None:
        self._command = command
        # Files, because a plugin that outlives its engine would hold a pipe open.
        self._said = Path(tempfile.mkdtemp(prefix="engine-"))
        self._outcome: Outcome | None = None
        with (self._said / "stdout").open("w") as stdout, (self._said / "stderr").open("w") as stderr:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_all()

    def processes(self) -> list[psutil.Process]:
        """What still runs of the engine, its language host, the program and the plugins."""
        found = []
        for process in psutil.process_iter():
            with suppress(ProcessLookupError, psutil.Error):
                if os.getsid(process.pid) == self.pid and not has_ended(process):
                    found.append(process)
        return found

    def interrupt(self) -> None:
        """What Ctrl-C does: ask the engine to end after the operations at hand."""
        self._process.send_signal(signal.SIGINT)

    def kill_engine(self) -> Outcome:
        """SIGKILL the engine alone; its plugins find out for themselves."""
        self._process.kill()
        return self.wait()

    def kill_all(self) -> Outcome:
        """SIGKILL the engine and everything it started."""
        while processes := self.processes():
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self._process.poll()
            time.sleep(_POLL_SECONDS)
        return self.wait()

    def wait(self, timeout_seconds: float = 600) -> Outcome:
        """Wait for the engine to end. Raises EngineError, after killing all, when it has not ended in time."""
        if self._outcome is None:
            try:
                status = self._process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                said = self.kill_all().output
                raise EngineError(
                    f"{shlex.join(self._command)} was killed after {timeout_seconds} s:\n{said}"
                ) from None
            stdout, stderr = ((self._said / stream).read_text() for stream in ("stdout", "stderr"))
            self._outcome = Outcome(command=self._command, exit_status=status, stdout=stdout, stderr=stderr)
            shutil.rmtree(self._said)
        return self._outcome


class LocalStack:
    """A stack in a file backend under `root`, with the program of `project`.

    `azure` is the local Azure that it uses, None for a program that needs none. `settings` is the stack file, by
    default the project's tracked one. `pulumi_home` may be shared between stacks. `environment` is added to every run.
    """

    def __init__(
        self,
        root: Path,
        *,
        azure: LocalAzure | None,
        name: str = "local",
        project: Path = REPOSITORY,
        settings: Path | None = None,
        identity: str = "deployer",
        pulumi_home: Path | None = None,
        official_plugins: frozenset[str] = frozenset(),
        environment: Mapping[str, str] | None = None,
        toolchain: Toolchain | None = None,
    ) -> None:
        self.root = root.absolute()
        self.name = name
        self.project = project
        self._azure = azure
        self._settings = settings or project / f"Pulumi.{name}.yaml"
        self._identity = identity
        self._pulumi_home = pulumi_home
        self._official_plugins = official_plugins
        self._additions = dict(environment or {})
        self._toolchain = toolchain or Toolchain()

    @property
    def backend(self) -> Path:
        """Where the engine keeps the state."""
        return self.root / "backend"

    @property
    def config_file(self) -> Path:
        """The copy of the stack file that the engine reads, and writes its salt into."""
        return self.root / f"Pulumi.{self.name}.yaml"

    @cached_property
    def project_name(self) -> str:
        """The project's name in its Pulumi.yaml."""
        return str(yaml.safe_load((self.project / "Pulumi.yaml").read_text())["name"])

    @cached_property
    def engine(self) -> Engine:
        """The Pulumi CLI, built first where there is none."""
        return self._toolchain.engine()

    def environment(self, identity: str | None = None) -> dict[str, str]:
        """All variables for a process on this stack, as `identity` or the stack's own."""
        azure = self._azure.environment(identity or self._identity) if self._azure else {}
        return self._engine_environment | azure | self._additions

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Use `settings` (namespaced keys and their values) instead of a stack file from now on."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._settings = self.root / "settings.yaml"
        self._settings.write_text(yaml.safe_dump({"config": dict(settings)}))

    def prepare(self) -> None:
        """Make everything that a run needs; none of it is in Azure. Clears the locks of engines that are gone."""
        clear_stale_locks(self.backend, self.project_name, self.name)
        self.backend.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        (self.root / "Pulumi.yaml").write_text(yaml.safe_dump({"name": self.project_name, "runtime": "python"}))
        if write_passphrase(self.root / "passphrase") and self.exists():
            raise ToolError(
                f"{self.root}/passphrase was gone, and nothing else decrypts the state of stack {self.name}: "
                f"put the old one back, or delete {self.root} to start anew"
            )
        self._copy_settings()
        if not self.exists():
            self._pulumi("stack", "init", self.name, "--no-select")
        if self._azure:
            install_plugins(self.engine.executable, self._engine_environment, self._official_plugins)

    def exists(self) -> bool:
        """Whether the backend has this stack."""
        return (self.backend / ".pulumi" / "stacks" / self.project_name / f"{self.name}.json").exists()

    def command(self, operation: str, *arguments: str) -> list[str]:
        """`pulumi OPERATION` on this stack, to be run in the project's folder."""
        stack = ["--stack", self.name, "--config-file", str(self.config_file)]
        return [str(self.engine.executable), operation, *stack, *arguments]

    def start(self, operation: str, *arguments: str, identity: str | None = None) -> Running:
        """Start `pulumi OPERATION`, to be waited for or killed."""
        self.prepare()
        return Running(
            self.command(operation, *arguments, "--non-interactive", "--color", "never"),
            cwd=self.project,
            environment=self.environment(identity),
        )

    def take_up(self, identity: str | None = None) -> list[str]:
        """Take into the state what a killed engine had created, and return the URNs."""

        def pulumi(operation: str, *arguments: str) -> str:
            return self.start(operation, *arguments, identity=identity).wait().check().output

        return take_up(pulumi, self.export(), self.environment(identity))

    def up(self, *arguments: str, identity: str | None = None) -> Outcome:
        """`pulumi up`, without a preview before it, going on where a killed one ended."""
        self.prepare()
        self.take_up(identity)
        return self._recorded(self.start("up", "--yes", "--skip-preview", *arguments, identity=identity).wait())

    def refresh(self, *arguments: str, identity: str | None = None) -> Outcome:
        """`pulumi refresh`, without a preview before it."""
        return self._recorded(self.start("refresh", "--yes", "--skip-preview", *arguments, identity=identity).wait())

    def destroy(self, *arguments: str, identity: str | None = None) -> Outcome:
        """`pulumi destroy`, without a preview before it, of what a killed `up` had begun, too."""
        self.prepare()
        self.take_up(identity)
        return self._recorded(self.start("destroy", "--yes", "--skip-preview", *arguments, identity=identity).wait())

    def preview(self, *arguments: str, identity: str | None = None) -> Preview:
        """`pulumi preview --json`."""
        outcome = self.start("preview", "--json", *arguments, identity=identity).wait()
        document = json.loads(outcome.stdout) if outcome.exit_status == 0 else {}
        return Preview(
            **vars(outcome) | {"changes": document.get("changeSummary", {})}, steps=document.get("steps", ())
        )

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets in the clear."""
        return dict(json.loads(self._pulumi("stack", "output", "--stack", self.name, "--json", "--show-secrets")))

    def export(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """The stack's whole state."""
        shown = ["--show-secrets"] if show_secrets else []
        return dict(json.loads(self._pulumi("stack", "export", "--stack", self.name, *shown)))

    @cached_property
    def _engine_environment(self) -> dict[str, str]:
        return engine_environment(self.root, pulumi_home=self._pulumi_home, toolchain=self._toolchain)

    def _copy_settings(self) -> None:
        salt = ""
        if self.exists() and self.config_file.exists():
            salt = "".join(_SALT.findall(self.config_file.read_text()))
        settings = _SALT.sub("", self._settings.read_text())
        self.config_file.write_text(f"{settings.rstrip()}\n{salt}")

    def _recorded(self, outcome: Outcome) -> Outcome:
        if outcome.exit_status:
            return outcome
        latest, *_ = json.loads(self._pulumi("stack", "history", "--stack", self.name, "--json", "--page-size", "1"))
        return replace(outcome, changes=latest["resourceChanges"])

    def _pulumi(self, *arguments: str) -> str:
        # In the stack's folder the copy is the stack file, so whatever the engine writes goes there.
        command = [str(self.engine.executable), "-C", str(self.root), *arguments, "--non-interactive"]
        answer = subprocess.run(
            command, env=self._engine_environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if answer.returncode:
            raise EngineError(f"{shlex.join(command)} exited with {answer.returncode}:\n{answer.stdout}{answer.stderr}")
        return answer.stdout
