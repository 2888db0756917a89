"""What Graph takes for an application, and what it refuses. Pure.

A change is checked on the application as it would be, and against what it was: an enabled role or scope may neither go
nor change before it is disabled.
"""

import re
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from localazure.entra.directory import DOMAIN
from localazure.graph import shapes
from localazure.graph.errors import bad_request, duplicate, invalid
from localazure.store import Document

_READ_ONLY = frozenset(
    {"id", "appId", "createdDateTime", "deletedDateTime", "publisherDomain", "disabledByMicrosoftStatus"}
    | {"verifiedPublisher", "certification", "applicationTemplateId", "keyCredentials", "passwordCredentials"}
)
_AUDIENCES = (
    "AzureADMyOrg",
    "AzureADMultipleOrgs",
    "AzureADandPersonalMicrosoftAccount",
    "PersonalMicrosoftAccount",
)
_VALUE = re.compile(r"[\w:!#$%&'()*+,\-./;<=>?@\[\]^`{|}~]{1,120}", re.ASCII)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MOST_REDIRECT_URIS = 256
_LONGEST_URI = 256
_LONGEST_NAME = 256


def merged(current: Document, changes: dict[str, Any]) -> Document:
    """The application after a PATCH: complex types are merged, collections replaced, null is kept.

    Refuses what is no property of an application, what is read-only, and what is of the wrong type.
    """
    template = shapes.new_application()
    result = dict(current)
    for name, value in changes.items():
        if "@" in name:
            continue
        if name not in template:
            raise bad_request(
                f"Property '{name}' does not exist on type 'microsoft.graph.application'. Make sure to only use "
                "property names that are defined by the type or mark the type as open type."
            )
        if name in _READ_ONLY:
            if value != current[name]:
                raise bad_request(f"Property '{name}' is read-only and cannot be set.", target=name)
            continue
        shape = shapes.OPTIONAL_CLAIMS if name == "optionalClaims" else template[name]
        result[name] = _merged_value(name, shape, current[name], value)
    return result


def _merged_value(name: str, shape: Any, current: Any, value: Any) -> Any:
    if isinstance(shape, list):
        if not isinstance(value, list):
            raise invalid(name, "a collection is expected.")
        return value
    if not isinstance(shape, dict):
        if isinstance(value, list | dict):
            raise invalid(name, "a primitive value is expected.")
        return value
    if value is None:
        return None if name == "optionalClaims" else shape
    if not isinstance(value, dict):
        raise invalid(name, "an object is expected.")
    result = dict(current or shape)
    for inner, inner_value in value.items():
        if "@" in inner:
            continue
        if inner not in shape:
            raise invalid(f"{name}.{inner}", "no such property.")
        result[inner] = _merged_value(f"{name}.{inner}", shape[inner], result.get(inner, shape[inner]), inner_value)
    return result


def check(application: Document, before: Document | None = None) -> None:
    """Refuse the application if Graph would; `before` is what it is changed from."""
    name = application["displayName"]
    if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST_NAME:
        raise invalid("displayName", f"a name of 1 to {_LONGEST_NAME} characters is required.")
    if application["signInAudience"] not in _AUDIENCES:
        raise invalid("signInAudience", f"must be one of {', '.join(_AUDIENCES)}.")
    if application["api"]["requestedAccessTokenVersion"] not in (None, 1, 2):
        raise invalid("api.requestedAccessTokenVersion", "must be 1, 2 or null.")
    for role in application["appRoles"]:
        _check_role(role)
    for scope in application["api"]["oauth2PermissionScopes"]:
        _check_scope(scope)
    _check_entitlements(application)
    if before is not None:
        _check_disabled_first("appRoles", before["appRoles"], application["appRoles"])
        _check_disabled_first(
            "api.oauth2PermissionScopes",
            before["api"]["oauth2PermissionScopes"],
            application["api"]["oauth2PermissionScopes"],
        )
    _check_pre_authorized(application)
    _check_redirect_uris(application)
    for uri in application["identifierUris"]:
        _check_identifier_uri(uri, application)
    _unique("identifierUris", application["identifierUris"])
    _check_required_access(application["requiredResourceAccess"])


def _check_role(role: Any) -> None:
    _require_guid("appRoles", role, "id")
    for name in ("displayName", "description"):
        _require_text("appRoles", role, name)
    allowed = role.get("allowedMemberTypes")
    if not isinstance(allowed, list) or not allowed or any(each not in ("User", "Application") for each in allowed):
        raise invalid("appRoles", "allowedMemberTypes must name User, Application or both.")
    _check_value("appRoles", role.get("value"))


def _check_scope(scope: Any) -> None:
    _require_guid("api.oauth2PermissionScopes", scope, "id")
    for name in ("adminConsentDisplayName", "adminConsentDescription"):
        _require_text("api.oauth2PermissionScopes", scope, name)
    if scope.get("type") not in ("User", "Admin"):
        raise invalid("api.oauth2PermissionScopes", "type must be User or Admin.")
    _check_value("api.oauth2PermissionScopes", scope.get("value"))


def _check_value(target: str, value: Any) -> None:
    if value in (None, ""):
        return
    if not isinstance(value, str) or value.startswith(".") or not _VALUE.fullmatch(value):
        raise invalid(target, f"'{value}' is no claim value: up to 120 characters, no white space, no '.' first.")


