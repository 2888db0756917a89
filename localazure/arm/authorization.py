"""Microsoft.Authorization: role assignments at any scope, and the built-in role definitions."""

import re
import uuid
from datetime import UTC, datetime

from aiohttp import web

from localazure import access
from localazure.access import ROLE_ASSIGNMENTS, ROLES, Role
from localazure.arm.groups import DOCUMENTS, require_group
from localazure.arm.paths import not_found, pattern, subscription_id
from localazure.context import Context, json_object
from localazure.entra import directory
from localazure.errors import AzureError
from localazure.store import Document
from localazure.vaults import VAULTS, timestamp

_PROVIDER = "providers/Microsoft.Authorization"
_FIXED = ("roleDefinitionId", "principalId", "principalType", "scope")


def routes(context: Context) -> list[web.RouteDef]:
    service = _Authorization(context)
    assignments = pattern(f"{{scope...}}/{_PROVIDER}/roleAssignments")
    assignment = pattern(f"{{scope...}}/{_PROVIDER}/roleAssignments/{{name}}")
    definitions = [pattern(f"{prefix}{_PROVIDER}/roleDefinitions") for prefix in ("", "{scope...}/")]
    definition = [pattern(f"{prefix}{_PROVIDER}/roleDefinitions/{{name}}") for prefix in ("", "{scope...}/")]
    return [
        web.get(assignments, service.list),
        web.get(assignment, service.get),
        web.put(assignment, service.put),
        web.delete(assignment, service.delete),
        *(web.get(path, service.list_definitions) for path in definitions),
        *(web.get(path, service.get_definition) for path in definition),
    ]


