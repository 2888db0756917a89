"""Keeps one secret in a vault as the program has it, from wherever an earlier run left it.

A version holds the value and the content type for good; its end and its tags can be changed. Whether a new version is
needed is asked of the vault, not of the state, so a run that was killed after it wrote one writes no second. To find
out whose a secret is, and what somebody did to it, metadata is enough: no value is read that is not ours.
Source: Key Vault REST API 7.6, secrets.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets import KeyVaultSecret, SecretProperties
from azure.keyvault.secrets.aio import SecretClient

from plugin import PluginError
from provider import NAME
from provider.ownership import Owner, maker
from provider.patience import SECRETS_OFFICER, Patience
from provider.secret_inputs import SecretInputs, versionless_id

SECRET: Final = f"{NAME}:keyvault:Secret"

_POLL_SECONDS = 1
_NEVER = datetime.min.replace(tzinfo=UTC)

_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """One secret's place and its owner."""

    vault_uri: str
    name: str
    owner: Owner
    patience: Patience

    async def ensure(self, wanted: SecretInputs, *, by_state: bool = False) -> SecretProperties:
        """Return the version that has what is wanted, writing one only if there is none.

        `by_state`: the state already holds this secret, so whoever made its versions, it is ours. Raises PluginError
        if the name belongs to somebody else.
        """
        newest = await self.newest() or await self._recovered()
        if newest is not None and newest.managed:
            raise self._not_ours(newest.tags or {}, "belongs to a certificate")
        if newest is not None and not by_state and not self.owner.owns(newest.tags or {}):
            raise self._not_ours(newest.tags or {})
        # Only the vault itself knows which of several versions of one second is the newest.
        held = await self.read() if newest is not None else None
        if held is None or _needs_a_version(held, wanted):
            return await self._write(wanted)
        return await self._attributed(held.properties, wanted)

    async def read(self) -> KeyVaultSecret | None:
        """Return the newest version with its value, or None if there is none; a deleted secret counts as none."""
        try:
            return await self._call("read", lambda: self._client.get_secret(self.name), expected=ResourceNotFoundError)
        except ResourceNotFoundError:
            return None

    async def newest(self, known: str | None = None) -> SecretProperties | None:
        """Return what the newest version is, without its value, or None if there is none.

        The vault counts in whole seconds. Of versions of the same second somebody else's comes first, because nobody
        can say that it is not the newest; among our own, the one that is `known`.
        """

        async def ask() -> list[SecretProperties]:
            return [version async for version in self._client.list_properties_of_secret_versions(self.name)]

        try:
            versions = await self._call("look for", ask, expected=ResourceNotFoundError)
        except ResourceNotFoundError:
            return None
        return max(
            versions,
            key=lambda version: (
                version.created_on or _NEVER,
                not self.owner.owns(version.tags or {}),
                version.version == known,
            ),
            default=None,
        )

    async def delete(self) -> None:
        """Delete the secret, every version of it; under soft delete it can be recovered.

        What is gone already, or belongs to somebody else by now, is left as it is.
        """
        newest = await self.newest()
        if newest is None:
            return
        if not self.owner.owns(newest.tags or {}):
            message = f"{self._what} was left as it is: it is {maker(newest.tags or {})}."
            await self.patience.engine.warning(message, self.patience.urn)
            return
        try:
            await self._call(
                "delete",
                lambda: self._client.delete_secret(self.name, _polling_interval=_POLL_SECONDS),
                expected=ResourceNotFoundError,
            )
        except ResourceNotFoundError:
            return

    async def _recovered(self) -> SecretProperties | None:
        try:
            deleted = await self._call(
                "look for a deleted version of",
                lambda: self._client.get_deleted_secret(self.name),
                expected=ResourceNotFoundError,
            )
        except ResourceNotFoundError:
            return None
        if not self.owner.owns(deleted.properties.tags or {}):
            raise self._not_ours(deleted.properties.tags or {}, "was deleted, still holds its name,")
        await self.patience.engine.info("Recovering the secret, which was deleted.", self.patience.urn)
        await self._call(
            "recover", lambda: self._client.recover_deleted_secret(self.name, _polling_interval=_POLL_SECONDS)
        )
        return await self.newest()

    async def _write(self, wanted: SecretInputs) -> SecretProperties:
        written = await self._call(
            "set",
            lambda: self._client.set_secret(
                self.name,
                wanted.value.get_secret_value(),
                content_type=wanted.content_type,
                expires_on=wanted.expires_on,
                tags=self._tags(wanted),
            ),
        )
        return written.properties

    async def _attributed(self, held: SecretProperties, wanted: SecretInputs) -> SecretProperties:
        if held.tags == self._tags(wanted) and held.expires_on == wanted.expires_on:
            return held
        return await self._call(
            "change the attributes of",
            lambda: self._client.update_secret_properties(
                self.name, held.version, expires_on=wanted.expires_on, tags=self._tags(wanted)
            ),
        )

    @property
    def _client(self) -> SecretClient:
        return self.patience.session.secrets(self.vault_uri)

    @property
    def _what(self) -> str:
        return f'the secret "{self.name}" in {self.vault_uri}'

    def _tags(self, wanted: SecretInputs) -> dict[str, str]:
        return {**wanted.tags, **self.owner.tags}

    async def _call(
        self, verb: str, ask: Callable[[], Awaitable[_Result]], *, expected: type[HttpResponseError] | None = None
    ) -> _Result:
        return await self.patience.call(f"{verb} {self._what}", ask, role=SECRETS_OFFICER, expected=expected)

    def _not_ours(self, tags: Mapping[str, str], how: str = "exists") -> PluginError:
        return PluginError(
            f"{self._what} {how} and is {maker(tags)}. It was not touched, and nothing was written. "
            f"{self.owner.adoption(SECRET, versionless_id(self.vault_uri, self.name))}"
        )


def _needs_a_version(held: KeyVaultSecret, wanted: SecretInputs) -> bool:
    return (
        held.value != wanted.value.get_secret_value()
        or (held.properties.content_type or None) != wanted.content_type
        # An end can be put off, but no documented operation takes it away.
        or (held.properties.expires_on is not None and wanted.expires_on is None)
    )
