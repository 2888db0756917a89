"""What the SDK does not say of the resources: Graph's names, defaults, rules, what replaces, and the forms of ids.

All of it follows the official plugin of the SDK's version. What the program does not use and would need requests of its
own (logos, templates, passwords inside of an application) is refused, as `LIMITS` lists it.
"""

from collections.abc import Mapping
from typing import Final

from localazure.plugins.azuread import rules
from localazure.plugins.azuread.fields import Field, Kind
from localazure.plugins.azuread.spec import Spec
from localazure.plugins.shapes import Limits

_MEMBER_TYPES = rules.one_of("Application", "User")
_GROUP_CLAIMS = rules.one_of("All", "None", "ApplicationGroup", "DirectoryRole", "SecurityGroup")
_AUDIENCES = rules.one_of(
    "AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"
)
_SIGN_ON_MODES = rules.one_of("", "notSupported", "oidc", "password", "saml")
_CLAIM_PROPERTIES = rules.one_of(
    "cloud_displayname",
    "dns_domain_and_sam_account_name",
    "emit_as_roles",
    "include_externally_authenticated_upn_without_hash",
    "include_externally_authenticated_upn",
    "max_size_limit",
    "netbios_domain_and_sam_account_name",
    "on_premise_security_identifier",
    "sam_account_name",
    "use_guid",
)

SCOPE: Final = (
    Field(name="id", graph="id", rules=(rules.uuid,)),
    Field(name="adminConsentDescription", graph="adminConsentDescription", rules=(rules.not_empty,)),
    Field(name="adminConsentDisplayName", graph="adminConsentDisplayName", rules=(rules.not_empty,)),
    Field(name="enabled", graph="isEnabled", kind=Kind.FLAG, default=True),
    Field(name="type", graph="type", default="User", rules=(rules.one_of("Admin", "User"),)),
    Field(name="userConsentDescription", graph="userConsentDescription", rules=(rules.not_empty,)),
    Field(name="userConsentDisplayName", graph="userConsentDisplayName", rules=(rules.not_empty,)),
    Field(name="value", graph="value", rules=(rules.claim_value,)),
)
ROLE: Final = (
    Field(name="id", graph="id", rules=(rules.uuid,)),
    Field(name="allowedMemberTypes", graph="allowedMemberTypes", kind=Kind.LIST, at_least=1, rules=(_MEMBER_TYPES,)),
    Field(name="description", graph="description", rules=(rules.not_empty,)),
    Field(name="displayName", graph="displayName", rules=(rules.not_empty,)),
    Field(name="enabled", graph="isEnabled", kind=Kind.FLAG, default=True),
    Field(name="value", graph="value", rules=(rules.claim_value,)),
)
_OPTIONAL_CLAIM: Final = (
    Field(name="name", graph="name"),
    Field(name="source", graph="source", kind=Kind.OPTIONAL_TEXT, rules=(rules.one_of("user"),)),
    Field(name="essential", graph="essential", kind=Kind.FLAG, default=False),
    Field(
        name="additionalProperties",
        graph="additionalProperties",
        kind=Kind.LIST,
        ordered=True,
        rules=(_CLAIM_PROPERTIES,),
    ),
)
_RESOURCE_ACCESS: Final = (
    Field(name="id", graph="id", rules=(rules.uuid,)),
    Field(name="type", graph="type", rules=(rules.one_of("Role", "Scope"),)),
)
_REQUIRED_RESOURCE_ACCESS: Final = (
    Field(name="resourceAppId", graph="resourceAppId"),
    Field(name="resourceAccesses", graph="resourceAccess", kind=Kind.LIST, ordered=True, items=_RESOURCE_ACCESS),
)
_FEATURE_TAGS: Final = tuple(
    Field(name=name, kind=Kind.FLAG) for name in ("customSingleSignOn", "enterprise", "gallery", "hide")
)


def _redirect_uris(name: str, graph: str, *, urn: bool, any_scheme: bool = False) -> Field:
    rule = rules.redirect_uri(urn=urn, any_scheme=any_scheme)
    return Field(name=f"{name}.redirectUris", graph=f"{graph}.redirectUris", kind=Kind.LIST, at_most=256, rules=(rule,))


