"""Which permissions of Microsoft Graph an identity lacks, from what its token says of it.

Graph refuses with a 403 that does not say what is missing. The token of an application lists its permissions (`roles`),
so those that are missing can be named beforehand. A directory role (`wids`) allows more than any list here could say,
and a person's rights are those of the directory roles alone: where these decide, nobody is refused, only warned.
Source: "Access token claims reference"; "Microsoft Graph permissions reference"; "Microsoft Entra built-in roles".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from provider.inputs import Model

MICROSOFT_GRAPH: Final = "00000003-0000-0000-c000-000000000000"
"""Microsoft Graph's application ID, the same in every cloud and tenant."""

PERMISSIONS: Final[Mapping[str, str]] = {
    "AppRoleAssignment.ReadWrite.All": "06b708a9-e830-4db3-a914-8e69da51d44f",
    "Application.Read.All": "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
    "Application.ReadWrite.All": "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
    "Application.ReadWrite.OwnedBy": "18a4783c-866b-4cc7-a460-3d5e5662c884",
    "DelegatedPermissionGrant.ReadWrite.All": "8e8e4742-1d95-4f68-9d56-6ee75648c72a",
    "Directory.Read.All": "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
    "Directory.ReadWrite.All": "19dbc75e-c2e2-444c-a770-ec69d8559fc7",
    "Group.Read.All": "5b567255-7703-4780-807c-7be8301ae99b",
    "GroupMember.Read.All": "98830695-27a2-44f7-8c18-0c3ebc9698f6",
    "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
    "User.ReadBasic.All": "97235f07-e226-4f63-ace3-39588e11d3a1",
}
"""Microsoft Graph's application permissions that can be asked for: app role IDs by name."""

DIRECTORY_ROLES: Final[Mapping[str, str]] = {
    "62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
    "158c047a-c907-4556-b7ef-446551a6b5f7": "Cloud Application Administrator",
    "e8611ab8-c189-46e8-94e1-60213ab1f814": "Privileged Role Administrator",
}
"""The directory roles that may manage applications, by their template IDs."""

_CONSEQUENCE = "Microsoft Graph answers 403 without saying what is missing"


def _known(name: str) -> str:
    if name not in PERMISSIONS:
        raise ValueError(f"must be one of {', '.join(PERMISSIONS)}")
    return name


class DirectoryPermission(Model):
    """What a setting needs: any one of `names`, and the words that tell a person what for."""

    names: Annotated[tuple[Annotated[str, AfterValidator(_known)], ...], Field(min_length=1)]
    needed_for: str


def lacking(claims: Mapping[str, Any], permissions: Sequence[DirectoryPermission]) -> list[DirectoryPermission]:
    """Return those of `permissions` of which the token lists no name."""
    listed = set(claims.get("roles") or ())
    return [permission for permission in permissions if not listed.intersection(permission.names)]


def has_directory_role(claims: Mapping[str, Any]) -> bool:
    """Tell whether the token lists a directory role that may manage applications."""
    return not DIRECTORY_ROLES.keys().isdisjoint(claims.get("wids") or ())


def refusal(claims: Mapping[str, Any], missing: Sequence[DirectoryPermission]) -> str:
    """Say what an application lacks, what follows, and how an administrator grants it."""
    return (
        f"The application {_application(claims)} (service principal {claims['oid']}), signed in to the tenant "
        f"{claims['tid']}, lacks {_counted(missing)} of Microsoft Graph:\n{_listed(missing)}\n{_CONSEQUENCE}, so it "
        f"was not asked, and nothing was changed. Have a Global Administrator or Privileged Role Administrator run\n"
        f"{_grant(claims, missing)}\nor give the service principal a directory role such as Application Administrator; "
        f"then run the same command again."
    )


def doubt(claims: Mapping[str, Any], permissions: Sequence[DirectoryPermission]) -> str:
    """Say that nobody can tell beforehand what a person may do, what is needed, and what to do about a 403."""
    person = claims.get("upn") or claims.get("unique_name") or claims["oid"]
    return (
        f"{person}, signed in to the tenant {claims['tid']}, has none of the directory roles "
        f"{', '.join(DIRECTORY_ROLES.values())}. Whether that is enough shows only as it is done: {_CONSEQUENCE}. What "
        f"is done needs\n{_listed(permissions)}\nIf it is refused, have one of these roles assigned, or sign in as an "
        f"application that has the permissions."
    )


def _application(claims: Mapping[str, Any]) -> str:
    return str(claims.get("appid") or claims.get("azp"))


def _counted(permissions: Sequence[DirectoryPermission]) -> str:
    return "a permission" if len(permissions) == 1 else f"{len(permissions)} permissions"


def _listed(permissions: Sequence[DirectoryPermission]) -> str:
    return "\n".join(f"- {' or '.join(needed.names)}, for {needed.needed_for}" for needed in permissions)


def _grant(claims: Mapping[str, Any], missing: Sequence[DirectoryPermission]) -> str:
    """Return the commands that grant the first alternative of each; a managed identity has no registration."""
    roles = [PERMISSIONS[name] for name in dict.fromkeys(permission.names[0] for permission in missing)]
    if "xms_mirid" in claims:
        graph = f"$(az ad sp show --id {MICROSOFT_GRAPH} --query id --output tsv)"
        url = f"{str(claims['aud']).rstrip('/')}/v1.0/servicePrincipals/{claims['oid']}/appRoleAssignments"
        return "\n".join(
            f"az rest --method POST --url {url} --body "
            f"\"{{'principalId': '{claims['oid']}', 'resourceId': '{graph}', 'appRoleId': '{role}'}}\""
            for role in roles
        )
    granted = " ".join(f"{role}=Role" for role in roles)
    return (
        f"az ad app permission add --id {_application(claims)} --api {MICROSOFT_GRAPH} --api-permissions {granted}\n"
        f"az ad app permission admin-consent --id {_application(claims)}"
    )
