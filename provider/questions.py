"""What the program asks before it declares resources: who is signed in, and whether that is enough.

A question changes nothing. An answer that makes the rest impossible is an error, with its fix.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError

from cloud import CloudError
from cloud.identity import principal_of
from plugin import PluginError
from provider import NAME
from provider.authority import existing_authority
from provider.connection import Connection
from provider.directory import DirectoryPermission, doubt, has_directory_role, lacking, refusal


class Questions:
    """The provider's functions, by their tokens."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._functions: Mapping[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            f"{NAME}:index:getCaller": self._caller,
            f"{NAME}:index:checkAccess": self._check_access,
            f"{NAME}:index:checkDirectoryAccess": self._check_directory_access,
            f"{NAME}:keyvault:getDeletedVault": self._deleted_vault,
            f"{NAME}:keyvault:getAuthority": self._authority,
        }

    async def ask(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return a function's answer. Raises PluginError if there is none, or if it is a refusal."""
        if token not in self._functions:
            raise PluginError(f"temporalazure has no function {token}. Is the plugin older than the program?")
        try:
            return await self._functions[token](arguments)
        except CloudError as error:
            raise PluginError(str(error)) from error
        except AzureError as error:
            raise PluginError(
                f"Azure did not answer {token}: {error.message}. Nothing was changed. Check the sign-in "
                f"(`az login`, or the ARM_* variables), then run the same command again."
            ) from error

    async def _caller(self, arguments: dict[str, Any]) -> dict[str, Any]:
        session = await self._connection.open()
        if tenant_id := arguments.get("tenantId"):
            principal = principal_of(await session.directory_claims(tenant_id))
        else:
            principal = await session.principal()
        return {
            "objectId": principal.object_id,
            "tenantId": principal.tenant_id,
            "kind": principal.kind,
            "authority": session.authority,
        }

    async def _check_directory_access(self, arguments: dict[str, Any]) -> dict[str, Any]:
        session = await self._connection.open()
        claims = await session.directory_claims(arguments.get("tenantId"))
        permissions = [DirectoryPermission.model_validate(needed) for needed in arguments["permissions"]]
        if has_directory_role(claims):
            return {}
        if principal_of(claims).kind == "User":
            await self._connection.engine.warning(doubt(claims, permissions))
        elif missing := lacking(claims, permissions):
            raise PluginError(refusal(claims, missing))
        return {}

    async def _check_access(self, arguments: dict[str, Any]) -> dict[str, Any]:
        scope, roles = arguments["scope"], arguments["roles"]
        async with (await self._connection.open()).authorization(arguments["subscriptionId"]) as client:
            for object_id in arguments["objectIds"]:
                found = client.role_assignments.list_for_scope(scope, filter=f"assignedTo('{object_id}')")
                held = {str(item.role_definition_id).rpartition("/")[2] async for item in found}
                if lacking_roles := [title for definition, title in roles.items() if definition not in held]:
                    raise PluginError(
                        f"{object_id} (access.deployers) has no role {' nor '.join(lacking_roles)} on {scope}, and "
                        f"access.manage is false, so none was assigned. Its work there could not be done; nothing was "
                        f"changed. Have it assigned: az role assignment create --assignee-object-id {object_id} "
                        f'--role "{lacking_roles[0]}" --scope {scope}'
                    )
        return {}

    async def _deleted_vault(self, arguments: dict[str, Any]) -> dict[str, Any]:
        async with (await self._connection.open()).vaults(arguments["subscriptionId"]) as client:
            try:
                deleted = await client.vaults.get_deleted(arguments["name"], arguments["location"])
            except HttpResponseError as error:
                # Who may not look for deleted vaults is told by Azure that the name is taken, if it is.
                if error.status_code in (403, 404):
                    return {"exists": False}
                raise
        return {"exists": True, "vaultId": deleted.properties.vault_id if deleted.properties else None}

    async def _authority(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return await existing_authority(await self._connection.open(), arguments["certificateId"])