class _Authorization:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    async def list(self, request: web.Request) -> web.Response:
        scope = _scope(request)
        await self._context.authorize(request, scope, "Microsoft.Authorization/roleAssignments/read")
        below, principals = True, None
        for condition in _conditions(request):
            by_principal = re.fullmatch(r"(principalId eq|assignedTo)\s*\(?'([^']+)'\)?", condition)
            if by_principal:
                principals = [by_principal[2].lower()]
                if by_principal[1] == "assignedTo":
                    known = directory.by_object_id(self._store, principals[0])
                    principals += known["memberOf"] if known else []
            elif condition == "atScope()":
                below = False
            else:
                raise _unknown_filter(condition)
        found = [
            _document(assignment)
            for _, assignment in self._store.items(ROLE_ASSIGNMENTS)
            if (access.covers(assignment["scope"], scope) or (below and access.covers(scope, assignment["scope"])))
            and (principals is None or assignment["principalId"] in principals)
        ]
        return web.json_response({"value": found})

    async def get(self, request: web.Request) -> web.Response:
        scope, name = _scope(request), request.match_info["name"]
        await self._context.authorize(request, scope, "Microsoft.Authorization/roleAssignments/read")
        assignment = self._find(scope, name)
        if assignment is None:
            raise AzureError(404, "RoleAssignmentNotFound", f"The role assignment '{name}' is not found.")
        return web.json_response(_document(assignment))

    async def put(self, request: web.Request) -> web.Response:
        scope, name = _scope(request), request.match_info["name"]
        caller = await self._context.authorize(request, scope, "Microsoft.Authorization/roleAssignments/write")
        body = await json_object(request)
        given = body.get("properties") or {}
        self._require_scope(scope)
        if not _is_guid(name):
            raise AzureError(
                400,
                "InvalidRoleAssignmentId",
                f"The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.",
            )
        if given.get("condition"):
            raise AzureError(501, "NotImplemented", "The local Azure does not evaluate conditions of role assignments.")
        wanted = {
            "roleDefinitionId": self._role_definition_id(str(given.get("roleDefinitionId", ""))),
            **self._principal(given),
            "scope": scope,
        }
        now = timestamp(datetime.fromtimestamp(self._context.clock(), UTC))
        known = self._find(scope, name)
        if known is not None:
            if any(_differs(known[field], wanted[field]) for field in _FIXED):
                raise AzureError(
                    403,
                    "RoleAssignmentUpdateNotPermitted",
                    "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
                )
            known |= {"description": given.get("description"), "updatedOn": now, "updatedBy": caller.object_id}
            self._put(known)
            return web.json_response(_document(known))
        self._refuse_equal(wanted)
        assignment: Document = {
            **wanted,
            "id": f"{scope}/{_PROVIDER}/roleAssignments/{name}",
            "name": name,
            "description": given.get("description"),
            "createdOn": now,
            "updatedOn": now,
            "createdBy": caller.object_id,
            "updatedBy": caller.object_id,
            "assignedAt": self._context.clock(),
        }
        self._put(assignment)
        return web.json_response(_document(assignment), status=201)

    async def delete(self, request: web.Request) -> web.Response:
        scope, name = _scope(request), request.match_info["name"]
        await self._context.authorize(request, scope, "Microsoft.Authorization/roleAssignments/delete")
        assignment = self._find(scope, name)
        if assignment is None:
            return web.Response(status=204)
        self._store.delete(ROLE_ASSIGNMENTS, access.assignment_key(assignment["principalId"], scope, name))
        return web.json_response(_document(assignment))

    async def list_definitions(self, request: web.Request) -> web.Response:
        await self._read_definitions(request)
        names = []
        for condition in _conditions(request):
            by_name = re.fullmatch(r"roleName eq '([^']*)'", condition)
            if by_name:
                names.append(by_name[1])
            elif condition not in ("type eq 'BuiltInRole'", "atScopeAndBelow()"):
                raise _unknown_filter(condition)
        return web.json_response(
            {"value": [self._definition(role) for role in ROLES if all(role.name == name for name in names)]}
        )

    async def get_definition(self, request: web.Request) -> web.Response:
        await self._read_definitions(request)
        name = request.match_info["name"]
        role = access.role(name)
        if role is None:
            raise _no_such_role(name, 404)
        return web.json_response(self._definition(role))

    async def _read_definitions(self, request: web.Request) -> None:
        scope = _scope(request) if "scope" in request.match_info else subscription_id(self._context)
        await self._context.authorize(request, scope, "Microsoft.Authorization/roleDefinitions/read")

    def _find(self, scope: str, name: str) -> Document | None:
        wanted = f"{scope}/{name}".lower()
        found = (assignment for key, assignment in self._store.items(ROLE_ASSIGNMENTS) if key.endswith(wanted))
        return next((each for each in found if f"{each['scope']}/{each['name']}".lower() == wanted), None)

    def _put(self, assignment: Document) -> None:
        key = access.assignment_key(assignment["principalId"], assignment["scope"], assignment["name"])
        self._store.put(ROLE_ASSIGNMENTS, key, assignment)

    def _definition_id(self, role: Role) -> str:
        return f"{subscription_id(self._context)}/{_PROVIDER}/roleDefinitions/{role.id}"

    def _definition(self, role: Role) -> Document:
        return {
            "id": self._definition_id(role),
            "name": role.id,
            "type": "Microsoft.Authorization/roleDefinitions",
            "properties": {
                "roleName": role.name,
                "type": "BuiltInRole",
                "description": role.description,
                "assignableScopes": ["/"],
                "permissions": [
                    {
                        "actions": role.actions,
                        "notActions": role.not_actions,
                        "dataActions": role.data_actions,
                        "notDataActions": [],
                    }
                ],
            },
        }

    def _role_definition_id(self, given: str) -> str:
        role = access.role(given)
        if role is None:
            raise _no_such_role(given.rsplit("/", 1)[-1], 400)
        return self._definition_id(role)

    def _principal(self, given: Document) -> Document:
        """The assignment's principal, checked in the directory unless its type is said, which is for one just
        created.
        """
        principal_id, said = str(given.get("principalId", "")).lower(), given.get("principalType")
        if not _is_guid(principal_id):
            raise AzureError(
                400,
                "InvalidPrincipalId",
                f"A valid principal ID must be provided for role assignment, not '{principal_id}'.",
            )
        if said is not None and said not in directory.KINDS:
            raise AzureError(400, "InvalidPrincipalType", f"The principal type '{said}' is not valid.")
        known = directory.by_object_id(self._store, principal_id)
        if known is None and said is None:
            raise AzureError(
                400,
                "PrincipalNotFound",
                f"Principal {principal_id.replace('-', '')} does not exist in the directory {self._context.tenant_id}. "
                "Check that you have the correct principal ID. If you are creating this principal and then immediately "
                "assigning a role, this error might be related to a replication delay. In this case, set the role "
                "assignment principalType property to a value, such as ServicePrincipal, User, or Group.  See "
                "https://aka.ms/docs-principaltype",
            )
        if known is not None and said not in (None, known["kind"]):
            raise AzureError(
                400,
                "UnmatchedPrincipalType",
                f"The PrincipalId '{principal_id}' has type '{known['kind']}' , which is different from specified "
                f"PrincipalType '{said}'.",
            )
        return {"principalId": principal_id, "principalType": known["kind"] if known else said}

    def _refuse_equal(self, wanted: Document) -> None:
        for _, assignment in self._store.items(ROLE_ASSIGNMENTS, f"{wanted['principalId']}/"):
            if not any(_differs(assignment[field], wanted[field]) for field in _FIXED):
                raise AzureError(
                    409,
                    "RoleAssignmentExists",
                    "The role assignment already exists. The ID of the existing role assignment is "
                    f"{assignment['name'].replace('-', '')}.",
                )

    def _require_scope(self, scope: str) -> None:
        """What the scope names must exist, down to the resource; what is in a vault need not."""
        parts = scope.strip("/").split("/")
        if [part.lower() for part in parts[:2]] != ["subscriptions", self._context.subscription_id]:
            raise AzureError(404, "SubscriptionNotFound", f"The scope '{scope}' is in no subscription that is known.")
        if len(parts) == 2:
            return
        if len(parts) < 4 or parts[2].lower() != "resourcegroups":
            raise AzureError(400, "InvalidScope", f"The scope '{scope}' is not valid.")
        group = parts[3]
        require_group(self._context, group)
        if len(parts) == 4:
            return
        if len(parts) < 8 or parts[4].lower() != "providers":
            raise AzureError(400, "InvalidScope", f"The scope '{scope}' is not valid.")
        resource_id = "/" + "/".join(parts[:8]).lower()
        vault = self._store.get(VAULTS, parts[7].lower())
        if not (vault and vault["id"].lower() == resource_id) and self._store.get(DOCUMENTS, resource_id) is None:
            raise not_found(f"{parts[5]}/{parts[6]}", parts[7], group)


def _scope(request: web.Request) -> str:
    return "/" + request.match_info["scope"].strip("/")


def _conditions(request: web.Request) -> list[str]:
    given = request.query.get("$filter", "").strip()
    return [condition.strip() for condition in re.split(r"\s+and\s+", given)] if given else []


def _unknown_filter(condition: str) -> AzureError:
    return AzureError(501, "NotImplemented", f"The local Azure does not know the filter {condition!r}.")


def _no_such_role(name: str, status: int) -> AzureError:
    return AzureError(
        status, "RoleDefinitionDoesNotExist", f"The specified role definition with ID '{name}' does not exist."
    )


def _differs(one: str, other: str) -> bool:
    return one.lower() != other.lower()


def _is_guid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _document(assignment: Document) -> Document:
    shown = (*_FIXED, "description", "createdOn", "updatedOn", "createdBy", "updatedBy")
    return {
        "id": assignment["id"],
        "name": assignment["name"],
        "type": "Microsoft.Authorization/roleAssignments",
        "properties": {
            **{field: assignment[field] for field in shown},
            "condition": None,
            "conditionVersion": None,
            "delegatedManagedIdentityResourceId": None,
        },
    }
