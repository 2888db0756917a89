"""Gives the PULUMI_HOME of a local stack its resource plugins: local Azure's stand-ins, or official ones if asked for.

Stand-ins never get into any other PULUMI_HOME. What is installed of one, or of an official plugin on PATH, is a script
that starts the code which is there now, so it is installed once.
"""

import io
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import filelock

from localazure.plugins.package import package, version_of
from tools import ToolError

_PLUGINS = ("azure-native", "azuread", "tls")


def official_plugins(names: str) -> frozenset[str]:
    """The plugins named in OFFICIAL_PLUGINS, separated by commas. Raises ToolError for a name that cannot be there."""
    chosen = frozenset(name.strip() for name in names.split(",") if name.strip())
    if unknown := chosen.difference(_PLUGINS):
        raise ToolError(
            f"OFFICIAL_PLUGINS names {', '.join(sorted(unknown))}, which this program does not use; "
            f"it may name any of {', '.join(_PLUGINS)}"
        )
    return chosen


def install_plugins(pulumi: Path, environment: Mapping[str, str], official: frozenset[str] = frozenset()) -> None:
    """Make the PULUMI_HOME of `environment` hold what the program needs; what is right already is left as it is.

    An `official` plugin is taken from PATH, else downloaded by the engine: the only thing here that needs a network.
    """
    home = Path(environment["PULUMI_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(home / "plugins.lock"), tempfile.TemporaryDirectory() as scratch:
        for name in _PLUGINS:
            folder = home / "plugins" / f"resource-{name}-v{version_of(name)}"
            install = ["plugin", "install", "resource", name, version_of(name), "--reinstall"]
            pack = _packed_from_path if name in official else _packed_stand_in
            archive = pack(name, Path(scratch), environment)
            if archive:
                if not _holds(folder, archive):
                    _pulumi(pulumi, [*install, "-f", str(archive)], environment)
            elif name in official and not _is_binary(folder / f"pulumi-resource-{name}"):
                _pulumi(pulumi, install, environment, otherwise=f"put pulumi-resource-{name} on PATH")


def _packed_stand_in(name: str, destination: Path, _: Mapping[str, str]) -> Path | None:
    try:
        return package(name, destination)
    except FileNotFoundError:
        return None


def _packed_from_path(name: str, destination: Path, environment: Mapping[str, str]) -> Path | None:
    executable = f"pulumi-resource-{name}"
    found = shutil.which(executable, path=environment["PATH"])
    if not found:
        return None
    script = f'#!/bin/sh\nexec {shlex.quote(found)} "$@"\n'.encode()
    member = tarfile.TarInfo(executable)
    member.size, member.mode = len(script), 0o755
    archive = destination / f"{executable}.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(member, io.BytesIO(script))
    return archive


def _holds(folder: Path, archive: Path) -> bool:
    """Whether the folder has exactly what the archive has."""
    if not folder.is_dir():
        return False
    with tarfile.open(archive) as tar:
        contents = {member.name: stream.read() for member in tar if (stream := tar.extractfile(member))}
    present = {path.name: path for path in folder.iterdir()}
    return present.keys() == contents.keys() and all(
        path.stat().st_size == len(contents[name]) and path.read_bytes() == contents[name]
        for name, path in present.items()
    )


def _is_binary(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as file:
        return file.read(2) != b"#!"


def _pulumi(pulumi: Path, arguments: list[str], environment: Mapping[str, str], *, otherwise: str = "") -> None:
    answer = subprocess.run([pulumi, *arguments], env=environment, capture_output=True, text=True, check=False)
    if answer.returncode:
        reason = answer.stderr.strip().rpartition("\n")[2]
        raise ToolError(f"`pulumi {shlex.join(arguments)}` failed: {reason}" + (f"; {otherwise}" if otherwise else ""))
