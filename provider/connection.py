"""What all resources and questions of the provider share: the sign-in, the engine to speak to, the patience.

Azure and Temporal Cloud are signed in to apart, and neither before it is needed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.mgmt.core.tools import parse_resource_id
from temporalio.service import CloudService

from cloud import CloudError, Identity, Session
from cloud.identity import STACK_SETTINGS
from plugin import Engine, PluginError
from provider.patience import PERMISSION_WAIT_SECONDS, Patience, paces
from provider.temporal_cloud import CloudAccount, TemporalCloud


class Connection:
    """One identity in one cloud and one account of Temporal Cloud, as the stack's settings and the environment say."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.identity = Identity.found(os.environ)
        self._permission_wait_seconds = PERMISSION_WAIT_SECONDS
        self._session: Session | None = None
        self._account: CloudAccount | None = None
        self._cloud_service: CloudService | None = None
        self._paces = paces()

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take the provider's settings. Raises PluginError if one cannot be right."""
        if (wait := settings.get("permissionWaitSeconds")) is not None:
            self._permission_wait_seconds = _seconds(wait)
        self.identity = Identity.found(
            os.environ, {name: str(value) for name, value in settings.items() if name in STACK_SETTINGS}
        )
        self._account = CloudAccount.found(os.environ, settings)

    async def open(self) -> Session:
        """Return the session, the same one each time. Raises PluginError if there is no such cloud."""
        if self._session is None:
            try:
                self._session = await Session.open(self.identity)
            except CloudError as error:
                raise PluginError(str(error)) from error
        return self._session

    def limit(self, timeout_seconds: float) -> float:
        """Return how long to wait for a permission: the resource's own timeout, or else the provider's."""
        return timeout_seconds or self._permission_wait_seconds

    async def patience(self, urn: str, vault_uri: str, limit_seconds: float) -> Patience:
        """Return the way to call a vault on behalf of the resource `urn`."""
        return Patience(
            session=await self.open(),
            engine=self.engine,
            urn=urn,
            limit_seconds=limit_seconds,
            pace=self._paces[vault_uri],
        )

    async def temporal_cloud(self, urn: str, limit_seconds: float) -> TemporalCloud:
        """Return the way to call Temporal Cloud on behalf of the resource `urn`. Raises PluginError without a key."""
        account = self._account or CloudAccount.found(os.environ, {})
        if self._cloud_service is None:
            self._cloud_service = await account.service()
        return TemporalCloud(
            account=account, service=self._cloud_service, engine=self.engine, urn=urn, limit_seconds=limit_seconds
        )

    async def is_gone(self, vault_id: str) -> bool:
        """Tell whether a vault that does not answer was deleted, as far as this identity may know."""
        vault = {part: str(value) for part, value in parse_resource_id(vault_id).items()}
        async with (await self.open()).vaults(vault["subscription"]) as client:
            try:
                await client.vaults.get(vault["resource_group"], vault["name"])
            except HttpResponseError as error:
                return error.status_code == 404
        return False


def _seconds(given: Any) -> float:
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise PluginError(
            f"temporalazure:permissionWaitSeconds is {given}, which is no number of seconds. Nothing was asked of "
            f"Azure. Set it to a number like 900, or leave it out."
        )
    return seconds
