"""What belongs to an application and is a resource of its own: identifier URIs, clients, passwords, federation.

Identifier URIs and pre-authorized clients are items of lists that can be written as a whole only. So whoever changes
one reads the list, and holds the application's lock until the list that was written is seen: the next to change it
would else write back an older one.
"""

from base64 import b64decode, b64encode
from typing import Any

from localazure.plugins.azuread.behaviour import Change, Immutable, Made, exists_already
from localazure.plugins.azuread.fields import Plain, decoded, encoded
from localazure.plugins.azuread.graph import Failure, Graph, failing
from localazure.plugins.azuread.specs import (
    APPLICATION,
    FEDERATED_CREDENTIAL,
    IDENTIFIER_URI,
    PASSWORD,
    PRE_AUTHORIZED,
)


class IdentifierUris(Immutable):
    """One of the URIs that name an application as an audience."""

    async def create(self, graph: Graph, inputs: Plain) -> Made:
        object_id, uri = _object_id(inputs), inputs["identifierUri"]
        resource_id = IDENTIFIER_URI.id_of(object_id, b64encode(uri.encode()).decode())
        async with graph.lock(object_id):
            uris = list((await _application(graph, object_id)).get("identifierUris") or [])
            if uri in uris:
                raise exists_already("azuread_application_identifier_uri", resource_id)
            with failing(f"creating {_what_uri(resource_id)}"):
                await _write_uris(graph, object_id, [*uris, uri])
        return Made(resource_id)

    async def read(self, graph: Graph, resource_id: str) -> dict[str, Any] | None:
        object_id, encoded_uri = IDENTIFIER_URI.parts_of(resource_id)
        try:
            uri = b64decode(encoded_uri, validate=True).decode()
        except ValueError as error:
            raise Failure("failed to decode identifierUri from resource ID", error) from error
        application = await _application_or_none(graph, object_id, _what_uri(resource_id))
        if application is None or uri not in (application.get("identifierUris") or []):
            return None
        return {"applicationId": APPLICATION.id_of(object_id), "identifierUri": uri}

    async def delete(self, graph: Graph, resource_id: str, outputs: Plain) -> None:
        object_id, _ = IDENTIFIER_URI.parts_of(resource_id)
        async with graph.lock(object_id):
            uris = list((await _application(graph, object_id)).get("identifierUris") or [])
            if outputs["identifierUri"] not in uris:
                raise Failure(f"deleting {_what_uri(resource_id)}", "could not identify existing identifier URI")
            uris.remove(outputs["identifierUri"])
            with failing(f"deleting {_what_uri(resource_id)}"):
                await _write_uris(graph, object_id, uris)


class PreAuthorizedApplications:
    """One of the clients that get tokens for an application without asking for consent."""

    async def create(self, graph: Graph, inputs: Plain) -> Made:
        object_id, client_id = _object_id(inputs), inputs["authorizedClientId"]
        resource_id = PRE_AUTHORIZED.id_of(object_id, client_id)
        async with graph.lock(object_id):
            clients = _clients(await _application(graph, object_id))
            if _client(clients, client_id):
                raise exists_already("azuread_application_pre_authorized", resource_id)
            client = {"appId": client_id, "delegatedPermissionIds": list(inputs["permissionIds"])}
            with failing(f'Adding pre-authorized application "{client_id}" for {_what(object_id)}'):
                await _write_clients(graph, object_id, [*clients, client])
        return Made(resource_id)

    async def read(self, graph: Graph, resource_id: str) -> dict[str, Any] | None:
        object_id, client_id = PRE_AUTHORIZED.parts_of(resource_id)
        application = await _application_or_none(graph, object_id, _what(object_id))
        client = _client(_clients(application or {}), client_id)
        if client is None:
            return None
        ids = {"applicationId": APPLICATION.id_of(object_id), "authorizedClientId": client_id}
        return decoded(PRE_AUTHORIZED.fields, client) | ids

    async def update(self, graph: Graph, resource_id: str, change: Change) -> None:
        object_id, client_id = PRE_AUTHORIZED.parts_of(resource_id)
        async with graph.lock(object_id):
            clients = _clients(await _application(graph, object_id))
            client = _client(clients, client_id)
            if client is None:
                missing = f'could not match an existing preAuthorizedApplication for "{client_id}"'
                raise Failure(f"retrieving {_what(object_id)}", missing)
            client["delegatedPermissionIds"] = list(change.desired["permissionIds"])
            with failing(f'Updating pre-authorized application "{client_id}" for {_what(object_id)}'):
                await _write_clients(graph, object_id, clients)

    async def delete(self, graph: Graph, resource_id: str, outputs: Plain) -> None:
        object_id, client_id = PRE_AUTHORIZED.parts_of(resource_id)
        async with graph.lock(object_id):
            application = await _application_or_none(graph, object_id, _what(object_id))
            if application is None:
                return
            others = [client for client in _clients(application) if client["appId"].lower() != client_id.lower()]
            with failing(f'Removing pre-authorized application "{client_id}" from {_what(object_id)}'):
                await _write_clients(graph, object_id, others)


