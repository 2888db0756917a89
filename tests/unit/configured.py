"""A stack's configuration as tests write it."""

from collections.abc import Mapping
from typing import Any

import pytest

from settings import Settings, SettingsError, parse

PROJECT = "temporal-azure"


def parsed(written: Mapping[str, Any], *, stack: str = "dev", secret_keys: tuple[str, ...] = ()) -> Settings:
    """Parse what a stack file says; a name without a namespace is the project's, as under `pulumi config`."""
    raw = {name if ":" in name else f"{PROJECT}:{name}": value for name, value in written.items()}
    return parse(raw, project=PROJECT, stack=stack, secret_keys=secret_keys)


def refusal(written: Mapping[str, Any], *, stack: str = "dev", secret_keys: tuple[str, ...] = ()) -> SettingsError:
    """Parse what must be refused."""
    with pytest.raises(SettingsError) as caught:
        parsed(written, stack=stack, secret_keys=secret_keys)
    return caught.value


def paths(error: SettingsError) -> list[str]:
    return [problem.path for problem in error.problems]
