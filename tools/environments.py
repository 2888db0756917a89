"""A new environment: its stack file, and its stack in the backend that the engine is logged in to."""

import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tools import ToolError
from tools.toolchain import Engine

_NAME = re.compile(r"[a-z][a-z0-9-]{0,29}")
_TEMPLATE = """\
# Environment {name}: the region is all that it has to say.
# Everything else has a default; docs/settings.md has them all.
config:
  temporal-azure:location: {location}
  # Where people open the UI, and who may do what. Until somebody has a role, nobody gets in.
  # temporal-azure:signOn:
  #   uiUrl: https://temporal.example.com
  #   roles:
  #     temporal-system:read: [{{ group: Engineers }}]
  #     default:write: [{{ group: Engineers }}]
  # A worker each. Left out, there is one, `default`.
  # temporal-azure:certificates:
  #   orders: {{}}
"""


def make_environment(
    name: str,
    location: str,
    *,
    engine: Engine,
    variables: Mapping[str, str],
    project: Path,
    secrets_provider: str | None = None,
) -> bool:
    """Write `Pulumi.<name>.yaml` unless it is there, and make the stack; return whether the file is new.

    The engine adds to the file how the stack's secrets are encrypted. Raises ToolError, leaving no new file behind, for
    a name that Azure's names cannot hold, or when the engine cannot make the stack.
    """
    if not _NAME.fullmatch(name) or name == "local":
        raise ToolError(
            f"{name!r} cannot be an environment: a name has lower-case letters, digits and hyphens, 30 at most, begins "
            "with a letter, and is not `local`. Nothing was made."
        )
    file = project / f"Pulumi.{name}.yaml"
    is_new = not file.exists()
    if is_new:
        with file.open("x") as written:
            written.write(_TEMPLATE.format(name=name, location=location))
    provider = ["--secrets-provider", secrets_provider] if secrets_provider else []
    answer = subprocess.run(
        [engine.executable, "stack", "init", name, "--no-select", *provider, "--non-interactive"],
        cwd=project,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        if is_new:
            with suppress(FileNotFoundError):
                os.remove(file)
        raise ToolError(
            f"the stack {name} could not be made, and there is no new file: {answer.stderr.strip()}\nLog in to the "
            f"backend that is to keep its state with `{engine.spelling} login` (docs/azure.md), and run the same again."
        )
    return is_new
