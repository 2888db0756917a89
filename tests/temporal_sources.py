"""The sources of the programs that read our variables, in the versions that tools/go pins."""

import json
import subprocess
from functools import cache
from pathlib import Path

TOOLS = Path(__file__).parents[1] / "tools/go"


@cache
def server() -> Path:
    """The Temporal server's source."""
    return _module("temporal", "go.temporal.io/server")


@cache
def user_interface() -> Path:
    """The UI server's source."""
    return _module("ui", "github.com/temporalio/ui-server/v2")


def _module(tool: str, path: str) -> Path:
    command = ["go", "mod", "download", "-json", path]
    downloaded = subprocess.run(command, cwd=TOOLS / tool, capture_output=True, text=True, check=True)
    return Path(json.loads(downloaded.stdout)["Dir"])
