"""Questions to the directory about applications, people and what is granted between them. Nothing is written here.

An application is seen through its service principal in one tenant: without that, the tenant does not know it. Groups do
not nest: an assignment to a group is its members', not its groups' members'.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from localazure.entra import directory, firstparty
from localazure.entra.directory import APP_ROLE_ASSIGNMENTS, APPLICATIONS, PERMISSION_GRANTS
from localazure.store import Document, Store

_LOCALHOST = re.compile(r"localhost(:\d+)?")
PLATFORMS = ("web", "spa", "publicClient")


@dataclass(frozen=True, slots=True)
class Application:
    """An application as one tenant has it. `registration` is empty for a workload identity, which is nothing but a
    service principal.
    """

    principal: Document
    registration: Document

    @property
    def client_id(self) -> str:
        return str(self.principal["clientId"])

    @property
    def object_id(self) -> str:
        """Of the service principal."""
        return str(self.principal["objectId"])

    @property
    def name(self) -> str:
        return str(self.registration.get("displayName") or self.principal["name"])

    @property
    def enabled(self) -> bool:
        return self._setting("accountEnabled") is not False

    @property
    def assignment_required(self) -> bool:
        return self._setting("appRoleAssignmentRequired") is True

    @property
    def is_microsofts(self) -> bool:
        return self.registration.get("_tenantId") == firstparty.MICROSOFT_TENANT_ID

    @property
    def is_public(self) -> bool:
        """Whether it may ask without a credential where no redirect URI says what kind of client it is."""
        chosen = self.registration.get("isFallbackPublicClient")
        if chosen is not None:
            return bool(chosen)
        return bool(self.redirect_uris("publicClient")) and not self.redirect_uris("web")

    @property
    def access_token_version(self) -> int:
        return self._api.get("requestedAccessTokenVersion") or 1

    @property
    def scopes(self) -> dict[str, Document]:
        """The enabled delegated scopes, by value."""
        return {each["value"]: each for each in self._api.get("oauth2PermissionScopes") or () if _is_enabled(each)}

    def redirect_uris(self, platform: str) -> list[str]:
        return list((self.registration.get(platform) or {}).get("redirectUris") or ())

    def platform_of(self, redirect_uri: str) -> str | None:
        """The platform that the redirect URI is registered for. Compared exactly, but for localhost's port."""
        for platform in PLATFORMS:
            if any(_is_same_address(registered, redirect_uri) for registered in self.redirect_uris(platform)):
                return platform
        return None

    def required_scopes(self, api: "Application") -> set[str]:
        """The values of the API's scopes that the registration asks consent for (requiredResourceAccess)."""
        wanted = {
            access["id"]
            for resource in self.registration.get("requiredResourceAccess") or ()
            if resource["resourceAppId"].lower() == api.client_id
            for access in resource["resourceAccess"]
            if access["type"] == "Scope"
        }
        return {value for value, scope in api.scopes.items() if scope["id"] in wanted}

    def preauthorized_scopes(self, client: "Application") -> set[str]:
        """The values of this API's scopes that the client has without anyone's consent."""
        allowed = {
            scope_id
            for each in self._api.get("preAuthorizedApplications") or ()
            if each["appId"].lower() == client.client_id
            for scope_id in each.get("delegatedPermissionIds") or each.get("permissionIds") or ()
        }
        return {value for value, scope in self.scopes.items() if scope["id"] in allowed}

    @property
    def _api(self) -> dict[str, Any]:
        return self.registration.get("api") or {}

    def _setting(self, name: str) -> Any:
        return (self.principal.get("servicePrincipal") or {}).get(name)


def by_client_id(store: Store, tenant_id: str, client_id: str) -> Application | None:
    """The application with that id, if the tenant has its service principal."""
    principal = directory.by_client_id(store, client_id, tenant_id)
    if principal is None:
        return None
    return Application(principal, directory.application_by_client_id(store, client_id) or {})


