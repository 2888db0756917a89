"""Programs that tests need and no language's registry has: what is on PATH, else Debian's package, where this process
may install it.

Playwright would download a browser of its own, from a host that many networks do not let through, and that nobody
updates; Maven's own wrapper would do the same.
"""

import glob
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from tools import ToolError

# On a new machine the system's own updates may hold the lock for a while.
_APT_GET = ("apt-get", "-o", "DPkg::Lock::Timeout=300")


@dataclass(frozen=True, kw_only=True)
class DebianProgram:
    """A program under any of `names`, the package that has it, and who needs it.

    `directories` is a pattern of those where Debian has it besides PATH.
    """

    names: tuple[str, ...]
    package: str
    needed_for: str
    directories: str = ""


CHROMIUM = DebianProgram(names=("chromium", "google-chrome"), package="chromium", needed_for="the tests of sign-on")
MAVEN = DebianProgram(names=("mvn",), package="maven", needed_for="the example in Java")
POSTGRESQL = DebianProgram(
    names=("postgres",),
    package="postgresql",
    needed_for="the tests of deploy/compose.yaml and of `make serve`",
    directories="/usr/lib/postgresql/*/bin",
)
BUSYBOX = DebianProgram(names=("busybox",), package="busybox", needed_for="the tests of deploy/compose.yaml")
IPROUTE = DebianProgram(
    names=("ip",), package="iproute2", needed_for="the tests of deploy/compose.yaml", directories="/usr/sbin"
)


def found(program: DebianProgram) -> Path:
    """The program's executable, installed first if need be. Raises ToolError when it cannot be had."""
    there = _on_path(program)
    if there:
        return there
    package = program.package
    fix = f"`apt-get install {package}` as root, or put {' or '.join(program.names)} on PATH"
    if os.geteuid() or not shutil.which("apt-get"):
        raise ToolError(f"there is no {package} for {program.needed_for}: {fix}")
    click.echo(f"installing Debian's {package}, for {program.needed_for}", err=True)
    for command in ((*_APT_GET, "update"), (*_APT_GET, "install", "-y", "--no-install-recommends", package)):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        # The answer of this program may be somebody's input, so that progress goes where messages go.
        if subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode:
            raise ToolError(f"{package} cannot be installed, `{' '.join(command)}` says why: {fix}")
    there = _on_path(program)
    if not there:
        raise ToolError(f"apt-get has installed a {package} that is not on PATH: {fix}")
    return there


def _on_path(program: DebianProgram) -> Path | None:
    directories = os.pathsep.join([*glob.glob(program.directories), os.environ.get("PATH", os.defpath)])
    return next((Path(path) for name in program.names if (path := shutil.which(name, path=directories))), None)
