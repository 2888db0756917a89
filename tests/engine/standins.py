"""Stacks of small programs of the tests' own, for the stand-in plugins."""

import textwrap
from pathlib import Path
from typing import Any

from localazure.client import LocalAzure
from tests.engine.localazure.sdk import fresh_name
from tools.stack import LocalStack


def standin_stack(
    folder: Path, program: str, settings: dict[str, Any], *, azure: LocalAzure, pulumi_home: Path, **environment: str
) -> LocalStack:
    """A stack with a program and its settings, in a folder of its own below `folder`."""
    root = folder / fresh_name()
    project = root / "project"
    project.mkdir(parents=True)
    (project / "Pulumi.yaml").write_text("name: standin\nruntime: python\n")
    (project / "__main__.py").write_text(textwrap.dedent(program))
    stack = LocalStack(root / "stack", azure=azure, project=project, pulumi_home=pulumi_home, environment=environment)
    configure(stack, settings)
    return stack


def configure(stack: LocalStack, settings: dict[str, Any]) -> None:
    """Use other settings from now on."""
    stack.configure({f"standin:{key}": value for key, value in settings.items()})
