"""Microsoft.KeyVault: vaults and deleted vaults.

Names are global and stay taken while a deleted vault is recoverable. Recovery gives back the vault as it was and
ignores the properties of the request, as Azure does (Azure/azure-rest-api-specs 21306).
"""

import ipaddress
import re
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from localazure.access import Principal
from localazure.arm import operations
from localazure.arm.groups import drop_assignments, require_group
from localazure.arm.paths import (
    GROUP,
    SUBSCRIPTION,
    group_id,
    location_name,
    not_found,
    pattern,
    require_subscription,
    subscription_id,
)
from localazure.context import Context, json_object
from localazure.errors import AzureError
from localazure.store import Document
from localazure.vaults import DELETED_VAULTS, VAULTS, Vault, timestamp

_TYPE = "Microsoft.KeyVault/vaults"
_NAME = re.compile(r"(?!.*--)[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]")
_RBAC_BY_DEFAULT_SINCE = "2026-02-01"
_PROVIDER = f"{SUBSCRIPTION}/providers/Microsoft.KeyVault"
_VAULTS = f"{GROUP}/providers/{_TYPE}"
_DELETED = f"{_PROVIDER}/locations/{{location}}/deletedVaults/{{vault}}"
_SWITCHES = ("enabledForDeployment", "enabledForDiskEncryption", "enabledForTemplateDeployment")


def routes(context: Context) -> list[web.RouteDef]:
    service = _Vaults(context)
    vault = pattern(f"{_VAULTS}/{{vault}}")
    return [
        web.get(pattern(f"{_PROVIDER}/vaults"), service.list),
        web.post(pattern(f"{_PROVIDER}/checkNameAvailability"), service.check_name),
        web.get(pattern(f"{_PROVIDER}/deletedVaults"), service.list_deleted),
        web.get(pattern(_DELETED), service.get_deleted),
        web.post(pattern(f"{_DELETED}/purge"), service.purge),
        web.get(pattern(_VAULTS), service.list_in_group),
        web.get(vault, service.get),
        web.put(vault, service.put),
        web.patch(vault, service.patch),
        web.delete(vault, service.delete),
    ]