def _check_entitlements(application: Document) -> None:
    """Roles and scopes share one space of ids and values."""
    roles, scopes = application["appRoles"], application["api"]["oauth2PermissionScopes"]
    for target, entitlements in (("appRoles", roles), ("api.oauth2PermissionScopes", scopes)):
        _unique(target, [each["id"].lower() for each in entitlements])
        _unique(target, [each["value"] for each in entitlements if each.get("value")])
    shared = {role["id"].lower(): role for role in roles}
    for scope in scopes:
        twin = shared.get(scope["id"].lower())
        if twin is not None and twin.get("value") != scope.get("value"):
            raise duplicate("appRoles")
        if twin is None and scope.get("value") and scope["value"] in {role.get("value") for role in roles}:
            raise duplicate("appRoles")


def _check_disabled_first(target: str, before: Iterable[Document], after: Iterable[Document]) -> None:
    remaining = {each["id"].lower(): each for each in after}
    for old in before:
        if not old.get("isEnabled", True):
            continue
        new = remaining.get(old["id"].lower())
        if new is None or _without_state(new) != _without_state(old):
            raise bad_request(
                "Permission (scope or role) cannot be deleted or updated unless disabled first.",
                code="CannotDeleteOrUpdateEnabledEntitlement",
                target=target,
            )


def _without_state(entitlement: Document) -> Document:
    ignored = ("isEnabled", "origin")
    return {
        name: sorted(value) if name == "allowedMemberTypes" else value
        for name, value in entitlement.items()
        if name not in ignored and "@" not in name and value is not None
    }


def _check_pre_authorized(application: Document) -> None:
    known = {scope["id"].lower() for scope in application["api"]["oauth2PermissionScopes"]}
    target = "api.preAuthorizedApplications"
    for client in application["api"]["preAuthorizedApplications"]:
        _require_guid(target, client, "appId")
        for permission in client.get("delegatedPermissionIds") or []:
            if str(permission).lower() not in known:
                raise invalid(target, f"'{permission}' is not the id of a scope of this application.")
    _unique(target, [client["appId"].lower() for client in application["api"]["preAuthorizedApplications"]])


def _check_redirect_uris(application: Document) -> None:
    everywhere: list[str] = []
    for platform in ("web", "spa", "publicClient"):
        uris = application[platform].get("redirectUris", [])
        for uri in uris:
            _check_redirect_uri(f"{platform}.redirectUris", uri, browser=platform != "publicClient")
        everywhere += uris
    _unique("redirectUris", everywhere)
    if len(everywhere) > _MOST_REDIRECT_URIS:
        raise invalid("redirectUris", f"there may be {_MOST_REDIRECT_URIS} of them.")


def _check_redirect_uri(target: str, uri: Any, *, browser: bool) -> None:
    parts = _parts(uri)
    if not parts.scheme or len(str(uri)) > _LONGEST_URI or re.search(r"\s", str(uri)):
        raise invalid(target, f"'{uri}' is no absolute URI of up to {_LONGEST_URI} characters.")
    if parts.fragment or uri.endswith("#"):
        raise invalid(target, f"'{uri}' has a fragment.")
    if not browser and parts.scheme not in ("http", "https"):
        return
    if not parts.netloc or "@" in parts.netloc or "*" in parts.netloc:
        raise invalid(target, f"'{uri}' must have a host, and neither credentials nor a wildcard.")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise invalid(target, f"'{uri}' must start with 'HTTPS' or 'http://localhost'.")


def _parts(uri: Any) -> SplitResult:
    try:
        return urlsplit(uri if isinstance(uri, str) else "")
    except ValueError:
        return urlsplit("")


def _check_identifier_uri(uri: Any, application: Document) -> None:
    parts = _parts(uri)
    if parts.scheme == "api" and parts.netloc in (application["appId"], application["_tenantId"]):
        return
    if not parts.scheme or not parts.netloc or len(uri) > _LONGEST_URI or uri.endswith("/"):
        raise invalid("identifierUris", f"'{uri}' is no URI that identifies an application.")
    if parts.netloc != DOMAIN and not parts.netloc.endswith(f".{DOMAIN}"):
        raise bad_request(
            "Values of identifierUris property must use a verified domain of the organization or its subdomain: "
            f"'{uri}'",
            code="HostNameNotOnVerifiedDomain",
            target="identifierUris",
        )


def _check_required_access(required: list[Any]) -> None:
    target = "requiredResourceAccess"
    for resource in required:
        _require_guid(target, resource, "resourceAppId")
        for access in resource.get("resourceAccess") or []:
            _require_guid(target, access, "id")
            if access.get("type") not in ("Scope", "Role"):
                raise invalid(target, "resourceAccess.type must be Scope or Role.")
        _unique(target, [(access["id"].lower(), access["type"]) for access in resource.get("resourceAccess") or []])
    _unique(target, [resource["resourceAppId"].lower() for resource in required])


def _require_guid(target: str, holder: Any, name: str) -> None:
    try:
        uuid.UUID(holder[name])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise invalid(target, f"{name} must be a GUID.") from None


def _require_text(target: str, holder: Document, name: str) -> None:
    if not isinstance(holder.get(name), str) or not holder[name]:
        raise invalid(target, f"{name} is required.")


def _unique(target: str, values: list[Any]) -> None:
    if len(set(values)) < len(values):
        raise duplicate(target)
