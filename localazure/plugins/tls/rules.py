"""What the official tls plugin asks of values before it makes anything, each with its words.

A rule takes the path and the value, and returns what is wrong or None.
"""

from collections.abc import Callable
from typing import Any

Rule = Callable[[str, Any], str | None]


def one_of(*choices: str) -> Rule:
    """Refuse what is not one of the choices."""
    quoted = " ".join(f'"{choice}"' for choice in choices)

    def rule(path: str, value: Any) -> str | None:
        if value in choices:
            return None
        return f'Invalid Attribute Value Match. Attribute {path} value must be one of: [{quoted}], got: "{value}"'

    return rule


def at_least(least: int) -> Rule:
    """Refuse numbers that are smaller."""

    def rule(path: str, value: Any) -> str | None:
        if value >= least:
            return None
        return f"Invalid Attribute Value. Attribute {path} value must be at least {least}, got: {value}"

    return rule


def not_empty(path: str, value: Any) -> str | None:
    if value:
        return None
    return f"Invalid Attribute Value Length. Attribute {path} string length must be at least 1, got: 0"