class _Vaults:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    async def list(self, request: web.Request) -> web.Response:
        scope = require_subscription(self._context, request)
        await self._context.authorize(request, scope, f"{_TYPE}/read")
        return web.json_response({"value": [vault for _, vault in self._store.items(VAULTS)]})

    async def list_in_group(self, request: web.Request) -> web.Response:
        require_subscription(self._context, request)
        group = request.match_info["group"]
        scope = group_id(self._context, group)
        await self._context.authorize(request, scope, f"{_TYPE}/read")
        require_group(self._context, group)
        prefix = f"{scope}/".lower()
        vaults = [vault for _, vault in self._store.items(VAULTS) if vault["id"].lower().startswith(prefix)]
        return web.json_response({"value": vaults})

    async def get(self, request: web.Request) -> web.Response:
        resource_id, _ = await self._authorized(request, "read")
        return web.json_response(self._require(request, resource_id))

    async def put(self, request: web.Request) -> web.Response:
        resource_id, principal = await self._authorized(request, "write")
        body = await json_object(request)
        name = request.match_info["vault"]
        group = require_group(self._context, request.match_info["group"])
        if not _NAME.fullmatch(name):
            raise _wrong_name(name)
        location = location_name(body.get("location"))
        given = _properties_of(body)
        known = self._store.get(VAULTS, name.lower())
        if known is not None and known["id"].lower() != resource_id.lower():
            raise _name_taken(name)
        deleted = self._deleted(name)
        if str(given.get("createMode", "default")).lower() == "recover":
            return await self._recover(resource_id, location, deleted)
        if deleted is not None:
            raise _name_taken_by_deleted()
        if known is not None and known["location"] != location:
            raise _elsewhere(known, location, group)
        defaults: Document = {
            "enableRbacAuthorization": request.query["api-version"] >= _RBAC_BY_DEFAULT_SINCE,
            "accessPolicies": [],
            "publicNetworkAccess": "Enabled",
            **dict.fromkeys(_SWITCHES, False),
        }
        current = known["properties"] if known else {}
        properties = self._checked(defaults | given, current)
        await self._guard_permission_model(request, resource_id, current, properties)
        vault = Vault(name.lower(), self._store)
        now = timestamp(datetime.fromtimestamp(self._context.clock(), UTC))
        modified = {"lastModifiedBy": principal.client_id, "lastModifiedByType": "Application", "lastModifiedAt": now}
        created = {"createdBy": principal.client_id, "createdByType": "Application", "createdAt": now}
        document: Document = {
            "id": f"{group['id']}/providers/{_TYPE}/{name}",
            "name": name,
            "type": _TYPE,
            "location": location,
            "tags": body.get("tags") or {},
            "systemData": (known["systemData"] if known else created) | modified,
            "properties": properties
            | {
                "vaultUri": current.get("vaultUri") or f"https://127.0.0.1:{self._context.allot_port()}/",
                "provisioningState": "Succeeded",
            },
        }
        self._store.put(VAULTS, vault.name, document)
        if known is None:
            await self._context.open_vault(vault)
        return web.json_response(document)

    async def patch(self, request: web.Request) -> web.Response:
        resource_id, _ = await self._authorized(request, "write")
        body = await json_object(request)
        document = self._require(request, resource_id)
        current = document["properties"]
        properties = self._checked(current | _properties_of(body), current)
        await self._guard_permission_model(request, resource_id, current, properties)
        document["properties"] = current | properties
        if body.get("tags") is not None:
            document["tags"] = body["tags"]
        self._store.put(VAULTS, document["name"].lower(), document)
        return web.json_response(document)

    async def delete(self, request: web.Request) -> web.Response:
        resource_id, _ = await self._authorized(request, "delete")
        known = self._store.get(VAULTS, request.match_info["vault"].lower())
        if known is None or known["id"].lower() != resource_id.lower():
            return web.Response(status=204)
        vault = Vault(known["name"].lower(), self._store)
        with self._store.transaction():
            vault.soft_delete(self._context.clock())
            drop_assignments(self._context, resource_id)
        await self._context.close_vault(vault)
        return web.Response(status=200)

    async def check_name(self, request: web.Request) -> web.Response:
        scope = require_subscription(self._context, request)
        await self._context.authorize(request, scope, "Microsoft.KeyVault/checkNameAvailability/read")
        name = str((await json_object(request)).get("name", ""))
        if not _NAME.fullmatch(name):
            reason, message = "AccountNameInvalid", _wrong_name(name).message
        elif self._store.get(VAULTS, name.lower()) or self._deleted(name):
            reason, message = "AlreadyExists", _name_taken(name).message
        else:
            return web.json_response({"nameAvailable": True})
        return web.json_response({"nameAvailable": False, "reason": reason, "message": message})

    async def list_deleted(self, request: web.Request) -> web.Response:
        scope = require_subscription(self._context, request)
        await self._context.authorize(request, scope, "Microsoft.KeyVault/deletedVaults/read")
        names = [name for name, _ in self._store.items(DELETED_VAULTS)]
        deleted = [document for name in names if (document := self._deleted(name)) is not None]
        return web.json_response({"value": [self._deleted_document(document) for document in deleted]})

    async def get_deleted(self, request: web.Request) -> web.Response:
        scope = require_subscription(self._context, request)
        await self._context.authorize(request, scope, "Microsoft.KeyVault/locations/deletedVaults/read")
        return web.json_response(self._deleted_document(self._require_deleted(request)))

    async def purge(self, request: web.Request) -> web.Response:
        scope = require_subscription(self._context, request)
        await self._context.authorize(request, scope, "Microsoft.KeyVault/locations/deletedVaults/purge/action")
        document = self._require_deleted(request)
        if document["properties"].get("enablePurgeProtection"):
            raise AzureError(405, "MethodNotAllowed", "Operation 'DeletedVaultPurge' is not allowed.")
        with self._store.transaction():
            Vault(document["name"].lower(), self._store).purge()
        return operations.accepted(self._context, request)

    async def _recover(self, resource_id: str, location: str, deleted: Document | None) -> web.Response:
        if deleted is None or deleted["id"].lower() != resource_id.lower() or deleted["location"] != location:
            raise AzureError(
                400,
                "SoftDeletedVaultDoesNotExist",
                "A soft deleted vault with the given name does not exist. Ensure that the name for the vault that is "
                "being attempted to recover is in a recoverable state. For more information on soft delete please "
                "follow this link https://go.microsoft.com/fwlink/?linkid=2149745",
            )
        del deleted["deletedAt"], deleted["purgedAt"]
        vault = Vault(deleted["name"].lower(), self._store)
        with self._store.transaction():
            self._store.put(VAULTS, vault.name, deleted)
            self._store.delete(DELETED_VAULTS, vault.name)
        await self._context.open_vault(vault)
        return web.json_response(deleted)

    async def _authorized(self, request: web.Request, action: str) -> tuple[str, Principal]:
        require_subscription(self._context, request)
        group, name = request.match_info["group"], request.match_info["vault"]
        resource_id = f"{group_id(self._context, group)}/providers/{_TYPE}/{name}"
        return resource_id, await self._context.authorize(request, resource_id, f"{_TYPE}/{action}")

    async def _guard_permission_model(
        self, request: web.Request, resource_id: str, current: Document, properties: Document
    ) -> None:
        """To turn RBAC on or off is to give access, and so takes the right to assign roles."""
        if current and current["enableRbacAuthorization"] != properties["enableRbacAuthorization"]:
            await self._context.authorize(request, resource_id, "Microsoft.Authorization/roleAssignments/write")

    def _require(self, request: web.Request, resource_id: str) -> Document:
        group, name = request.match_info["group"], request.match_info["vault"]
        require_group(self._context, group)
        document = self._store.get(VAULTS, name.lower())
        if document is None or document["id"].lower() != resource_id.lower():
            raise not_found(_TYPE, name, group)
        return document

    def _deleted(self, name: str) -> Document | None:
        """The soft-deleted vault of that name; one whose retention is over is purged first."""
        document = self._store.get(DELETED_VAULTS, name.lower())
        if document is None or datetime.fromisoformat(document["purgedAt"]).timestamp() > self._context.clock():
            return document
        with self._store.transaction():
            Vault(name.lower(), self._store).purge()
        return None

    def _require_deleted(self, request: web.Request) -> Document:
        name = request.match_info["vault"]
        document = self._deleted(name)
        if document is None or document["location"] != location_name(request.match_info["location"]):
            raise AzureError(404, "DeletedVaultNotFound", f"The specified deleted vault '{name}' does not exist.")
        return document

    def _deleted_document(self, document: Document) -> Document:
        properties = {
            "vaultId": document["id"],
            "location": document["location"],
            "tags": document["tags"],
            "deletionDate": document["deletedAt"],
            "scheduledPurgeDate": document["purgedAt"],
        }
        if document["properties"].get("enablePurgeProtection"):
            properties["purgeProtectionEnabled"] = True
        location, name = document["location"], document["name"]
        scope = subscription_id(self._context)
        return {
            "id": f"{scope}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{name}",
            "name": name,
            "type": "Microsoft.KeyVault/deletedVaults",
            "properties": properties,
        }

    def _checked(self, given: Document, current: Document) -> Document:
        """The properties as ARM stores them; 400 for what Azure does not take, or does not take back."""
        if str(given.get("tenantId", "")).lower() != self._context.tenant_id:
            raise _invalid_value("tenantId")
        sku = given.get("sku") or {}
        if str(sku.get("family")) != "A" or str(sku.get("name")).lower() not in ("standard", "premium"):
            raise _invalid_value("sku")
        if given.get("enableSoftDelete") is False:
            raise _irreversible("enableSoftDelete", "soft delete")
        if given.get("enablePurgeProtection") is False:
            raise _irreversible("enablePurgeProtection", "purge protection")
        days = given.get("softDeleteRetentionInDays") or current.get("softDeleteRetentionInDays") or 90
        if not isinstance(days, int) or not 7 <= days <= 90:
            raise _invalid_value("softDeleteRetentionInDays")
        if current and days != current["softDeleteRetentionInDays"]:
            raise AzureError(
                400,
                "BadRequest",
                'The property "softDeleteRetentionInDays" has been set already and it can\'t be modified.',
            )
        public_access = str(given.get("publicNetworkAccess") or "Enabled").capitalize()
        if public_access not in ("Enabled", "Disabled"):
            raise _invalid_value("publicNetworkAccess")
        properties: Document = {
            "sku": {"family": "A", "name": str(sku["name"]).lower()},
            "tenantId": self._context.tenant_id,
            "accessPolicies": given.get("accessPolicies") or [],
            **{switch: bool(given.get(switch)) for switch in _SWITCHES},
            "enableSoftDelete": True,
            "softDeleteRetentionInDays": days,
            "enableRbacAuthorization": bool(given.get("enableRbacAuthorization")),
            "publicNetworkAccess": public_access,
        }
        if given.get("enablePurgeProtection") or current.get("enablePurgeProtection"):
            properties["enablePurgeProtection"] = True
        if given.get("networkAcls"):
            properties["networkAcls"] = _network_acls(given["networkAcls"])
        return properties


