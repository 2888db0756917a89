"""What somebody is given at a service principal: app roles, and consent to act for users."""

from typing import Any

from localazure.plugins.azuread.behaviour import Change, Immutable, Made
from localazure.plugins.azuread.fields import Plain, decoded
from localazure.plugins.azuread.graph import Failure, Graph, GraphError, failing
from localazure.plugins.azuread.specs import PERMISSION_GRANT, ROLE_ASSIGNMENT


class RoleAssignments(Immutable):
    """An app role that a user, group or service principal has."""

    async def create(self, graph: Graph, inputs: Plain) -> Made:
        resource = inputs["resourceObjectId"]
        with failing(f'Could not retrieve service principal for resource (Object ID: "{resource}")'):
            if await graph.get(f"/servicePrincipals/{resource}") is None:
                raise Failure(f'Service principal not found for resource (Object ID: "{resource}")')
        body = {field.graph: inputs[field.name] for field in ROLE_ASSIGNMENT.fields}
        path = f"/servicePrincipals/{resource}/appRoleAssignedTo"
        with failing("Could not create app role assignment"):
            answer = await graph.post(path, body, retried=_principal_not_yet_there)
        return Made(ROLE_ASSIGNMENT.id_of(answer["resourceId"], answer["id"]))

    async def read(self, graph: Graph, resource_id: str) -> dict[str, Any] | None:
        ROLE_ASSIGNMENT.parts_of(resource_id)
        with failing(f"retrieving {_assignment(resource_id)}"):
            answer = await graph.get(resource_id)
        return answer and decoded((*ROLE_ASSIGNMENT.fields, *ROLE_ASSIGNMENT.answered), answer)

    async def delete(self, graph: Graph, resource_id: str, outputs: Plain) -> None:
        with failing(f"Deleting {_assignment(resource_id)}"):
            await graph.delete(resource_id)


class PermissionGrants:
    """Consent that a client gets tokens with scopes of a resource, for one user or for all."""

    async def create(self, graph: Graph, inputs: Plain) -> Made:
        client, resource = inputs["servicePrincipalObjectId"], inputs["resourceServicePrincipalObjectId"]
        for object_id, suffix in ((client, ""), (resource, " for resource")):
            what = f'Service Principal (Service Principal: "{object_id}")'
            with failing(f"Could not retrieve {what}{suffix}"):
                if await graph.get(f"/servicePrincipals/{object_id}") is None:
                    raise Failure(f"{what} was not found{suffix}")
        user = inputs.get("userObjectId")
        body = {"clientId": client, "resourceId": resource, "scope": _scope(inputs)}
        body |= {"consentType": "Principal", "principalId": user} if user else {"consentType": "AllPrincipals"}
        with failing("Could not create delegated permission grant"):
            answer = await graph.post("/oauth2PermissionGrants", body, retried=_service_principal_not_yet_there)
        return Made(PERMISSION_GRANT.id_of(answer["id"]))

    async def read(self, graph: Graph, resource_id: str) -> dict[str, Any] | None:
        PERMISSION_GRANT.parts_of(resource_id)
        with failing(f'Retrieving Delegated Permission Grant with ID "{resource_id}"'):
            answer = await graph.get(resource_id)
        if answer is None:
            return None
        return decoded(PERMISSION_GRANT.fields, answer) | {"claimValues": (answer.get("scope") or "").split()}

    async def update(self, graph: Graph, resource_id: str, change: Change) -> None:
        with failing(f"Updating {_grant(resource_id)}"):
            await graph.patch(resource_id, {"scope": _scope(change.desired)})

    async def delete(self, graph: Graph, resource_id: str, outputs: Plain) -> None:
        with failing(f"Deleting {_grant(resource_id)}"):
            await graph.delete(resource_id)


def _scope(inputs: Plain) -> str:
    return " ".join(inputs["claimValues"])


def _assignment(resource_id: str) -> str:
    resource, assignment = ROLE_ASSIGNMENT.parts_of(resource_id)
    return (
        f'Service Principal Id App Role Assigned To (Service Principal: "{resource}", '
        f'App Role Assignment: "{assignment}")'
    )


def _grant(resource_id: str) -> str:
    (grant_id,) = PERMISSION_GRANT.parts_of(resource_id)
    return f'O Auth 2 Permission Grant (O Auth 2 Permission Grant: "{grant_id}")'


def _principal_not_yet_there(error: GraphError) -> bool:
    return error.status == 404 or (error.status == 400 and "Not a valid reference update" in str(error))


def _service_principal_not_yet_there(error: GraphError) -> bool:
    missing = "does not exist or one of its queried reference-property objects are not present"
    return error.status == 404 or (error.status == 400 and missing in str(error))
