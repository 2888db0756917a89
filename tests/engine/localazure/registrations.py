"""Applications, people, assignments and grants as a test wants to find them, laid into the directory's documents.

Graph would make them, too, but not every state that time brings: an expired secret, a disabled account. SQLite lets a
second process write, and the local Azure reads its documents for each request.
"""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from localazure.client import LocalAzure
from localazure.entra import directory, firstparty
from localazure.entra.directory import APP_ROLE_ASSIGNMENTS, APPLICATIONS, PERMISSION_GRANTS, PRINCIPALS
from localazure.store import Document, Store
from tests.engine.localazure.sdk import fresh_name

REDIRECT_URI = "http://localhost:8080/auth/sso/callback"
OPENID = "openid profile email offline_access"


@dataclass(frozen=True, slots=True)
class Registered:
    """An application and its service principal in one tenant."""

    client_id: str
    object_id: str
    """Of the service principal."""
    application_id: str
    tenant_id: str
    name: str

    @property
    def default(self) -> str:
        """Its scope in the form that names it by its id."""
        return f"{self.client_id}/default"


class Registrations:
    def __init__(self, azure: LocalAzure) -> None:
        self._azure = azure
        self.store = Store(azure.state / "state.sqlite3")

    def application(self, *, tenant_id: str | None = None, roles: tuple[str, ...] = (), **changes: Any) -> Registered:
        """A new one with the scope `default`, tokens of version 2 and a redirect URI of a web client."""
        client_id, application_id, object_id, name = str(uuid4()), str(uuid4()), str(uuid4()), fresh_name()
        tenant = tenant_id or self._azure.tenant_id
        registration: Document = {
            "id": application_id,
            "appId": client_id,
            "displayName": name,
            "signInAudience": "AzureADMyOrg",
            "identifierUris": [f"api://{client_id}"],
            "api": {
                "requestedAccessTokenVersion": 2,
                "oauth2PermissionScopes": [_scope("default")],
                "preAuthorizedApplications": [],
            },
            "appRoles": [_role(value) for value in roles],
            "web": {"redirectUris": [REDIRECT_URI]},
            "spa": {"redirectUris": []},
            "publicClient": {"redirectUris": []},
            "isFallbackPublicClient": None,
            "passwordCredentials": [],
            "requiredResourceAccess": [],
            "_tenantId": tenant,
            "_secrets": {},
            "_owners": [],
            "_federatedIdentityCredentials": [],
        }
        self.store.put(APPLICATIONS, application_id, registration | changes)
        principal = {
            "name": name,
            "kind": "ServicePrincipal",
            "objectId": object_id,
            "tenantId": tenant,
            "identity": False,
            "memberOf": [],
            "clientId": client_id,
            "applicationObjectId": application_id,
            "servicePrincipal": {},
        }
        self.store.put(PRINCIPALS, object_id, principal)
        return Registered(client_id, object_id, application_id, tenant, name)

    def registration(self, application: Registered) -> Document:
        """The registration's document, as it is now."""
        return self._get(APPLICATIONS, application.application_id)

    def change(self, application: Registered, **changes: Any) -> None:
        """Properties of the registration."""
        registration = self.registration(application)
        self.store.put(APPLICATIONS, application.application_id, registration | changes)

    def change_api(self, application: Registered, **changes: Any) -> None:
        api = self.registration(application)["api"]
        self.change(application, api=api | changes)

    def set_up(self, application: Registered, **settings: Any) -> None:
        """Settings of the service principal."""
        principal = self._get(PRINCIPALS, application.object_id)
        settings = principal["servicePrincipal"] | settings
        self.store.put(PRINCIPALS, application.object_id, principal | {"servicePrincipal": settings})

    def secret(self, application: Registered, *, ends: str = "2999-01-01T00:00:00Z") -> str:
        """A new client secret, beside those that are there."""
        registration = self.registration(application)
        key_id, secret = str(uuid4()), f"secret~{uuid4().hex}"
        credential = {"keyId": key_id, "displayName": "test", "endDateTime": ends, "hint": secret[:3]}
        self.change(
            application,
            passwordCredentials=[*registration["passwordCredentials"], credential],
            _secrets=registration["_secrets"] | {key_id: secret},
        )
        return secret

    def federate(self, application: Registered, *, issuer: str, subject: str) -> None:
        credential = {
            "id": str(uuid4()),
            "name": "test",
            "issuer": issuer,
            "subject": subject,
            "audiences": ["api://AzureADTokenExchange"],
        }
        self.change(application, _federatedIdentityCredentials=[credential])

    def preauthorize(self, application: Registered, client_id: str = firstparty.AZURE_CLI_CLIENT_ID) -> None:
        """Let the client have the scope `default`, by default the Azure CLI."""
        [scope] = self.registration(application)["api"]["oauth2PermissionScopes"]
        allowed = {"appId": client_id, "delegatedPermissionIds": [scope["id"]]}
        self.change_api(application, preAuthorizedApplications=[allowed])

    def assign(self, application: Registered, principal_id: str, role: str | None = None) -> str:
        """Assign the principal to the application, in the role or in none; the assignment's key."""
        roles = {each["value"]: each["id"] for each in self.registration(application)["appRoles"]}
        key = f"{application.object_id}/{uuid4()}"
        assignment = {
            "id": key.rpartition("/")[2],
            "appRoleId": "00000000-0000-0000-0000-000000000000" if role is None else roles[role],
            "principalId": principal_id,
            "resourceId": application.object_id,
        }
        self.store.put(APP_ROLE_ASSIGNMENTS, key, assignment)
        return key

    def grant(self, client: Registered, api_id: str, scope: str, person_id: str | None = None) -> None:
        """An administrator's grant, or one person's own. `api_id` is the object id of the API's service principal."""
        grant_id = str(uuid4())
        grant = {
            "id": grant_id,
            "clientId": client.object_id,
            "consentType": "AllPrincipals" if person_id is None else "Principal",
            "principalId": person_id,
            "resourceId": api_id,
            "scope": scope,
        }
        self.store.put(PERMISSION_GRANTS, grant_id, grant)

    def grant_sign_in(self, client: Registered) -> None:
        """An administrator's grant of the client's own scope, and of OpenID's."""
        self.grant(client, client.object_id, "default")
        self.grant(client, self.graph_id, OPENID)

    def grants_of(self, client: Registered) -> list[Document]:
        grants = (grant for _, grant in self.store.items(PERMISSION_GRANTS))
        return [grant for grant in grants if grant["clientId"] == client.object_id]

    def person(self, *, tenant_id: str | None = None, **fields: Any) -> Document:
        """A new user, with a password."""
        return directory.create(self.store, fresh_name(), "User", tenant_id or self._azure.tenant_id, **fields)

    def change_person(self, person_id: str, **changes: Any) -> None:
        self.store.put(PRINCIPALS, person_id, self._get(PRINCIPALS, person_id) | changes)

    @property
    def graph_id(self) -> str:
        """The object id of Microsoft Graph's service principal."""
        graph = directory.by_client_id(self.store, firstparty.GRAPH_CLIENT_ID, self._azure.tenant_id)
        assert graph is not None
        return str(graph["objectId"])

    def _get(self, kind: str, key: str) -> Document:
        document = self.store.get(kind, key)
        assert document is not None
        return document


def _scope(value: str) -> Document:
    return {
        "id": str(uuid4()),
        "value": value,
        "type": "User",
        "isEnabled": True,
        "adminConsentDisplayName": f"Use {value}",
        "userConsentDisplayName": None,
    }


def _role(value: str) -> Document:
    return {"id": str(uuid4()), "value": value, "isEnabled": True, "allowedMemberTypes": ["User", "Application"]}