def _properties_of(body: Document) -> Document:
    """The given properties without the nulls, which mean "not said"."""
    properties = body.get("properties") or {}
    if not isinstance(properties, dict):
        raise AzureError(400, "InvalidRequestContent", "The property 'properties' must be an object.")
    return {name: value for name, value in properties.items() if value is not None}


def _network_acls(given: dict[str, Any]) -> Document:
    acls: Document = {
        "bypass": given.get("bypass") or "AzureServices",
        "defaultAction": given.get("defaultAction") or "Allow",
        "ipRules": given.get("ipRules") or [],
        "virtualNetworkRules": given.get("virtualNetworkRules") or [],
    }
    if acls["bypass"] not in ("AzureServices", "None") or acls["defaultAction"] not in ("Allow", "Deny"):
        raise _invalid_value("networkAcls")
    try:
        acls["ipRules"] = [{"value": str(ipaddress.IPv4Network(rule["value"]))} for rule in acls["ipRules"]]
    except (ValueError, KeyError, TypeError) as error:
        raise _invalid_value("networkAcls.ipRules") from error
    return acls


def _invalid_value(name: str) -> AzureError:
    return AzureError(400, "BadRequest", f"An invalid value was provided for '{name}'.")


def _irreversible(name: str, feature: str) -> AzureError:
    return AzureError(
        400,
        "BadRequest",
        f'The property "{name}" cannot be set to false. Enabling the {feature} for a vault is an irreversible action.',
    )


