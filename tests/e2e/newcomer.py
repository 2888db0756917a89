"""Somebody who has just cloned the repository, and types what a page says.

The clone is a copy of the work tree with a local stack of its own. Its shell has namespaces of its own for the network,
where what a page starts on the usual ports meets nobody, and for processes, which end with it. Where the machine allows
no namespaces the ports are the machine's, and a page has to end what it starts.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

from tools import REPOSITORY

_UNSHARE = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_ENTER = ("nsenter", "--user", "--net", "--preserve-credentials", "--target")
_HOLD = "ip link set lo up && echo ready && exec sleep infinity"
_BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SHARED = (".venv", ".tools")
_CALLERS_OWN = ("ARM_", "AZURE_", "PULUMI_", "TEMPORAL_", "MAKE", "MFLAGS")
_LIMIT_SECONDS = 240


def command_blocks(page: Path) -> list[str]:
    """The blocks of commands on a page, in their order."""
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in _BLOCK.findall(page.read_text())]


class Newcomer:
    """A clone, and a shell in it. What was started there ends with the context."""

    def __init__(self, clone: Path) -> None:
        self.clone = clone

    def __enter__(self) -> Self:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (REPOSITORY / name).is_file():
                target = self.clone / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(REPOSITORY / name, target)
        for name in _SHARED:
            (self.clone / name).symlink_to(REPOSITORY / name)
        self._holder = _holder()
        return self

    def __exit__(self, *_: object) -> None:
        self.run("make down")
        if self._holder:
            self._holder.kill()
            self._holder.communicate()

    def run(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script as a person's shell would, up to the first command that fails."""
        # Files, because what goes on in the background would keep pipes open.
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            done = subprocess.run(
                [*self._inside(), "bash", "-euo", "pipefail", "-c", script],
                cwd=self.clone,
                env=_environment() | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                text=True,
                timeout=_LIMIT_SECONDS,
                check=False,
            )
            output.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(script, done.returncode, output.read(), errors.read())

    def start(self, *command: str, log: Path, **variables: str) -> "Terminal":
        """Run a command in a terminal of its own, and go on."""
        return Terminal([*self._inside(), *command], self.clone, _environment() | variables, log)

    def network(self) -> tuple[str, ...]:
        """What runs a command of this machine where the clone's loopback is."""
        return (*_ENTER, self._first()) if self._holder else ()

    def _inside(self) -> tuple[str, ...]:
        return (*_ENTER, self._first(), "--pid", "--mount", f"--wd={self.clone}", "--") if self._holder else ()

    def _first(self) -> str:
        assert self._holder
        (first,) = psutil.Process(self._holder.pid).children()
        return str(first.pid)


class Terminal:
    """A command in a terminal of its own. What it says is in `log`."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self._shell = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def press_ctrl_c(self) -> None:
        """Once: the whole group of processes gets it, as from a terminal."""
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGINT)

    def running(self) -> list[psutil.Process]:
        """The processes of the group, those that nobody has asked how they ended left out."""
        self._shell.poll()
        return [process for process in psutil.process_iter() if _group(process) == self._shell.pid]


def writers(folder: Path) -> list[psutil.Process]:
    """The processes that have a file in a folder open."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(file.path.startswith(str(folder)) for file in process.open_files()):
                found.append(process)
    return found


def _group(process: psutil.Process) -> int | None:
    with suppress(psutil.Error, ProcessLookupError):
        if process.status() != psutil.STATUS_ZOMBIE:
            return os.getpgid(process.pid)
    return None


def _environment() -> dict[str, str]:
    """The caller's, without what is about another stack."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_CALLERS_OWN)}


def _holder() -> "subprocess.Popen[str] | None":
    """A process that holds the namespaces; None where they are not allowed."""
    try:
        holder = subprocess.Popen([*_UNSHARE, "sh", "-c", _HOLD], stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        return None
    assert holder.stdout
    if holder.stdout.readline() == "ready\n":
        return holder
    holder.communicate()
    return None
