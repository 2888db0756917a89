"""Applications: registrations with their roles, scopes, redirect URIs and owners.

A role or scope that is enabled cannot be changed or removed. So an update first disables these, waits until that is
seen, and then writes everything.
"""

from typing import Any, Final
from uuid import uuid4

from localazure.plugins.azuread.behaviour import Change, Made
from localazure.plugins.azuread.entitlements import features_of, ids_by_value, tags_of
from localazure.plugins.azuread.fields import Plain, decoded, encoded, put, value_at
from localazure.plugins.azuread.graph import Failure, Graph, GraphError, failing
from localazure.plugins.azuread.owners import Owners, owners, set_owners
from localazure.plugins.azuread.specs import APPLICATION, SCOPE

_ROLE_PROPERTIES: Final = frozenset({"allowedMemberTypes", "description", "displayName", "value"})
_SCOPE_PROPERTIES: Final = frozenset(field.graph for field in SCOPE)


class Applications:
    """Creates, reads, updates and deletes applications."""

    async def create(self, graph: Graph, inputs: Plain) -> Made:
        await refuse_duplicate(graph, inputs)
        wanted = await Owners.of(graph, inputs)
        body = encoded(APPLICATION.fields, inputs) | {"tags": tags_of(inputs)}
        api = body["api"]
        # Graph refuses this in a create by those who may manage their own applications only.
        mapped_claims = api.pop("acceptMappedClaims") if api["acceptMappedClaims"] else False
        with failing("Could not create application"):
            object_id = (await graph.post("/applications", body | wanted.binding(graph)))["id"]
        path, what = f"/applications/{object_id}", f'application with object ID: "{object_id}"'
        # Graph takes changes once it has replicated the application, and these are two that show it.
        with failing(f'Failed to patch application with object ID "{object_id}" after creating'):
            for name in (f"TERRAFORM_UPDATE_{uuid4()}", inputs["displayName"]):
                await graph.patch(path, {"displayName": name}, retried=_not_yet_there)
        if mapped_claims:
            with failing("Failed to patch application after creating to set `api.0.mapped_claims_enabled` property"):
                await graph.patch(path, {"api": api | {"acceptMappedClaims": True}}, retried=_not_yet_there)
        await wanted.settle(graph, path, what)
        return Made(APPLICATION.id_of(object_id))

    async def read(self, graph: Graph, resource_id: str) -> dict[str, Any] | None:
        (object_id,) = APPLICATION.parts_of(resource_id)
        path, what = f"/applications/{object_id}", f'Application (Application: "{object_id}")'
        with failing(f"Retrieving {what}"):
            answer = await graph.get(path)
        if answer is None:
            return None
        with failing(f"Retrieving additional properties for {what}"):
            more = await graph.get(path, select="oauth2RequirePostResponse", version="beta") or {}
        tags = answer.get("tags") or []
        return decoded((*APPLICATION.fields, *APPLICATION.answered), answer) | {
            "appRoleIds": ids_by_value(answer.get("appRoles") or []),
            "featureTags": [features_of(tags)],
            "oauth2PermissionScopeIds": ids_by_value((answer.get("api") or {}).get("oauth2PermissionScopes") or []),
            "oauth2PostResponseRequired": bool(more.get("oauth2RequirePostResponse")),
            "owners": await owners(graph, path, what),
        }

    async def update(self, graph: Graph, resource_id: str, change: Change) -> None:
        (object_id,) = APPLICATION.parts_of(resource_id)
        path, what = f"/applications/{object_id}", f'application with object ID: "{object_id}"'
        async with graph.lock(object_id):
            await refuse_duplicate(graph, change.desired, but=object_id)
            body = encoded(APPLICATION.fields, change.desired)
            body["tags"] = tags_of(change.desired, features_win="featureTags" in change.changed)
            await self._disable(graph, object_id, body, change)
            with failing(f"Could not update {what}"):
                await graph.patch(path, body)
            if "owners" in change.changed:
                await set_owners(graph, path, what, list(change.desired.get("owners") or []))

    async def delete(self, graph: Graph, resource_id: str, outputs: Plain) -> None:
        (object_id,) = APPLICATION.parts_of(resource_id)
        path, what = f"/applications/{object_id}", f'Application (Application: "{object_id}")'
        with failing(f"deleting {what}"):
            await graph.delete(path)
        await graph.until_gone(path, f'Waiting for deletion of application with object ID "{object_id}"')

    async def _disable(self, graph: Graph, object_id: str, body: dict[str, Any], change: Change) -> None:
        """Take out of the body what has not changed, and make the rest of it writable."""
        for name, words, properties in (
            ("appRoles", "App Roles", _ROLE_PROPERTIES),
            ("api.oauth2PermissionScopes", "OAuth2 Permission Scopes", _SCOPE_PROPERTIES),
        ):
            if name in change.changed:
                summary = f'Could not disable {words} for application with object ID "{object_id}"'
                with failing(f'{summary}: disabling {words} for Application (Application: "{object_id}")'):
                    await _disable_changed(graph, object_id, name, value_at(body, name), properties)
            else:
                container, _, last = name.rpartition(".")
                del (body[container] if container else body)[last]
        for name, graph_name in (
            ("identifierUris", "identifierUris"),
            ("optionalClaims", "optionalClaims"),
            ("requiredResourceAccesses", "requiredResourceAccess"),
        ):
            if not any(changed.partition(".")[0] == name for changed in change.changed):
                del body[graph_name]


