"""Service principals: an application's presence in a tenant, where roles are assigned and consent is given."""

from typing import Any
from uuid import uuid4

from localazure.plugins.azuread.behaviour import Change, Made, exists_already
from localazure.plugins.azuread.entitlements import features_of, former_features_of, ids_by_value, tags_of
from localazure.plugins.azuread.fields import Plain, decoded, encoded
from localazure.plugins.azuread.graph import Failure, Graph, GraphError, failing
from localazure.plugins.azuread.owners import Owners, owners, set_owners
from localazure.plugins.azuread.specs import SERVICE_PRINCIPAL


class ServicePrincipals:
    """Creates, reads, updates and deletes service principals."""

    async def create(self, graph: Graph, inputs: Plain) -> Made:
        client_id = inputs["clientId"]
        with failing("Could not list existing service principals"):
            existing = await graph.all("/servicePrincipals", where=f"appId eq '{client_id}'")
        if existing:
            object_id = existing[0]["id"]
            if not inputs.get("useExisting"):
                raise exists_already("azuread_service_principal", object_id)
            resource_id = SERVICE_PRINCIPAL.id_of(object_id)
            changed = frozenset({"owners"} if inputs.get("owners") else ())
            await self.update(graph, resource_id, Change({}, inputs, changed))
            return Made(resource_id)
        wanted = await Owners.of(graph, inputs)
        body = encoded(SERVICE_PRINCIPAL.fields, inputs) | wanted.binding(graph)
        body |= {"tags": tags_of(inputs), "description": f"TERRAFORM_UPDATE_{uuid4()}"}
        with failing("Could not create service principal"):
            object_id = (await graph.post("/servicePrincipals", body, retried=_application_not_yet_there))["id"]
        path, what = f"/servicePrincipals/{object_id}", f'Service Principal (Service Principal: "{object_id}")'
        with failing("Failed to patch service principal after creating"):
            await graph.patch(path, {"description": inputs.get("description") or None})
        await wanted.settle(graph, path, what)
        return Made(SERVICE_PRINCIPAL.id_of(object_id))

    async def read(self, graph: Graph, resource_id: str) -> dict[str, Any] | None:
        (object_id,) = SERVICE_PRINCIPAL.parts_of(resource_id)
        path, what = f"/servicePrincipals/{object_id}", f'Service Principal (Service Principal: "{object_id}")'
        with failing(f"Retrieving {what}"):
            answer = await graph.get(path)
        if answer is None:
            return None
        outputs = await service_principal(graph, answer)
        return outputs | {"owners": await owners(graph, path, what)}

    async def update(self, graph: Graph, resource_id: str, change: Change) -> None:
        (object_id,) = SERVICE_PRINCIPAL.parts_of(resource_id)
        path, what = f"/servicePrincipals/{object_id}", f'Service Principal (Service Principal: "{object_id}")'
        body = encoded(SERVICE_PRINCIPAL.fields, change.desired)
        del body["appId"]
        body["tags"] = tags_of(change.desired, features_win="featureTags" in change.changed or not change.outputs)
        with failing(f"Updating {what}"):
            await graph.patch(path, body)
        if "owners" in change.changed:
            await set_owners(graph, path, what, list(change.desired.get("owners") or []))

    async def delete(self, graph: Graph, resource_id: str, outputs: Plain) -> None:
        (object_id,) = SERVICE_PRINCIPAL.parts_of(resource_id)
        path, what = f"/servicePrincipals/{object_id}", f'Service Principal (Service Principal: "{object_id}")'
        try:
            with failing(f"Deleting {what}"):
                await graph.delete(path)
        except Failure:
            # One that was there before may be Microsoft's own, which nobody can delete.
            if not outputs.get("useExisting"):
                raise
            return
        if not outputs.get("useExisting"):
            await graph.until_gone(path, f"Waiting for deletion of {what}")


async def service_principal(graph: Graph, answer: Plain) -> dict[str, Any]:
    """Return the outputs for Graph's answer, without the owners."""
    object_id, tags = answer["id"], answer.get("tags") or []
    with failing(f'Retrieving Service Principal (Service Principal: "{object_id}") (beta API)'):
        more = await graph.get(f"/servicePrincipals/{object_id}", select="samlMetadataUrl", version="beta") or {}
    outputs = decoded((*SERVICE_PRINCIPAL.fields, *SERVICE_PRINCIPAL.answered), answer)
    client_id = outputs["clientId"].lower()
    return outputs | {
        "appRoleIds": ids_by_value(answer.get("appRoles") or []),
        "featureTags": [features_of(tags)],
        "features": [former_features_of(tags)],
        "oauth2PermissionScopeIds": ids_by_value(answer.get("oauth2PermissionScopes") or []),
        "samlMetadataUrl": more.get("samlMetadataUrl") or "",
        "servicePrincipalNames": [name for name in outputs["servicePrincipalNames"] if name.lower() != client_id],
    }


def _application_not_yet_there(error: GraphError) -> bool:
    said = str(error)
    unknown = error.status == 400 and "does not reference a valid application object" in said
    return unknown or (error.status == 403 and "the backing application of the service principal being" in said)
