"""Gives the PULUMI_HOME of a local stack its resource plugins: local Azure's stand-ins, or official ones if asked for.

Stand-ins never get into any other PULUMI_HOME. What is installed of one, or of an official plugin on PATH, is a
launcher of a few bytes: it starts the code that is there now, so it is installed once. Its version is that of the
installed SDK, because the engine looks for exactly that.
"""

import io
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import filelock

from tools import REPOSITORY, ToolError

_SDKS = {"azure-native": "pulumi-azure-native", "azuread": "pulumi-azuread", "tls": "pulumi-tls"}
_SIGNATURE = b"# Written by tools/plugins.py."


def official_plugins(names: str) -> frozenset[str]:
    """The plugins named in OFFICIAL_PLUGINS, separated by commas. Raises ToolError for a name that cannot be there."""
    chosen = frozenset(name.strip() for name in names.split(",") if name.strip())
    if unknown := chosen - _SDKS.keys():
        raise ToolError(
            f"OFFICIAL_PLUGINS names {', '.join(sorted(unknown))}, which this program does not use; "
            f"it may name any of {', '.join(_SDKS)}"
        )
    return chosen


def install_plugins(pulumi: Path, environment: Mapping[str, str], official: frozenset[str] = frozenset()) -> None:
    """Make the PULUMI_HOME of `environment` hold what the program needs; what is right already is left as it is.

    An `official` plugin is taken from PATH, else downloaded by the engine: the only thing here that needs a network.
    """
    home = Path(environment["PULUMI_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(home / "plugins.lock"):
        for name, sdk in _SDKS.items():
            executable = f"pulumi-resource-{name}"
            installed = home / "plugins" / f"resource-{name}-v{version(sdk)}" / executable
            install = ["plugin", "install", "resource", name, version(sdk), "--reinstall"]
            command = _on_path(executable, environment) if name in official else _stand_in(name)
            if command:
                launcher = b"#!/bin/sh\n" + _SIGNATURE + f'\nexec {shlex.join(command)} "$@"\n'.encode()
                if not _is(installed, launcher):
                    with _archived(executable, launcher) as archive:
                        _pulumi(pulumi, [*install, "-f", str(archive)], environment)
            elif name in official and (not installed.exists() or _is_launcher(installed)):
                _pulumi(pulumi, install, environment)


def _stand_in(name: str) -> list[str] | None:
    module = f"localazure.plugins.{name.replace('-', '_')}"
    if find_spec(module) is None:
        return None
    return ["env", f"PYTHONPATH={REPOSITORY}", "PYTHONSAFEPATH=1", sys.executable, "-m", module]


def _on_path(executable: str, environment: Mapping[str, str]) -> list[str] | None:
    found = shutil.which(executable, path=environment["PATH"])
    return [found] if found else None


def _is(path: Path, content: bytes) -> bool:
    return path.exists() and path.stat().st_size == len(content) and path.read_bytes() == content


def _is_launcher(path: Path) -> bool:
    with path.open("rb") as file:
        return _SIGNATURE in file.read(200)


@contextmanager
def _archived(name: str, content: bytes) -> Iterator[Path]:
    """The archive that `pulumi plugin install -f` takes, with one executable."""
    with tempfile.TemporaryDirectory() as directory:
        archive = Path(directory) / f"{name}.tgz"
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o755
        with tarfile.open(archive, "w:gz") as tar:
            tar.addfile(entry, io.BytesIO(content))
        yield archive


def _pulumi(pulumi: Path, arguments: list[str], environment: Mapping[str, str]) -> None:
    answer = subprocess.run([pulumi, *arguments], env=environment, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise ToolError(f"`pulumi {shlex.join(arguments)}` failed: {answer.stdout}{answer.stderr}")
