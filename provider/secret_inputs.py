"""What a secret resource is given, and what it is after: the shapes that live in the state.

The value is a secret there, and nothing here puts it into a message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from azure.keyvault.secrets import SecretProperties
from pydantic import AfterValidator, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel

from plugin import UNKNOWN, has_unknown
from provider.inputs import Model

_MOST_BYTES = 25_000
_LONGEST_CONTENT_TYPE = 255
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|\+00:00)", re.ASCII)


def _instant(text: str) -> str:
    if not _INSTANT.fullmatch(text):
        raise ValueError("must be an instant in UTC, in whole seconds, like 2027-01-31T00:00:00Z")
    datetime.fromisoformat(text)
    return text


def _small_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().encode()) > _MOST_BYTES:
        raise ValueError(f"must have at most {_MOST_BYTES} bytes")
    return value


class SecretInputs(Model):
    """One secret in one vault. Limits are Key Vault's."""

    model_config = ConfigDict(hide_input_in_errors=True)

    vault_id: str
    vault_uri: str
    name: Annotated[str, Field(pattern=r"^[0-9a-zA-Z-]{1,127}$")]
    value: Annotated[SecretStr, Field(min_length=1), AfterValidator(_small_enough)]
    content_type: Annotated[str, Field(min_length=1, max_length=_LONGEST_CONTENT_TYPE)] | None = None
    not_after: Annotated[str, AfterValidator(_instant)] | None = None
    tags: Mapping[str, str] = {}

    @property
    def expires_on(self) -> datetime | None:
        """When it is no longer to be used."""
        return datetime.fromisoformat(self.not_after) if self.not_after else None


INPUT_NAMES: Final = tuple(to_camel(name) for name in SecretInputs.model_fields)

COMPUTED_NAMES: Final = ("secretId", "versionlessId", "version")

SECRET_NAMES: Final = frozenset({"value"})


def inputs_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that a resource's state echoes. There is no value after somebody else has set one."""
    return {name: state[name] for name in INPUT_NAMES if state.get(name) is not None}


def versionless_id(vault_uri: str, name: str) -> str:
    """Return a secret's identifier in Key Vault, without a version: the resource's ID."""
    return f"{vault_uri.rstrip('/')}/secrets/{name}"


def unwritten(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a secret whose version is yet to be written: its inputs and its place."""
    place = inputs["vaultUri"], inputs["name"]
    found = UNKNOWN if has_unknown(place) else versionless_id(*place)
    return {**inputs, "secretId": UNKNOWN, "versionlessId": found, "version": UNKNOWN}


def outputs(properties: SecretProperties) -> dict[str, Any]:
    """Return what the state says of a version that is in a vault."""
    return {
        "secretId": str(properties.id),
        "versionlessId": versionless_id(str(properties.vault_url), str(properties.name)),
        "version": str(properties.version),
    }


def found(properties: SecretProperties, inputs: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """Return the inputs as a vault has them, all but the value, in the spelling of `inputs` where nothing changed.

    `tags` are the version's, without those that mark its owner.
    """
    seen = {name: value for name, value in inputs.items() if name not in ("contentType", "notAfter", "tags")}
    if properties.content_type:
        seen["contentType"] = properties.content_type
    if properties.expires_on:
        told = inputs.get("notAfter")
        same = told is not None and datetime.fromisoformat(told) == properties.expires_on
        seen["notAfter"] = told if same else f"{properties.expires_on.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if tags or "tags" in inputs:
        seen["tags"] = dict(tags)
    return seen


def parse_secret_id(secret_id: str) -> tuple[str, str]:
    """Return a vault's URI and a secret's name out of `https://VAULT/secrets/NAME[/VERSION]`.

    Raises ValueError if it is none.
    """
    parts = re.fullmatch(r"(https://[^/]+)/secrets/([0-9a-zA-Z-]+)(?:/[0-9a-f]+)?/?", secret_id)
    if parts is None:
        raise ValueError(f"{secret_id} is not of the form https://VAULT/secrets/NAME")
    return f"{parts[1]}/", parts[2]