class Passwords(Immutable):
    """A client secret, which Graph makes and tells once."""

    async def create(self, graph: Graph, inputs: Plain) -> Made:
        object_id = _object_id(inputs)
        given = {field.graph: inputs[field.name] for field in PASSWORD.fields if field.graph and inputs.get(field.name)}
        async with graph.lock(object_id):
            await _application(graph, object_id)
            with failing(f"Adding password for {_what(object_id)}"):
                answer = await graph.post(f"/applications/{object_id}/addPassword", {"passwordCredential": given})
            key_id = answer["keyId"]

            async def look() -> dict[str, Any] | None:
                return _password(await _application(graph, object_id), key_id)

            if await graph.until(look) is None:
                raise Failure(
                    f"Waiting for password credential for {_what(object_id)}",
                    "password credential not found in application manifest",
                )
        return Made(PASSWORD.id_of(object_id, key_id), {"value": answer["secretText"]})

    async def read(self, graph: Graph, resource_id: str) -> dict[str, Any] | None:
        object_id, key_id = PASSWORD.parts_of(resource_id)
        application = await _application_or_none(graph, object_id, _what(object_id))
        password = _password(application or {}, key_id)
        if password is None:
            return None
        outputs = decoded((*PASSWORD.fields, *PASSWORD.answered), password)
        return outputs | {"applicationId": APPLICATION.id_of(object_id), "keyId": key_id}

    async def delete(self, graph: Graph, resource_id: str, outputs: Plain) -> None:
        object_id, key_id = PASSWORD.parts_of(resource_id)
        async with graph.lock(object_id):
            with failing(f'Removing password credential "{key_id}" from {_what(object_id)}'):
                await graph.post(f"/applications/{object_id}/removePassword", {"keyId": key_id})

            async def look() -> bool | None:
                return True if _password(await _application(graph, object_id), key_id) is None else None

            if await graph.until(look) is None:
                raise Failure(f'Waiting for deletion of password credential "{key_id}" from {_what(object_id)}')


