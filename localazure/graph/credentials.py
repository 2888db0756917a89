"""Credentials of applications: passwords, and federated identity credentials.

A password is said once, in the answer to addPassword; Entra keeps it with the application. Both kinds appear to readers
late, and disappear late: when every replica knows.
"""

import re
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from localazure.access import Principal
from localazure.entra.directory import APPLICATIONS
from localazure.graph import query
from localazure.graph.applications import find, newest
from localazure.graph.errors import bad_request, duplicate, invalid, not_found
from localazure.graph.service import READ_APPLICATIONS, ROOT, Graph, body_of
from localazure.store import Document
from localazure.vaults import timestamp

_PASSWORD_YEARS = 2
_HINT_LENGTH = 3
_FEDERATED = "_federatedIdentityCredentials"
_MOST_FEDERATED = 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,119}")


def routes(graph: Graph) -> list[web.RouteDef]:
    passwords, federated = _Passwords(graph), _FederatedCredentials(graph)
    application = f"{ROOT}/applications/{{id}}"
    credentials = f"{application}/federatedIdentityCredentials"
    return [
        web.post(f"{application}/addPassword", passwords.add),
        web.post(f"{application}/removePassword", passwords.remove),
        web.get(credentials, federated.page),
        web.post(credentials, federated.create),
        web.get(f"{credentials}/{{credential}}", federated.get),
        web.patch(f"{credentials}/{{credential}}", federated.update),
        web.delete(f"{credentials}/{{credential}}", federated.delete),
    ]


class _OfApplication:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def _writable(self, request: web.Request) -> tuple[Principal, Document]:
        seen = find(self._graph, request)
        caller = await self._graph.require_ownership(request, seen["_owners"])
        return caller, newest(self._graph, seen)

    def _put(self, application: Document, caller: Principal) -> None:
        self._graph.replica.put(APPLICATIONS, application["id"], application, caller.object_id)


class _Passwords(_OfApplication):
    async def add(self, request: web.Request) -> web.Response:
        caller, application = await self._writable(request)
        given = (await body_of(request)).get("passwordCredential") or {}
        start = _instant(given, "startDateTime") or datetime.now(UTC)
        end = _instant(given, "endDateTime") or start + timedelta(days=365 * _PASSWORD_YEARS)
        if end <= max(start, datetime.now(UTC)):
            raise bad_request(
                "Key credential end date is invalid: it must be after the start and in the future.",
                code="KeyCredentialsInvalidEndDate",
                target="passwordCredentials",
            )
        text = secrets.token_urlsafe(30)
        credential = {
            "customKeyIdentifier": None,
            "displayName": given.get("displayName"),
            "endDateTime": timestamp(end),
            "hint": text[:_HINT_LENGTH],
            "keyId": str(uuid.uuid4()),
            "secretText": None,
            "startDateTime": timestamp(start),
        }
        application["passwordCredentials"].append(credential)
        application["_secrets"][credential["keyId"]] = text
        self._put(application, caller)
        said = credential | {"secretText": text}
        context = f"{self._graph.version_base(request)}/$metadata#microsoft.graph.passwordCredential"
        return web.json_response({"@odata.context": context, **said})

    async def remove(self, request: web.Request) -> web.Response:
        caller, application = await self._writable(request)
        key_id = str((await body_of(request)).get("keyId", "")).lower()
        remaining = [each for each in application["passwordCredentials"] if each["keyId"] != key_id]
        if len(remaining) == len(application["passwordCredentials"]):
            raise bad_request(f"No password credential found with keyId {key_id}.")
        application["passwordCredentials"] = remaining
        application["_secrets"].pop(key_id, None)
        self._put(application, caller)
        return web.Response(status=204)


class _FederatedCredentials(_OfApplication):
    async def page(self, request: web.Request) -> web.Response:
        await self._graph.require(request, *READ_APPLICATIONS)
        kind = "applications/federatedIdentityCredentials"
        return query.collection(self._graph, request, kind, self._seen(request), ("name", "issuer", "subject"))

    async def get(self, request: web.Request) -> web.Response:
        await self._graph.require(request, *READ_APPLICATIONS)
        credential = _named(self._seen(request), request)
        kind = "applications/federatedIdentityCredentials"
        return self._graph.entity(request, kind, query.selected(request, credential))

    async def create(self, request: web.Request) -> web.Response:
        caller, application = await self._writable(request)
        credential = {"id": str(uuid.uuid4()), "description": None, **_properties(await body_of(request))}
        application[_FEDERATED].append(credential)
        _check(application[_FEDERATED], credential)
        self._put(application, caller)
        return self._graph.entity(request, "applications/federatedIdentityCredentials", credential, status=201)

    async def update(self, request: web.Request) -> web.Response:
        caller, application = await self._writable(request)
        credential = _named(application[_FEDERATED], request)
        changes = _properties(await body_of(request))
        if changes.get("name", credential["name"]) != credential["name"]:
            raise bad_request("Property 'name' is read-only and cannot be changed.", target="name")
        credential.update(changes)
        _check(application[_FEDERATED], credential)
        self._put(application, caller)
        return web.Response(status=204)

    async def delete(self, request: web.Request) -> web.Response:
        caller, application = await self._writable(request)
        application[_FEDERATED].remove(_named(application[_FEDERATED], request))
        self._put(application, caller)
        return web.Response(status=204)

    def _seen(self, request: web.Request) -> list[Document]:
        """As the caller sees them, but new and removed ones as the replicas do."""
        application = find(self._graph, request)
        replicated = self._graph.replica.replicated(APPLICATIONS, application["id"]) or application
        changed = {credential["id"]: credential for credential in application[_FEDERATED]}
        return [changed.get(credential["id"], credential) for credential in replicated[_FEDERATED]]


def _named(credentials: list[Document], request: web.Request) -> Document:
    wanted = request.match_info["credential"]
    for credential in credentials:
        if wanted.lower() == credential["id"] or wanted == credential["name"]:
            return credential
    raise not_found(wanted)


def _properties(body: dict[str, Any]) -> Document:
    given = {name: value for name, value in body.items() if "@" not in name and name != "id"}
    if unknown := given.keys() - {"name", "issuer", "subject", "audiences", "description"}:
        raise bad_request(
            f"Property '{min(unknown)}' does not exist on type 'microsoft.graph.federatedIdentityCredential'."
        )
    return given


def _check(credentials: list[Document], credential: Document) -> None:
    for name in ("name", "issuer", "subject"):
        if not isinstance(credential.get(name), str) or not credential[name]:
            raise invalid(name, "it is required.")
    if not _NAME.fullmatch(credential["name"]):
        raise invalid("name", "3 to 120 letters, digits, '-' and '_'.")
    if not isinstance(credential.get("audiences"), list) or len(credential["audiences"]) != 1:
        raise invalid("audiences", "exactly one is required.")
    for distinct in (("name",), ("issuer", "subject")):
        values = [tuple(each[name] for name in distinct) for each in credentials]
        if len(set(values)) < len(values):
            raise duplicate("federatedIdentityCredentials")
    if len(credentials) > _MOST_FEDERATED:
        raise invalid("federatedIdentityCredentials", f"an application has {_MOST_FEDERATED} of them at most.")


def _instant(given: Document, name: str) -> datetime | None:
    value = given.get(name)
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise invalid(name, f"'{value}' is no date and time.") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
