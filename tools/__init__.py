"""What a person or a test runs around the program: its tools, its local stack, the checks of its tree.

Boundary: nothing here is imported by the program, and only `tools.debian` installs anything outside the repository.
"""

from pathlib import Path

import click

REPOSITORY = Path(__file__).resolve().parent.parent


class ToolError(click.ClickException):
    """What keeps a command from going on, as one line: what, where, the consequence and the fix."""
