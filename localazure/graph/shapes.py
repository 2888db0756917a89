"""The JSON of Graph's objects: every property that Graph returns, and what it is when nobody set it."""

from typing import Any

from localazure.store import Document

_NO_INFO = {
    "logoUrl": None,
    "marketingUrl": None,
    "privacyStatementUrl": None,
    "supportUrl": None,
    "termsOfServiceUrl": None,
}
_NEVER_SHOWN = "_"


def new_application() -> Document:
    """An application of which only the defaults are known. Nested objects are complex types, merged by PATCH."""
    return {
        "id": None,
        "appId": None,
        "deletedDateTime": None,
        "createdDateTime": None,
        "displayName": None,
        "description": None,
        "signInAudience": "AzureADMyOrg",
        "publisherDomain": None,
        "identifierUris": [],
        "uniqueName": None,
        "applicationTemplateId": None,
        "disabledByMicrosoftStatus": None,
        "groupMembershipClaims": None,
        "isDeviceOnlyAuthSupported": None,
        "isFallbackPublicClient": None,
        "defaultRedirectUri": None,
        "nativeAuthenticationApisEnabled": None,
        "notes": None,
        "optionalClaims": None,
        "parentalControlSettings": {"countriesBlockedForMinors": [], "legalAgeGroupRule": "Allow"},
        "certification": None,
        "requestSignatureVerification": None,
        "samlMetadataUrl": None,
        "serviceManagementReference": None,
        "servicePrincipalLockConfiguration": None,
        "tags": [],
        "tokenEncryptionKeyId": None,
        "addIns": [],
        "api": {
            "acceptMappedClaims": None,
            "knownClientApplications": [],
            "requestedAccessTokenVersion": None,
            "oauth2PermissionScopes": [],
            "preAuthorizedApplications": [],
        },
        "appRoles": [],
        "info": dict(_NO_INFO),
        "keyCredentials": [],
        "passwordCredentials": [],
        "publicClient": {"redirectUris": []},
        "requiredResourceAccess": [],
        "verifiedPublisher": {"displayName": None, "verifiedPublisherId": None, "addedDateTime": None},
        "web": {
            "homePageUrl": None,
            "logoutUrl": None,
            "redirectUris": [],
            "implicitGrantSettings": {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": False},
            "redirectUriSettings": [],
        },
        "spa": {"redirectUris": []},
    }


OPTIONAL_CLAIMS: Document = {"accessToken": [], "idToken": [], "saml2Token": []}


def application(document: Document, version: str) -> Document:
    """What Graph shows of a stored application."""
    shown = {name: value for name, value in document.items() if not name.startswith(_NEVER_SHOWN)}
    if version == "beta":
        shown["oauth2RequirePostResponse"] = document.get("_oauth2RequirePostResponse", False)
    return shown


SERVICE_PRINCIPAL_SETTINGS: Document = {
    "accountEnabled": True,
    "alternativeNames": [],
    "appRoleAssignmentRequired": False,
    "description": None,
    "loginUrl": None,
    "notes": None,
    "notificationEmailAddresses": [],
    "preferredSingleSignOnMode": None,
    "samlSingleSignOnSettings": None,
    "tags": [],
}
"""What is set on a service principal itself, and its default."""


def service_principal(principal: Document, application: Document | None, version: str) -> Document:
    """What Graph shows of a service principal: much of it is the application's."""
    backing = new_application() | (application or {})
    settings = SERVICE_PRINCIPAL_SETTINGS | principal.get("servicePrincipal", {})
    redirect_uris = [
        uri for platform in ("web", "spa", "publicClient") for uri in backing[platform].get("redirectUris", [])
    ]
    shown = {
        "id": principal["objectId"],
        "deletedDateTime": None,
        "appId": principal["clientId"],
        "displayName": principal["name"],
        "appDisplayName": principal["name"],
        "appDescription": backing["description"],
        "applicationTemplateId": None,
        "appOwnerOrganizationId": (application or {}).get("_tenantId", principal["tenantId"]),
        "createdDateTime": settings.get("createdDateTime"),
        "disabledByMicrosoftStatus": None,
        "homepage": backing["web"].get("homePageUrl"),
        "logoutUrl": backing["web"].get("logoutUrl"),
        "replyUrls": redirect_uris,
        "servicePrincipalNames": [principal["clientId"], *backing["identifierUris"]],
        "servicePrincipalType": "Application",
        "signInAudience": backing["signInAudience"],
        "tokenEncryptionKeyId": None,
        "preferredTokenSigningKeyThumbprint": None,
        "addIns": [],
        "appRoles": backing["appRoles"],
        "info": dict(_NO_INFO),
        "keyCredentials": [],
        "oauth2PermissionScopes": backing["api"]["oauth2PermissionScopes"],
        "passwordCredentials": [],
        "resourceSpecificApplicationPermissions": [],
        "verifiedPublisher": {"displayName": None, "verifiedPublisherId": None, "addedDateTime": None},
        **{name: settings[name] for name in SERVICE_PRINCIPAL_SETTINGS},
    }
    if version == "beta":
        shown["samlMetadataUrl"] = None
    return shown


USER_BY_DEFAULT = (
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
)
"""What Graph returns of a user where nothing is selected."""


def user(principal: Document) -> Document:
    absent: dict[str, Any] = dict.fromkeys(
        (
            *("ageGroup", "city", "companyName", "consentProvidedForMinor", "country", "creationType", "department"),
            *("deletedDateTime", "employeeHireDate", "employeeId", "employeeType", "externalUserState", "faxNumber"),
            *("givenName", "jobTitle", "mobilePhone", "officeLocation", "onPremisesDistinguishedName"),
            *("onPremisesDomainName", "onPremisesImmutableId", "onPremisesSamAccountName"),
            *("onPremisesSecurityIdentifier", "onPremisesSyncEnabled", "onPremisesUserPrincipalName"),
            *("postalCode", "preferredLanguage", "showInAddressList", "state", "streetAddress", "surname"),
            "usageLocation",
        )
    )
    return absent | {
        "id": principal["objectId"],
        "displayName": principal["displayName"],
        "userPrincipalName": principal["userPrincipalName"],
        "mail": principal["mail"],
        "mailNickname": principal["name"],
        "userType": principal["userType"],
        "accountEnabled": principal.get("accountEnabled", True),
        "businessPhones": [],
        "otherMails": [],
        "proxyAddresses": [],
        "imAddresses": [],
    }


def group(principal: Document) -> Document:
    absent = dict.fromkeys(
        (
            *("classification", "deletedDateTime", "description", "expirationDateTime", "mail", "membershipRule"),
            *("membershipRuleProcessingState", "onPremisesDomainName", "onPremisesLastSyncDateTime"),
            *("onPremisesNetBiosName", "onPremisesSamAccountName", "onPremisesSecurityIdentifier"),
            *("onPremisesSyncEnabled", "preferredDataLocation", "preferredLanguage", "theme", "visibility"),
        )
    )
    return absent | {
        "id": principal["objectId"],
        "displayName": principal["displayName"],
        "groupTypes": [],
        "isAssignableToRole": None,
        "mailEnabled": False,
        "mailNickname": principal["name"].replace(" ", ""),
        "proxyAddresses": [],
        "resourceBehaviorOptions": [],
        "resourceProvisioningOptions": [],
        "securityEnabled": True,
    }


def directory_object(principal: Document, application: Document | None, version: str) -> Document:
    """A principal as a member of a collection of mixed types."""
    types = {"ServicePrincipal": "servicePrincipal", "User": "user", "Group": "group"}
    match principal["kind"]:
        case "ServicePrincipal":
            shown = service_principal(principal, application, version)
        case "User":
            everything = user(principal)
            shown = {name: everything[name] for name in USER_BY_DEFAULT}
        case _:
            shown = group(principal)
    return {"@odata.type": f"#microsoft.graph.{types[principal['kind']]}", **shown}
