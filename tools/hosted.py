"""Stacks on Azure: plain Pulumi in the person's own environment, which must not be half a local stack's."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tools import REPOSITORY, ToolError
from tools.toolchain import Engine

_LOOPBACK = ("127.", "localhost", "[::1]")
_PATHS = (
    "PULUMI_BACKEND_URL",
    "PULUMI_HOME",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
)


def hosted_environment(engine: Engine, variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The person's variables, and what a built engine needs. Raises ToolError when some belong to a local stack."""
    local = sorted(local_variables(variables))
    if local:
        raise ToolError(
            f"{', '.join(local)} point at local Azure or the local stack, and with them this run would not do what it "
            f"says: `unset {' '.join(local)}`, or use STACK=local"
        )
    environment = dict(variables)
    if engine.directories:
        directories = [str(directory) for directory in engine.directories]
        environment["PATH"] = os.pathsep.join([*directories, environment.get("PATH", os.defpath)])
        environment.setdefault("PULUMI_PYTHON_CMD", str(REPOSITORY / ".venv" / "bin" / "python"))
    return environment


def local_variables(variables: Mapping[str, str]) -> set[str]:
    """Which of `variables` only a local stack may have."""
    found = {name for name in _PATHS if _is_local_path(variables.get(name, ""))}
    if variables.get("ARM_METADATA_HOSTNAME", "").startswith(_LOOPBACK):
        found.add("ARM_METADATA_HOSTNAME")
    return found


def require_stack(engine: Engine, name: str, environment: Mapping[str, str], *, project: Path = REPOSITORY) -> None:
    """Raises ToolError when there is no stack `name`, or no answer about it."""
    answer = subprocess.run(
        [engine.executable, "stack", "--stack", name, "--show-name", "--non-interactive"],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if not answer.returncode:
        return
    if "no stack named" in answer.stderr:
        raise ToolError(
            f"the backend has no stack {name!r}: make it with `{engine.spelling} stack init {name}` and give it a "
            "location, or log in to the backend that has it (docs/azure.md)"
        )
    raise ToolError(
        f"nothing is known of stack {name!r}, so nothing was done; log in to the backend that keeps its state with "
        f"`{engine.spelling} login` (docs/azure.md). What Pulumi says: {answer.stderr.strip()}"
    )


def exported_state(
    engine: Engine, name: str, environment: Mapping[str, str], *, project: Path = REPOSITORY
) -> dict[str, Any]:
    """The whole state of a stack that exists, secrets encrypted. Raises ToolError when the backend does not give it."""
    answer = subprocess.run(
        [engine.executable, "stack", "export", "--stack", name, "--non-interactive"],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise ToolError(f"pulumi does not give the state of stack {name!r}: {answer.stderr.strip()}")
    return dict(json.loads(answer.stdout))


def _is_local_path(value: str) -> bool:
    path = urlsplit(value).path if value.startswith("file:") else value
    return bool(path) and Path(path).is_relative_to(REPOSITORY / ".local")
