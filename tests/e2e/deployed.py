"""A deploy directory as its consumers get to see it: where it was written, or mounted somewhere else.

A container gets the consumer's own directory, bind-mounted to where `deploy write --root` said, and nothing besides. So
does a process here, in a mount namespace of its own. Where the machine allows no such namespace a symlink stands in.
"""

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
_MOUNT = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'


def read_environment(file: Path) -> dict[str, str]:
    """An env file as a shell reads it."""
    return dict(word.split("=", 1) for word in shlex.split(file.read_text(), comments=True))


@dataclass(frozen=True)
class Deployed:
    """The directory `root`; if mounted, its env files name files below `mounted_at`."""

    root: Path
    mounted_at: Path | None = None

    def variables(self, env_file: str) -> dict[str, str]:
        return read_environment(self.root / env_file)

    def command(self, env_file: str, command: Sequence[str]) -> list[str]:
        """`command`, as the consumer that starts from this env file starts it."""
        if self.mounted_at is None:
            return [*command]
        consumer = Path(env_file).parent
        source, target = self.root / consumer, self.mounted_at / consumer
        if not _mounts_are_possible():
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.is_symlink():
                target.symlink_to(source)
            return [*command]
        target.mkdir(parents=True, exist_ok=True)
        return [*_NAMESPACE, "sh", "-c", _MOUNT, "sh", str(source), str(target), *command]

    def run(self, env_file: str, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the variables of an env file, `changes` made to them, and no other."""
        return subprocess.run(
            self.command(env_file, command),
            env=self.variables(env_file) | changes,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@cache
def _mounts_are_possible() -> bool:
    try:
        return subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
