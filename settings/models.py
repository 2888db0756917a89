"""What the models of a stack's configuration have in common: how a field is defined, and what counts as left out.

Every field has its description (for docs/settings.md and `pulumi config`) and tells what follows from a wrong value
(for the messages); both stand in the JSON schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict


def setting(default: Any, description: str, otherwise: str, *, derived: str = "", **bounds: Any) -> Any:
    """Define a field: `otherwise` is what follows from a wrong value, `derived` a default that depends, in words."""
    extra: JsonDict = {"otherwise": otherwise, "derived": derived}
    return Field(default, description=description, json_schema_extra=extra, **bounds)


class Model(BaseModel):
    """Settings that are named as in YAML, and refused where they are unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    @model_validator(mode="before")
    @classmethod
    def _left_empty(cls, data: object) -> object:
        """Take `key:` with nothing after it, which YAML reads as null, for a key that is left out."""
        if data is None:
            return {}
        if isinstance(data, Mapping):
            known = {field.alias for field in cls.model_fields.values()}
            return {key: value for key, value in data.items() if value is not None or key not in known}
        return data
