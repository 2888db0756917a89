"""Microsoft's own applications, as far as the tenant's sign-on needs them: Microsoft Graph and the Azure CLI.

Ids and values are the real ones, since programs name them ("Microsoft Graph permissions reference"). A tenant has their
service principals, and does not list their applications.
"""

import uuid

from localazure.entra import directory
from localazure.entra.directory import APP_ROLE_ASSIGNMENTS, APPLICATIONS, PRINCIPALS
from localazure.store import Document, Store

GRAPH_CLIENT_ID = "00000003-0000-0000-c000-000000000000"
AZURE_CLI_CLIENT_ID = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
MICROSOFT_TENANT_ID = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"

_GRAPH_SCOPES = {
    "openid": "37f7f235-527c-4136-accd-4a02d197296e",
    "profile": "14dad69e-099b-42c9-810b-d002981feec1",
    "email": "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0",
    "offline_access": "7427e0e9-2fba-42fe-b0c0-848c9e6a8182",
    "User.Read": "e1fe6dd8-ba31-4d61-89e7-88639da4683d",
}
_GRAPH_APP_ROLES = {
    "Application.Read.All": "9a5d68dd-52b0-4cc2-bd40-abcd3ac3ac30",
    "Application.ReadWrite.All": "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
    "Application.ReadWrite.OwnedBy": "18a4783c-866b-4cc7-a460-3d5e5662c884",
    "AppRoleAssignment.ReadWrite.All": "06b708a9-e830-4db3-a914-8e69da51d44f",
    "DelegatedPermissionGrant.ReadWrite.All": "8e8e4742-1d95-4f68-9d56-6ee75648c72a",
    "Directory.Read.All": "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
    "Group.Read.All": "5b567255-7703-4780-807c-7be8301ae99b",
    "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
}
GRAPH_PERMISSIONS = frozenset(_GRAPH_APP_ROLES)
"""The application permissions at Microsoft Graph that there are here."""


def seed(store: Store, tenant_id: str) -> None:
    """Give the tenant the service principals, and the store the applications, that are not there yet."""
    for application in (_graph(), _azure_cli()):
        object_id = _object_id(application["appId"], MICROSOFT_TENANT_ID)
        store.put(APPLICATIONS, object_id, {"id": object_id, **application})
        principal_id = _object_id(application["appId"], tenant_id)
        if store.get(PRINCIPALS, principal_id) is None:
            store.put(PRINCIPALS, principal_id, _service_principal(principal_id, object_id, application, tenant_id))


def graph_permissions(store: Store, object_id: str) -> set[str]:
    """The names of the application permissions that the principal has at Microsoft Graph: those that a workload
    identity is seeded with, and those that were assigned as app roles.
    """
    principal = directory.by_object_id(store, object_id)
    if principal is None:
        return set()
    held = set(principal.get("graphRoles", []))
    names = {role_id: name for name, role_id in _GRAPH_APP_ROLES.items()}
    for _, assignment in store.items(APP_ROLE_ASSIGNMENTS, f"{_object_id(GRAPH_CLIENT_ID, principal['tenantId'])}/"):
        if assignment["principalId"] == object_id and assignment["appRoleId"] in names:
            held.add(names[assignment["appRoleId"]])
    return held


def _service_principal(principal_id: str, object_id: str, application: Document, tenant_id: str) -> Document:
    return {
        "name": application["displayName"],
        "kind": "ServicePrincipal",
        "objectId": principal_id,
        "tenantId": tenant_id,
        "identity": False,
        "memberOf": [],
        "clientId": application["appId"],
        "applicationObjectId": object_id,
        "servicePrincipal": {"appOwnerOrganizationId": MICROSOFT_TENANT_ID},
    }


def _graph() -> Document:
    return {
        "appId": GRAPH_CLIENT_ID,
        "displayName": "Microsoft Graph",
        "identifierUris": ["https://graph.microsoft.com"],
        "api": {
            "oauth2PermissionScopes": [
                {
                    "id": scope_id,
                    "value": value,
                    "type": "User",
                    "isEnabled": True,
                    "adminConsentDisplayName": value,
                    "adminConsentDescription": value,
                    "userConsentDisplayName": value,
                    "userConsentDescription": value,
                }
                for value, scope_id in _GRAPH_SCOPES.items()
            ],
            "preAuthorizedApplications": [],
            "knownClientApplications": [],
            "requestedAccessTokenVersion": None,
        },
        "appRoles": [
            {
                "id": role_id,
                "value": value,
                "displayName": value,
                "description": value,
                "allowedMemberTypes": ["Application"],
                "isEnabled": True,
                "origin": "Application",
            }
            for value, role_id in _GRAPH_APP_ROLES.items()
        ],
        **_private(),
    }


def _azure_cli() -> Document:
    return {
        "appId": AZURE_CLI_CLIENT_ID,
        "displayName": "Microsoft Azure CLI",
        "identifierUris": [],
        "isFallbackPublicClient": True,
        "publicClient": {
            "redirectUris": ["http://localhost", "https://login.microsoftonline.com/common/oauth2/nativeclient"]
        },
        "api": {
            "oauth2PermissionScopes": [],
            "preAuthorizedApplications": [],
            "knownClientApplications": [],
            "requestedAccessTokenVersion": None,
        },
        "appRoles": [],
        **_private(),
    }


def _private() -> Document:
    return {
        "signInAudience": "AzureADMultipleOrgs",
        "web": {"redirectUris": []},
        "spa": {"redirectUris": []},
        "passwordCredentials": [],
        "keyCredentials": [],
        "tags": [],
        "_tenantId": MICROSOFT_TENANT_ID,
        "_secrets": {},
        "_owners": [],
        "_federatedIdentityCredentials": [],
    }


def _object_id(client_id: str, tenant_id: str) -> str:
    return str(uuid.uuid5(uuid.UUID(tenant_id), client_id))