def _wrong_name(name: str) -> AzureError:
    return AzureError(
        400,
        "VaultNameNotValid",
        f"The vault name '{name}' is invalid. A vault's name must be between 3-24 alphanumeric characters. The name "
        "must begin with a letter, end with a letter or digit, and not contain consecutive hyphens. Follow this link "
        "for more information: https://go.microsoft.com/fwlink/?linkid=2147742",
    )


def _elsewhere(known: Document, location: str, group: Document) -> AzureError:
    return AzureError(
        409,
        "InvalidResourceLocation",
        f"The resource '{known['name']}' already exists in location '{known['location']}' in resource group "
        f"'{group['name']}'. A resource with the same name cannot be created in location '{location}'. Please select a "
        "new resource name.",
    )


def _name_taken_by_deleted() -> AzureError:
    return AzureError(
        409,
        "ConflictError",
        "A vault with the same name already exists in deleted state. You need to either recover or purge existing key "
        "vault. Follow this link https://go.microsoft.com/fwlink/?linkid=2149745 for more information on soft delete.",
    )


def _name_taken(name: str) -> AzureError:
    return AzureError(
        409,
        "VaultAlreadyExists",
        f"The vault name '{name}' is already in use. Vault names are globally unique so it is possible that the name "
        "is already taken. If you are sure that the vault name was not taken then it is possible that a vault with the "
        "same name was recently deleted but not purged after being placed in a recoverable state. If the vault is in a "
        "recoverable state then the vault will need to be purged before reusing the name. For more information about "
        "VaultAlreadyExists, soft delete and purging a vault follow this link "
        "https://go.microsoft.com/fwlink/?linkid=2147740.",
    )