_TAGS: Final = (
    Field(name="tags", graph="tags", kind=Kind.LIST, computed=True),
    Field(name="featureTags", kind=Kind.LIST, ordered=True, computed=True, items=_FEATURE_TAGS),
)
_APPLICATION_ID: Final = Field(name="applicationId", replaces=True, rules=(rules.application_id,))


APPLICATION: Final = Spec(
    token="azuread:index/application:Application",
    module="application",
    id="/applications/{objectId}",
    fields=(
        Field(name="displayName", graph="displayName", rules=(rules.not_empty,)),
        Field(
            name="api.knownClientApplications",
            graph="api.knownClientApplications",
            kind=Kind.LIST,
            rules=(rules.uuid,),
        ),
        Field(name="api.mappedClaimsEnabled", graph="api.acceptMappedClaims", kind=Kind.FLAG),
        Field(name="api.oauth2PermissionScopes", graph="api.oauth2PermissionScopes", kind=Kind.LIST, items=SCOPE),
        Field(
            name="api.requestedAccessTokenVersion",
            graph="api.requestedAccessTokenVersion",
            kind=Kind.NUMBER,
            default=1,
            rules=(rules.one_of(1, 2),),
        ),
        Field(name="appRoles", graph="appRoles", kind=Kind.LIST, items=ROLE),
        Field(name="description", graph="description", kind=Kind.OPTIONAL_TEXT, rules=(rules.length(0, 1024),)),
        Field(name="deviceOnlyAuthEnabled", graph="isDeviceOnlyAuthSupported", kind=Kind.FLAG),
        Field(name="fallbackPublicClientEnabled", graph="isFallbackPublicClient", kind=Kind.FLAG),
        Field(name="groupMembershipClaims", graph="groupMembershipClaims", kind=Kind.JOINED, rules=(_GROUP_CLAIMS,)),
        Field(name="identifierUris", graph="identifierUris", kind=Kind.LIST, rules=(rules.not_empty,)),
        *(
            Field(name=name, graph=f"info.{name}", kind=Kind.OPTIONAL_TEXT)
            for name in ("marketingUrl", "privacyStatementUrl", "supportUrl", "termsOfServiceUrl")
        ),
        Field(name="notes", graph="notes", kind=Kind.OPTIONAL_TEXT, rules=(rules.not_empty,)),
        *(
            Field(
                name=f"optionalClaims.{name}s",
                graph=f"optionalClaims.{name}",
                kind=Kind.LIST,
                ordered=True,
                items=_OPTIONAL_CLAIM,
            )
            for name in ("accessToken", "idToken", "saml2Token")
        ),
        Field(name="owners", kind=Kind.LIST, at_most=100, rules=(rules.uuid,)),
        Field(name="preventDuplicateNames", kind=Kind.FLAG, default=False, kept=True),
        _redirect_uris("publicClient", "publicClient", urn=True, any_scheme=True),
        Field(
            name="requiredResourceAccesses",
            graph="requiredResourceAccess",
            kind=Kind.LIST,
            items=_REQUIRED_RESOURCE_ACCESS,
        ),
        Field(name="serviceManagementReference", graph="serviceManagementReference", kind=Kind.OPTIONAL_TEXT),
        Field(name="signInAudience", graph="signInAudience", default="AzureADMyOrg", rules=(_AUDIENCES,)),
        _redirect_uris("singlePageApplication", "spa", urn=False),
        *_TAGS,
        Field(name="web.homepageUrl", graph="web.homePageUrl", kind=Kind.OPTIONAL_TEXT, rules=(rules.web_url,)),
        Field(name="web.logoutUrl", graph="web.logoutUrl", kind=Kind.OPTIONAL_TEXT, rules=(rules.logout_url,)),
        _redirect_uris("web", "web", urn=True),
        *(
            Field(
                name=f"web.implicitGrant.{name}IssuanceEnabled",
                graph=f"web.implicitGrantSettings.enable{name[0].upper()}{name[1:]}Issuance",
                kind=Kind.FLAG,
            )
            for name in ("accessToken", "idToken")
        ),
    ),
    answered=(
        Field(name="clientId", graph="appId"),
        Field(name="objectId", graph="id"),
        Field(name="disabledByMicrosoft", graph="disabledByMicrosoftStatus"),
        Field(name="logoUrl", graph="info.logoUrl"),
        Field(name="publisherDomain", graph="publisherDomain"),
        Field(name="templateId", graph="applicationTemplateId"),
    ),
    computed=frozenset({"appRoleIds", "oauth2PermissionScopeIds", "oauth2PostResponseRequired"}),
    conflicts=("featureTags", "tags"),
)
SERVICE_PRINCIPAL: Final = Spec(
    token="azuread:index/servicePrincipal:ServicePrincipal",
    module="service_principal",
    id="/servicePrincipals/{objectId}",
    fields=(
        Field(name="clientId", graph="appId", replaces=True, rules=(rules.uuid,)),
        Field(name="accountEnabled", graph="accountEnabled", kind=Kind.FLAG, default=True),
        Field(name="alternativeNames", graph="alternativeNames", kind=Kind.LIST, rules=(rules.not_empty,)),
        Field(name="appRoleAssignmentRequired", graph="appRoleAssignmentRequired", kind=Kind.FLAG),
        Field(name="description", graph="description", kind=Kind.OPTIONAL_TEXT, rules=(rules.length(0, 1024),)),
        Field(name="loginUrl", graph="loginUrl", kind=Kind.OPTIONAL_TEXT, rules=(rules.web_url,)),
        Field(name="notes", graph="notes", kind=Kind.OPTIONAL_TEXT, rules=(rules.length(0, 1024),)),
        Field(
            name="notificationEmailAddresses",
            graph="notificationEmailAddresses",
            kind=Kind.LIST,
            rules=(rules.not_empty,),
        ),
        Field(name="owners", kind=Kind.LIST, rules=(rules.uuid,)),
        Field(
            name="preferredSingleSignOnMode",
            graph="preferredSingleSignOnMode",
            kind=Kind.OPTIONAL_TEXT,
            rules=(_SIGN_ON_MODES,),
        ),
        Field(
            name="samlSingleSignOn.relayState",
            graph="samlSingleSignOnSettings.relayState",
            kind=Kind.OPTIONAL_TEXT,
            rules=(rules.not_empty,),
        ),
        *_TAGS,
        Field(name="useExisting", kind=Kind.FLAG, kept=True),
    ),
    answered=(
        Field(name="appRoles", graph="appRoles", kind=Kind.LIST, items=ROLE),
        Field(name="applicationTenantId", graph="appOwnerOrganizationId"),
        Field(name="displayName", graph="displayName"),
        Field(name="homepageUrl", graph="homepage"),
        Field(name="logoutUrl", graph="logoutUrl"),
        Field(name="oauth2PermissionScopes", graph="oauth2PermissionScopes", kind=Kind.LIST, items=SCOPE),
        Field(name="objectId", graph="id"),
        Field(name="redirectUris", graph="replyUrls", kind=Kind.LIST),
        Field(name="servicePrincipalNames", graph="servicePrincipalNames", kind=Kind.LIST),
        Field(name="signInAudience", graph="signInAudience"),
        Field(name="type", graph="servicePrincipalType"),
    ),
    computed=frozenset({"appRoleIds", "features", "oauth2PermissionScopeIds", "samlMetadataUrl"}),
    conflicts=("featureTags", "tags"),
)
IDENTIFIER_URI: Final = Spec(
    token="azuread:index/applicationIdentifierUri:ApplicationIdentifierUri",
    module="application_identifier_uri",
    id="/applications/{objectId}/identifierUris/{uri}",
    fields=(_APPLICATION_ID, Field(name="identifierUri", replaces=True, rules=(rules.not_empty,))),
)
PASSWORD: Final = Spec(
    token="azuread:index/applicationPassword:ApplicationPassword",
    module="application_password",
    id="{objectId}/password/{keyId}",
    fields=(
        _APPLICATION_ID,
        Field(name="displayName", graph="displayName", computed=True, replaces=True),
        Field(name="startDate", graph="startDateTime", computed=True, replaces=True, rules=(rules.rfc3339,)),
        Field(name="endDate", graph="endDateTime", computed=True, replaces=True, rules=(rules.rfc3339,)),
        Field(name="rotateWhenChanged", kind=Kind.MAP, replaces=True, kept=True),
    ),
    answered=(Field(name="keyId", graph="keyId"),),
    computed=frozenset({"value"}),
    importable=False,
)
PRE_AUTHORIZED: Final = Spec(
    token="azuread:index/applicationPreAuthorized:ApplicationPreAuthorized",
    module="application_pre_authorized",
    id="{objectId}/preAuthorizedApplication/{clientId}",
    fields=(
        _APPLICATION_ID,
        Field(name="authorizedClientId", replaces=True, rules=(rules.uuid,)),
        Field(name="permissionIds", graph="delegatedPermissionIds", kind=Kind.LIST, rules=(rules.uuid,)),
    ),
)
FEDERATED_CREDENTIAL: Final = Spec(
    token="azuread:index/applicationFederatedIdentityCredential:ApplicationFederatedIdentityCredential",
    module="application_federated_identity_credential",
    id="{objectId}/federatedIdentityCredential/{credentialId}",
    fields=(
        _APPLICATION_ID,
        Field(name="displayName", graph="name", replaces=True, rules=(rules.length(1, 120),)),
        Field(name="audiences", graph="audiences", kind=Kind.LIST, ordered=True, at_most=1, rules=(rules.not_empty,)),
        Field(name="description", graph="description"),
        Field(name="issuer", graph="issuer"),
        Field(name="subject", graph="subject"),
    ),
    answered=(Field(name="credentialId", graph="id"),),
)
ROLE_ASSIGNMENT: Final = Spec(
    token="azuread:index/appRoleAssignment:AppRoleAssignment",
    module="app_role_assignment",
    id="/servicePrincipals/{resourceObjectId}/appRoleAssignedTo/{assignmentId}",
    fields=(
        Field(name="appRoleId", graph="appRoleId", replaces=True, rules=(rules.uuid,)),
        Field(name="principalObjectId", graph="principalId", replaces=True, rules=(rules.uuid,)),
        Field(name="resourceObjectId", graph="resourceId", replaces=True, rules=(rules.uuid,)),
    ),
    answered=tuple(
        Field(name=name, graph=name) for name in ("principalDisplayName", "principalType", "resourceDisplayName")
    ),
)
PERMISSION_GRANT: Final = Spec(
    token="azuread:index/servicePrincipalDelegatedPermissionGrant:ServicePrincipalDelegatedPermissionGrant",
    module="service_principal_delegated_permission_grant",
    id="/oauth2PermissionGrants/{grantId}",
    fields=(
        Field(name="claimValues", kind=Kind.LIST, at_least=1, rules=(rules.not_empty,)),
        Field(name="resourceServicePrincipalObjectId", graph="resourceId", replaces=True, rules=(rules.uuid,)),
        Field(name="servicePrincipalObjectId", graph="clientId", replaces=True, rules=(rules.uuid,)),
        Field(name="userObjectId", graph="principalId", kind=Kind.OPTIONAL_TEXT, replaces=True, rules=(rules.uuid,)),
    ),
)

SPECS: Final[Mapping[str, Spec]] = {
    spec.token: spec
    for spec in (
        APPLICATION,
        SERVICE_PRINCIPAL,
        IDENTIFIER_URI,
        PASSWORD,
        PRE_AUTHORIZED,
        FEDERATED_CREDENTIAL,
        ROLE_ASSIGNMENT,
        PERMISSION_GRANT,
    )
}

LIMITS: Final = Limits(
    {
        spec.class_name: frozenset(field.name.partition(".")[0] for field in spec.fields)
        for spec in (APPLICATION, SERVICE_PRINCIPAL)
    }
    | {"ApplicationPasswordInit": frozenset(field.name for field in PASSWORD.fields)},
    "is not known to the stand-in for azuread: leave it out, or use the official plugin (OFFICIAL_PLUGINS=azuread)",
)
"""What the SDK knows and the stand-in does not, `endDateRelative` too: the official plugin takes it and ignores it."""
