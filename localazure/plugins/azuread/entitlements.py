"""App roles, permission scopes and tags of applications and service principals: what they may be, and their maps."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from localazure.plugins.azuread.fields import Plain, value_at
from plugin import UNKNOWN

_PERSONAL: Final = ("AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount")
_TAG_OF_FEATURE: Final[Mapping[str, str]] = {
    "customSingleSignOn": "WindowsAzureActiveDirectoryCustomSingleSignOnApplication",
    "enterprise": "WindowsAzureActiveDirectoryIntegratedApp",
    "gallery": "WindowsAzureActiveDirectoryGalleryApplicationNonPrimaryV1",
    "hide": "HideApp",
}
_FORMER_NAMES: Final[Mapping[str, str]] = {
    "customSingleSignOnApp": "customSingleSignOn",
    "enterpriseApplication": "enterprise",
    "galleryApplication": "gallery",
}


def entitlement_problems(inputs: Plain) -> Iterator[str]:
    """Yield what is wrong with an application's inputs beyond single values."""
    seen: list[tuple[Any, Any, tuple[Any, ...]]] = []
    for entitlement_id, value, rest in _entitlements(inputs):
        if not entitlement_id or not value or UNKNOWN in (entitlement_id, value):
            continue
        reason = _clash(seen, entitlement_id, value, rest)
        if reason:
            yield f"checking for duplicate app roles / OAuth2.0 permission scopes: validation failed: {reason}"
        seen.append((entitlement_id, value, rest))
    audience = inputs.get("signInAudience")
    if audience in _PERSONAL:
        if value_at(inputs, "api.requestedAccessTokenVersion") not in (2, UNKNOWN):
            yield f"`requested_access_token_version` must be 2 when `sign_in_audience` is {_personal()}"
        for name in ("publicClient", "singlePageApplication", "web"):
            uris = value_at(inputs, f"{name}.redirectUris")
            if isinstance(uris, list) and len(uris) > 100:
                yield f"`redirect_uris` must have no more than 100 URIs when `sign_in_audience` is {_personal()}"


def _personal() -> str:
    return " or ".join(f'"{audience}"' for audience in _PERSONAL)


def _entitlements(inputs: Plain) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
    """Yield id, value and what must be equal of a role and a scope that share both."""
    for name, display_name, description in (
        ("appRoles", "displayName", "description"),
        ("api.oauth2PermissionScopes", "adminConsentDisplayName", "adminConsentDescription"),
    ):
        items = value_at(inputs, name)
        for item in items if isinstance(items, list) else []:
            if isinstance(item, Mapping):
                rest = (item.get(display_name, ""), item.get(description, ""), item.get("enabled", True))
                yield item.get("id"), item.get("value"), rest


def _clash(seen: Sequence[tuple[Any, Any, tuple[Any, ...]]], new_id: Any, value: Any, rest: tuple[Any, ...]) -> str:
    for other_id, other_value, other_rest in seen:
        if new_id == other_id and value != other_value:
            return f'duplicate ID found: "{new_id}"'
        if new_id != other_id and value == other_value:
            return f'duplicate value found: "{value}"'
        if (new_id, value) == (other_id, other_value) and rest != other_rest:
            return f'a role and a scope with the ID "{new_id}" must have equal names, descriptions and states'
    return ""


def ids_by_value(entitlements: Sequence[Plain]) -> dict[str, str]:
    """Return the ids of Graph's app roles or permission scopes, by the values that tokens hold."""
    return {item["value"]: item["id"] for item in entitlements if item.get("value") and item.get("id")}


def tags_of(values: Plain, *, features_win: bool = True) -> list[str]:
    """Return the tags that inputs ask for, directly or as features."""
    features = values.get("featureTags")
    if features and features_win:
        return [tag for name, tag in _TAG_OF_FEATURE.items() if features[0].get(name)]
    return list(values.get("tags") or [])


def features_of(tags: Sequence[str]) -> dict[str, bool]:
    """Return which features the tags stand for."""
    lowered = {tag.lower() for tag in tags}
    return {name: tag.lower() in lowered for name, tag in _TAG_OF_FEATURE.items()}


def former_features_of(tags: Sequence[str]) -> dict[str, bool]:
    """Return the same by the names that service principals also have for them."""
    features = features_of(tags)
    return {name: features[now] for name, now in _FORMER_NAMES.items()} | {"visibleToUsers": not features["hide"]}
