"""An application registration with its service principal: of this tenant only, owned, and found again after a kill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_azuread as azuread

from components.derived import digest

_SHOWN_AMONG_ENTERPRISE_APPLICATIONS = "WindowsAzureActiveDirectoryIntegratedApp"


@dataclass(frozen=True)
class Owners:
    """Who owns the applications of a stack, by object ID.

    `first_caller`: it is whoever ran the first `up`, because nobody is named, and stays that whoever runs the next.
    """

    object_ids: Sequence[str]
    first_caller: bool = False


@dataclass(frozen=True, kw_only=True)
class Registration:
    """Whose applications these are. `identity` is all that sets a stack apart from every other."""

    owners: Owners
    identity: Sequence[str]


def register(
    name: str,
    display_name: str,
    registration: Registration,
    parent: pulumi.Resource,
    *,
    assignment_required: bool = False,
    **application: Any,
) -> tuple[azuread.Application, azuread.ServicePrincipal]:
    """Declare an application and its service principal; `application` has further arguments of the former.

    Names of applications are not unique in Entra ID: a tag that is derived tells this one from all others. The
    identifier URI holds the client ID, so it is a resource of its own; both would undo each other's unless ignored.
    """
    owners = registration.owners
    kept = ["owners"] if owners.first_caller else []
    tag = f"temporal-azure-{digest(type(parent).__name__, name, *registration.identity, length=20)}"
    registered = azuread.Application(
        name,
        display_name=display_name,
        sign_in_audience="AzureADMyOrg",
        owners=list(owners.object_ids),
        tags=[tag],
        **application,
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["identifierUris", *kept]),
    )
    principal = azuread.ServicePrincipal(
        name,
        client_id=registered.client_id,
        app_role_assignment_required=assignment_required,
        owners=list(owners.object_ids),
        tags=[_SHOWN_AMONG_ENTERPRISE_APPLICATIONS, tag],
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=kept or None),
    )
    return registered, principal
