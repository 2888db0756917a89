"""The vault that is asked: found through Resource Manager, looked at before anything is done to it.

Its network rules are the one thing of the vault itself that a check may change, on demand: they are put back whatever
happens.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from azure.core.async_paging import AsyncItemPaged
from azure.core.exceptions import AzureError, HttpResponseError
from azure.mgmt.keyvault.models import Vault, VaultPatchParameters
from yarl import URL

from cloud import Session
from tools import ToolError
from tools.verify_azure.clients import Clients
from tools.verify_azure.exchanges import Conditions, Network

PREFIX = "verify-azure-"
"""What every name begins with that any run has ever made."""

_OPEN = {"bypass": "AzureServices", "defaultAction": "Allow", "ipRules": [], "virtualNetworkRules": []}
_DENY = _OPEN | {"defaultAction": "Deny"}
_CHANGES: dict[Network, dict[str, Any]] = {
    "denied": {"networkAcls": _DENY, "publicNetworkAccess": "Enabled"},
    "closed": {"publicNetworkAccess": "Disabled"},
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """What Resource Manager says of a vault. `network` is what its network rules are put back to."""

    id: str
    name: str
    uri: str
    resource_group: str
    subscription_id: str
    purge_protected: bool
    soft_delete_days: int
    network: Mapping[str, Any] = field(repr=False)

    @property
    def host(self) -> str:
        """The host, and the port where there is one, by which the vault can be told."""
        return URL(self.uri).authority

    @property
    def conditions(self) -> Conditions:
        """What a replay must know of the vault."""
        return Conditions(purge_protected=self.purge_protected, soft_delete_days=self.soft_delete_days)


async def find(session: Session, wanted: str) -> Target:
    """Return the vault of that name or URL. Raises ToolError if it is not seen, or roles do not decide in it."""
    subscription_id = await session.subscription_id()
    async with session.vaults(subscription_id) as client:
        vaults = [vault async for vault in client.vaults.list_by_subscription()]
    for vault in vaults:
        if wanted.rstrip("/").lower() in (str(vault.name).lower(), str(vault.properties.vault_uri).rstrip("/").lower()):
            return _described(vault, subscription_id)
    raise ToolError(
        f"no vault {wanted!r} is seen in subscription {subscription_id}, so nothing was asked of it: check the name "
        "and ARM_SUBSCRIPTION_ID, and that you are at least Reader on it (docs/verify-azure.md)"
    )


def _described(vault: Vault, subscription_id: str) -> Target:
    properties = vault.properties
    if not properties.enable_rbac_authorization:
        raise ToolError(
            f"in vault {vault.name} access policies decide and not roles, so what it says of refusals would be of no "
            f"use: make one with `az keyvault create --enable-rbac-authorization true` (docs/verify-azure.md)"
        )
    rules = properties.network_acls
    return Target(
        id=str(vault.id),
        name=str(vault.name),
        uri=str(properties.vault_uri),
        resource_group=str(vault.id).split("/")[4],
        subscription_id=subscription_id,
        purge_protected=bool(properties.enable_purge_protection),
        soft_delete_days=int(properties.soft_delete_retention_in_days or Conditions().soft_delete_days),
        network={
            "networkAcls": _OPEN if rules is None else rules.as_dict(),
            "publicNetworkAccess": properties.public_network_access or "Enabled",
        },
    )


async def held_names(clients: Clients, *, deleted: bool = True) -> set[str]:
    """Return the name of everything in the vault: what is pending, and what is `deleted` if that counts.

    Raises ToolError if this identity may not look.
    """
    listings: list[AsyncItemPaged[Any]] = [
        clients.certificates.list_properties_of_certificates(include_pending=True),
        clients.keys.list_properties_of_keys(),
        clients.secrets.list_properties_of_secrets(),
    ]
    if deleted:
        listings += [
            clients.certificates.list_deleted_certificates(include_pending=True),
            clients.keys.list_deleted_keys(),
            clients.secrets.list_deleted_secrets(),
        ]
    try:
        return {str(item.name) for listing in listings async for item in listing}
    except HttpResponseError as error:
        raise ToolError(
            f"the vault does not say what is in it, so nothing was done to it: {error.message.splitlines()[0]} The "
            "checks need Key Vault Administrator on the vault, and a new assignment takes minutes to count "
            "(docs/verify-azure.md)"
        ) from error


class Gate:
    """The network rules of a vault, which can be shut for a while."""

    def __init__(self, session: Session, target: Target, say: Callable[[str], None]) -> None:
        self._session = session
        self._target = target
        self._say = say

    @asynccontextmanager
    async def shut(self, network: Network, settled: Callable[[bool], Awaitable[None]]) -> AsyncIterator[None]:
        """Shut the vault for everybody, and put its rules back at the end, however that comes.

        `settled` waits until the vault is seen shut (True), or open again (False).
        """
        change, before = _CHANGES[network], dict(self._target.network)
        self._say(f"network rules of {self._target.name}: now {json.dumps(change)}, and then back to")
        self._say(f"  {json.dumps(before)}")
        try:
            await self._set(change)
            await settled(True)
            yield
        finally:
            await self._put_back(before)
            await settled(False)

    async def _put_back(self, before: Mapping[str, Any]) -> None:
        try:
            await self._set(before)
        except AzureError:
            self._say(f"network rules of {self._target.name} COULD NOT BE PUT BACK: set them by hand, as printed above")
            raise
        self._say(f"network rules of {self._target.name} are back")

    async def _set(self, properties: Mapping[str, Any]) -> None:
        async with self._session.vaults(self._target.subscription_id) as client:
            change = VaultPatchParameters({"properties": dict(properties)})
            await client.vaults.update(self._target.resource_group, self._target.name, change)
