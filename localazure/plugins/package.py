"""Packs a stand-in plugin as the archive that `pulumi plugin install resource NAME VERSION -f ARCHIVE` takes.

The archive holds the executable and the path of this repository, where the code stays: an installed stand-in runs what
is in the work tree, and there is nothing to install again after an edit.
"""

import tarfile
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]


def version_of(name: str) -> str:
    """Return the version under which the plugin must be installed: that of the installed SDK, which asks for it."""
    return version(f"pulumi-{name}")


def package(name: str, destination: Path) -> Path:
    """Write the archive of a stand-in into a folder, and return its path.

    Args:
        name: the official plugin's name, such as `azure-native`.
        destination: an existing folder.

    Raises:
        FileNotFoundError: if there is no stand-in of that name.
    """
    executable = f"pulumi-resource-{name}"
    script = (Path(__file__).parent / name.replace("-", "_") / executable).read_bytes()
    archive = destination / f"{executable}-v{version_of(name)}.tgz"
    members = {executable: (script, 0o755), "repository": (f"{_REPOSITORY}\n".encode(), 0o644)}
    with tarfile.open(archive, "w:gz") as tar:
        for member, (content, mode) in members.items():
            header = tarfile.TarInfo(member)
            header.size, header.mode = len(content), mode
            tar.addfile(header, BytesIO(content))
    return archive