async def refuse_duplicate(graph: Graph, inputs: Plain, but: str = "") -> None:
    """Raise PluginError if another application has the name and `preventDuplicateNames` is set."""
    if not inputs.get("preventDuplicateNames"):
        return
    name = inputs["displayName"]
    with failing("Could not check for existing application(s)"):
        found = await graph.all("/applications", where=f"displayName eq '{name}'")
    for application in found:
        if application["displayName"] == name and application["id"] != but:
            raise Failure(
                f'An existing "azuread_application" with name "{name}" (ID: "{application["id"]}") was found and '
                "`prevent_duplicate_names` was specified",
                "To be managed via Terraform, this resource needs to be imported into the State. Please see the "
                'resource documentation for "azuread_application" for more information.',
            )


async def _disable_changed(
    graph: Graph, object_id: str, name: str, wanted: list[dict[str, Any]], properties: frozenset[str]
) -> None:
    """Disable what is to be changed or removed of a list of roles or scopes, and wait until that is seen."""
    changed = _with_changed_disabled(value_at(await _get(graph, object_id), name) or [], wanted, properties)
    if changed is None:
        return
    body: dict[str, Any] = {}
    put(body, name, changed)
    await graph.patch(f"/applications/{object_id}", body)

    async def look() -> bool | None:
        enabled = {item["id"] for item in value_at(await _get(graph, object_id), name) or [] if item["isEnabled"]}
        return None if any(item["id"] in enabled for item in changed if not item["isEnabled"]) else True

    await graph.until(look)


async def _get(graph: Graph, object_id: str) -> dict[str, Any]:
    application = await graph.get(f"/applications/{object_id}")
    if application is None:
        raise Failure(f'Application (Application: "{object_id}") was not found')
    return application


def _with_changed_disabled(
    present: list[dict[str, Any]], wanted: list[dict[str, Any]], properties: frozenset[str]
) -> list[dict[str, Any]] | None:
    """Return what is present, with what is to be changed or removed disabled; None if nothing is."""
    by_id = {item["id"]: item for item in wanted}

    def stays(item: dict[str, Any]) -> bool:
        new = by_id.get(item["id"])
        return new is not None and all((item.get(name) or "") == (new.get(name) or "") for name in properties)

    result = [item if stays(item) or not item["isEnabled"] else item | {"isEnabled": False} for item in present]
    return result if result != present else None


def _not_yet_there(error: GraphError) -> bool:
    if error.status in (404, 409):
        return True
    return error.status == 400 and "cannot be deleted or updated unless disabled first" in str(error)