class FederatedCredentials:
    """An outside issuer's subject that may sign in as an application."""

    async def create(self, graph: Graph, inputs: Plain) -> Made:
        object_id = _object_id(inputs)
        collection = f"/applications/{object_id}/federatedIdentityCredentials"
        async with graph.lock(object_id):
            await _application(graph, object_id)
            with failing(f"Adding federated identity credential for {_what(object_id)}"):
                credential = await graph.post(collection, encoded(FEDERATED_CREDENTIAL.fields, inputs))
        return Made(FEDERATED_CREDENTIAL.id_of(object_id, credential["id"]))

    async def read(self, graph: Graph, resource_id: str) -> dict[str, Any] | None:
        object_id, credential_id = FEDERATED_CREDENTIAL.parts_of(resource_id)
        with failing(f'Retrieving federated identity credential with ID "{credential_id}" for {_what(object_id)}'):
            credential = await graph.get(_credential_path(object_id, credential_id))
        if credential is None:
            return None
        outputs = decoded((*FEDERATED_CREDENTIAL.fields, *FEDERATED_CREDENTIAL.answered), credential)
        return outputs | {"applicationId": APPLICATION.id_of(object_id)}

    async def update(self, graph: Graph, resource_id: str, change: Change) -> None:
        object_id, credential_id = FEDERATED_CREDENTIAL.parts_of(resource_id)
        body = encoded(FEDERATED_CREDENTIAL.fields, change.desired) | {"id": credential_id}
        async with graph.lock(object_id):
            with failing(f'Updating federated identity credential with ID "{credential_id}" for {_what(object_id)}'):
                await graph.patch(_credential_path(object_id, credential_id), body)

    async def delete(self, graph: Graph, resource_id: str, outputs: Plain) -> None:
        object_id, credential_id = FEDERATED_CREDENTIAL.parts_of(resource_id)
        path = _credential_path(object_id, credential_id)
        what = f'federated identity credential "{credential_id}" of {_what(object_id)}'
        async with graph.lock(object_id):
            with failing(f"Removing {what}"):
                await graph.delete(path)
            await graph.until_gone(path, f"Waiting for deletion of {what}")


def _object_id(inputs: Plain) -> str:
    (object_id,) = APPLICATION.parts_of(inputs["applicationId"])
    return object_id


def _what(object_id: str) -> str:
    return f'Application (Application: "{object_id}")'


def _what_uri(resource_id: str) -> str:
    object_id, uri = IDENTIFIER_URI.parts_of(resource_id)
    return f'Application IdentifierUri (Application ID: "{object_id}", IdentifierUri ID: "{uri}")'


def _credential_path(object_id: str, credential_id: str) -> str:
    return f"/applications/{object_id}/federatedIdentityCredentials/{credential_id}"


async def _application_or_none(graph: Graph, object_id: str, what: str) -> dict[str, Any] | None:
    with failing(f"Retrieving {what}"):
        return await graph.get(f"/applications/{object_id}")


async def _application(graph: Graph, object_id: str) -> dict[str, Any]:
    application = await _application_or_none(graph, object_id, _what(object_id))
    if application is None:
        raise Failure(f"{_what(object_id)} was not found")
    return application


def _password(application: Plain, key_id: str) -> dict[str, Any] | None:
    passwords: list[dict[str, Any]] = application.get("passwordCredentials") or []
    return next((password for password in passwords if password["keyId"].lower() == key_id.lower()), None)


def _clients(application: Plain) -> list[dict[str, Any]]:
    return list((application.get("api") or {}).get("preAuthorizedApplications") or [])


def _client(clients: list[dict[str, Any]], client_id: str) -> dict[str, Any] | None:
    return next((client for client in clients if client["appId"].lower() == client_id.lower()), None)


async def _write_uris(graph: Graph, object_id: str, uris: list[str]) -> None:
    await graph.patch(f"/applications/{object_id}", {"identifierUris": uris})

    async def look() -> bool | None:
        seen = (await _application(graph, object_id)).get("identifierUris") or []
        return True if set(seen) == set(uris) else None

    await graph.until(look)


async def _write_clients(graph: Graph, object_id: str, clients: list[dict[str, Any]]) -> None:
    await graph.patch(f"/applications/{object_id}", {"api": {"preAuthorizedApplications": clients}})

    async def look() -> bool | None:
        return True if _permissions(_clients(await _application(graph, object_id))) == _permissions(clients) else None

    await graph.until(look)


def _permissions(clients: list[dict[str, Any]]) -> dict[str, set[str]]:
    return {client["appId"]: set(client["delegatedPermissionIds"]) for client in clients}
