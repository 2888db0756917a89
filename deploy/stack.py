"""A stack's outputs, as the Pulumi CLI has them, or a file of what it has said.

One run of `pulumi stack output`, and no more: the automation API would run three, and select the stack besides, which
is for the person at the keyboard to do. The command needs neither the stack's file nor its salt.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from deploy.outputs import Outputs
from deploy.problem import DeployError

_TIMEOUT_SECONDS = 300


def read_outputs_file(file: Path, stack: str) -> Outputs:
    """Return the outputs of `stack` that `pulumi stack output --json` has printed into a file.

    Raises DeployError if the file cannot be read, or they are not this program's.
    """
    try:
        outputs = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DeployError(
            f"{file} does not hold a stack's outputs ({error}). Nothing was written. Make it with `pulumi stack output "
            f"--json --show-secrets --stack {stack}`, and move it there whole."
        ) from None
    return Outputs.parse(outputs, stack)


def read_outputs(stack: str, project: Path, *, show_secrets: bool) -> Outputs:
    """Return the outputs of `stack` of the Pulumi project in the directory `project`.

    With `show_secrets` secret values are in the clear, else they are replaced by a placeholder. Raises DeployError if
    the CLI is missing or fails, or the outputs are not this program's.
    """
    command = ["pulumi", "stack", "output", "--json", "--non-interactive", "--color", "never", "--stack", stack]
    if show_secrets:
        command.append("--show-secrets")
    try:
        found = subprocess.run(
            command,
            cwd=project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise DeployError(
            f"The Pulumi CLI has not told the outputs of the stack {stack} within {_TIMEOUT_SECONDS} s. Nothing was "
            f"written. Check that the state's backend can be reached, then try again."
        ) from None
    except FileNotFoundError:
        raise DeployError(
            "There is no `pulumi` on PATH, so the stack's outputs cannot be read. Nothing was written. Run this "
            "through `make`, or put .tools/bin on PATH."
        ) from None
    if found.returncode:
        raise DeployError(
            f"The outputs of the stack {stack} could not be read: {found.stderr.strip()}\nNothing was written. Run "
            f"`make up STACK={stack}` if there is no such stack; else look at PULUMI_BACKEND_URL and the passphrase."
        )
    outputs: dict[str, Any] = json.loads(found.stdout)
    return Outputs.parse(outputs, stack)


def read_readable_outputs(stack: str, project: Path) -> Outputs:
    """Return the outputs of `stack`, with secret values in the clear for whoever may decrypt them, else hidden.

    Raises DeployError as `read_outputs`.
    """
    try:
        return read_outputs(stack, project, show_secrets=True)
    except DeployError:
        return read_outputs(stack, project, show_secrets=False)