def by_identifier(store: Store, tenant_id: str, identifier: str) -> Application | None:
    """The API with that client id or identifier URI, if the tenant has its service principal."""
    known = by_client_id(store, tenant_id, identifier)
    if known is not None and known.registration:
        return known
    wanted = identifier.rstrip("/")
    for _, registration in store.items(APPLICATIONS):
        if wanted in {uri.rstrip("/") for uri in registration.get("identifierUris") or ()}:
            return by_client_id(store, tenant_id, registration["appId"])
    return None


def microsoft_graph(store: Store, tenant_id: str) -> Application:
    """Whose the scopes of OpenID Connect are. A tenant without its service principal is served as if it had one."""
    known = by_client_id(store, tenant_id, firstparty.GRAPH_CLIENT_ID)
    registration = directory.application_by_client_id(store, firstparty.GRAPH_CLIENT_ID) or {}
    unseen = {"clientId": firstparty.GRAPH_CLIENT_ID, "objectId": registration["id"], "name": "Microsoft Graph"}
    return known or Application(unseen, registration)


def person_by_login(store: Store, login: str) -> Document | None:
    """The user with that user principal name or mail address, of whichever tenant."""
    wanted = login.strip().lower()
    for each in directory.principals(store):
        if each["kind"] == "User" and wanted in {str(each[name]).lower() for name in ("userPrincipalName", "mail")}:
            return each
    return None


def is_assigned(store: Store, principal: Document, api: Application) -> bool:
    """Whether the principal, or a group that it is directly in, is assigned to the application, in whatever role."""
    return bool(_assignments(store, principal, api))


def roles(store: Store, principal: Document, api: Application) -> list[str]:
    """The values of the enabled app roles that the principal holds, itself or through a group."""
    if api.client_id == firstparty.GRAPH_CLIENT_ID:
        return sorted(firstparty.graph_permissions(store, principal["objectId"]))
    held = {assignment["appRoleId"] for assignment in _assignments(store, principal, api)}
    return sorted(
        role["value"]
        for role in api.registration.get("appRoles") or ()
        if role["id"] in held and _is_enabled(role) and role.get("value")
    )


def granted_scopes(store: Store, client: Application, person: Document, api: Application) -> set[str]:
    """The values of the API's scopes that the client may use for this person: by an administrator's consent, the
    person's own, or the API's own word.
    """
    if client.is_microsofts and api.is_microsofts:
        return set(api.scopes)
    granted = api.preauthorized_scopes(client)
    for _, grant in store.items(PERMISSION_GRANTS):
        if (grant["clientId"], grant["resourceId"]) != (client.object_id, api.object_id):
            continue
        if grant["consentType"] == "AllPrincipals" or grant.get("principalId") == person["objectId"]:
            granted |= set(grant["scope"].split())
    return granted


def of_tenant(store: Store, tenant_id: str) -> Iterator[Application]:
    """Every application that the tenant has."""
    for principal in directory.principals(store, tenant_id):
        if "clientId" in principal:
            registration = directory.application_by_client_id(store, principal["clientId"])
            yield Application(principal, registration or {})


def _assignments(store: Store, principal: Document, api: Application) -> list[Document]:
    holders = {principal["objectId"], *principal["memberOf"]}
    return [
        assignment
        for _, assignment in store.items(APP_ROLE_ASSIGNMENTS, f"{api.object_id}/")
        if assignment["principalId"] in holders
    ]


def _is_enabled(permission: Document) -> bool:
    return permission.get("isEnabled") is not False


def _is_same_address(registered: str, asked: str) -> bool:
    if registered == asked:
        return True
    try:
        ours, theirs = urlsplit(registered), urlsplit(asked)
    except ValueError:
        return False
    if not (_LOCALHOST.fullmatch(ours.netloc) and _LOCALHOST.fullmatch(theirs.netloc)):
        return False
    return ours._replace(netloc="") == theirs._replace(netloc="")
