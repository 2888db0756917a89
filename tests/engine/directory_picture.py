"""What stacks have in Entra ID, object by object, in words: two states can be compared, and one can be written down.

Ids that Entra makes up stand as what they are the id of; times and secrets are left out.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from localazure.client import LocalAzure
from localazure.entra.directory import APP_ROLE_ASSIGNMENTS, APPLICATIONS, PERMISSION_GRANTS, PRINCIPALS
from localazure.store import Document, Store

Picture = dict[str, Any]

_MADE_BY_US = "temporal-azure-"
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LEFT_OUT = frozenset({"createdDateTime", "startDateTime", "hint", "keyId", "secretText", "_secrets"})


def directory_picture(azure: LocalAzure) -> Picture:
    """Return every application of this program's, its service principal, who is assigned to it, and what is granted."""
    with closing(Store(azure.state / "state.sqlite3")) as store:
        everything = [each for _, each in store.items(APPLICATIONS)]
        applications = [each for each in everything if _is_ours(each)]
        principals = [each for _, each in store.items(PRINCIPALS)]
        names = dict(_names(everything, principals))
        ours = [each for each in principals if each.get("applicationObjectId") in {one["id"] for one in applications}]
        ids = {each["objectId"] for each in ours}
        found: Picture = {f"application {each['displayName']}": each for each in applications}
        found |= {f"service principal {each['name']}": each["servicePrincipal"] for each in ours}
        for _, each in store.items(APP_ROLE_ASSIGNMENTS):
            if each["resourceId"] in ids:
                role = names.get(each["appRoleId"], each["appRoleId"])
                found[f"{each['principalDisplayName']} has {role} at {each['resourceDisplayName']}"] = {}
        for _, each in store.items(PERMISSION_GRANTS):
            if each["clientId"] in ids:
                found[f"{names[each['clientId']]} may for {each['consentType']} at {names[each['resourceId']]}"] = {
                    "scope": sorted(each["scope"].split())
                }
    return {name: _in_words(each, names) for name, each in sorted(found.items())}


def _is_ours(application: Document) -> bool:
    return any(tag.startswith(_MADE_BY_US) for tag in application.get("tags") or ())


def _names(applications: list[Document], principals: list[Document]) -> Iterator[tuple[str, str]]:
    for each in principals:
        yield each["objectId"], f"<{each['name']}>"
        if "clientId" in each:
            yield each["clientId"], f"<client {each['name']}>"
    for each in applications:
        yield each["id"], f"<application {each['displayName']}>"
        for role in each.get("appRoles", ()):
            yield role["id"], f"<{role['value']}>"
        for scope in each.get("api", {}).get("oauth2PermissionScopes", ()):
            yield scope["id"], f"<scope {scope['value']}>"


def _in_words(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        told = {
            key: item for key, item in value.items() if key not in _LEFT_OUT and not (key == "id" and item not in names)
        }
        said = {key: _in_words(item, names) for key, item in told.items()}
        return {key: item for key, item in said.items() if item not in (None, "", [], {}, False)}
    if isinstance(value, list):
        items = [_in_words(item, names) for item in value]
        return sorted(items, key=lambda item: item if isinstance(item, str) else str(sorted(item.items())))
    if isinstance(value, str):
        return _GUID.sub(lambda match: names.get(match[0], match[0]), value)
    return value
