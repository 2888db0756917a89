"""By what users, groups and service principals are looked up, and what is said of those that are not found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from localazure.plugins.azuread import rules
from localazure.plugins.azuread.fields import Field, Kind, Rule
from localazure.plugins.azuread.graph import Version


@dataclass(frozen=True, kw_only=True)
class By:
    """One argument that says which objects are meant. `{}` in a message is the value."""

    argument: str
    graph: str = ""
    """The property that is compared; an `id` is fetched by its path."""
    where: str = ""
    missing: str = ""
    many: str = ""
    """What is said when a value has several; when nothing, all of them are meant."""
    finding: str = ""
    """What is said before a refusal by Graph."""
    rule: Rule = rules.not_empty


def _by(argument: str, graph: str, *, missing: str, finding: str, many: str = "", rule: Rule = rules.not_empty) -> By:
    return By(
        argument=argument,
        graph=graph,
        where=f"{graph} eq '{{}}'",
        missing=missing,
        many=many,
        finding=finding,
        rule=rule,
    )


@dataclass(frozen=True, kw_only=True)
class Collection:
    """What one function lists."""

    words: str
    path: str
    id: str
    """What its result's id begins with."""
    identified_by: str
    """The property that makes the rest of the id, of each object, joined by `joint`."""
    joint: str
    by: tuple[By, ...]
    lists: Mapping[str, str]
    """Outputs that are lists of one property each."""
    items: str
    """The output that lists the objects."""
    fields: Sequence[Field]
    version: Version = "v1.0"
    select: str = ""


def _text(name: str, graph: str = "") -> Field:
    return Field(name=name, graph=graph or name)


USERS: Final = Collection(
    words="users",
    path="/users",
    id="users",
    identified_by="userPrincipalName",
    joint="/",
    by=(
        _by(
            "objectIds",
            "id",
            missing='User not found with object ID: "{}"',
            finding='Retrieving user with object ID: "{}"',
            rule=rules.uuid,
        ),
        _by(
            "userPrincipalNames",
            "userPrincipalName",
            missing='User with UPN "{}" was not found',
            many='More than one user found with UPN: "{}"',
            finding='Finding user with UPN: "{}"',
        ),
        _by(
            "mailNicknames",
            "mailNickname",
            missing='no user(s) found with email alias: "{}"',
            finding='Finding user with email alias: "{}"',
        ),
        _by(
            "mails",
            "mail",
            missing='User not found with mail address: "{}"',
            many='More than one user found with mail address: "{}"',
            finding='Finding user with mail address: "{}"',
        ),
        _by(
            "employeeIds",
            "employeeId",
            missing='User not found with employee ID: "{}"',
            many='More than one user found with employee ID: "{}"',
            finding='Finding user with employee ID: "{}"',
        ),
    ),
    lists={
        "objectIds": "id",
        "userPrincipalNames": "userPrincipalName",
        "mailNicknames": "mailNickname",
        "mails": "mail",
        "employeeIds": "employeeId",
    },
    items="users",
    fields=(
        Field(name="accountEnabled", graph="accountEnabled", kind=Kind.FLAG),
        _text("objectId", "id"),
        _text("onpremisesImmutableId", "onPremisesImmutableId"),
        _text("onpremisesSamAccountName", "onPremisesSamAccountName"),
        _text("onpremisesUserPrincipalName", "onPremisesUserPrincipalName"),
        *map(_text, ("displayName", "employeeId", "mail", "mailNickname", "usageLocation", "userPrincipalName")),
    ),
    select="accountEnabled,displayName,employeeId,id,mail,mailNickname,onPremisesImmutableId,onPremisesSamAccountName,"
    "onPremisesUserPrincipalName,usageLocation,userPrincipalName,userType",
)
GROUPS: Final = Collection(
    words="groups",
    path="/groups",
    id="groups",
    identified_by="displayName",
    joint="-",
    by=(
        _by(
            "displayNames",
            "displayName",
            missing='No group found with display name: "{}"',
            many='More than one group found with display name: "{}"',
            finding='No group found with display name: "{}"',
        ),
        By(
            argument="displayNamePrefix",
            where="startsWith(displayName, '{}')",
            missing='No groups found with display name prefix: "{}"',
            finding='No groups found with display name prefix: "{}"',
        ),
        _by(
            "objectIds",
            "id",
            missing='No group found with object ID: "{}"',
            finding='Retrieving group with object ID: "{}"',
            rule=rules.uuid,
        ),
    ),
    lists={"objectIds": "id", "displayNames": "displayName"},
    items="groups",
    fields=(
        _text("displayName"),
        _text("objectId", "id"),
        Field(name="mailEnabled", graph="mailEnabled", kind=Kind.FLAG),
        Field(name="securityEnabled", graph="securityEnabled", kind=Kind.FLAG),
    ),
    version="beta",
)
SERVICE_PRINCIPALS: Final = Collection(
    words="service principals",
    path="/servicePrincipals",
    id="serviceprincipals",
    identified_by="id",
    joint="/",
    by=(
        _by(
            "clientIds",
            "appId",
            missing='Service principal not found with application ID: "{}"',
            many='More than one service principal found with application ID: "{}"',
            finding='Finding service principals with application ID: "{}"',
            rule=rules.uuid,
        ),
        _by(
            "displayNames",
            "displayName",
            missing='No service principals with display name "{}" were found',
            many='Finding service principals with display name: "{}": more than one service principal returned with '
            "this display name",
            finding='Finding service principals with display name: "{}"',
        ),
        _by(
            "objectIds",
            "id",
            missing='Service principal not found with object ID: "{}"',
            finding='Retrieving service principal with object ID: "{}"',
            rule=rules.uuid,
        ),
    ),
    lists={"clientIds": "appId", "displayNames": "displayName", "objectIds": "id"},
    items="servicePrincipals",
    fields=(
        Field(name="accountEnabled", graph="accountEnabled", kind=Kind.FLAG),
        Field(name="appRoleAssignmentRequired", graph="appRoleAssignmentRequired", kind=Kind.FLAG),
        _text("applicationTenantId", "appOwnerOrganizationId"),
        _text("clientId", "appId"),
        _text("displayName"),
        _text("objectId", "id"),
        _text("preferredSingleSignOnMode"),
        Field(name="servicePrincipalNames", graph="servicePrincipalNames", kind=Kind.LIST),
        _text("signInAudience"),
        Field(name="tags", graph="tags", kind=Kind.LIST),
        _text("type", "servicePrincipalType"),
    ),
    select="accountEnabled,appId,appOwnerOrganizationId,appRoleAssignmentRequired,displayName,id,"
    "preferredSingleSignOnMode,servicePrincipalNames,servicePrincipalType,signInAudience,tags",
)
SERVICE_PRINCIPAL_BY: Final = (
    _by(
        "clientId",
        "appId",
        missing="No service principal found: no service principal found",
        many="Multiple service principals found: found multiple service principals matching filter: \"appId eq '{}'\"",
        finding="Listing service principals for filter \"appId eq '{}'\"",
        rule=rules.uuid,
    ),
    _by(
        "displayName",
        "displayName",
        missing="Service principal not found: no service principals found matching filter: \"displayName eq '{}'\"",
        many="Multiple service principals found: found multiple service principals matching filter: "
        "\"displayName eq '{}'\"",
        finding="Listing service principals for filter \"displayName eq '{}'\"",
    ),
    _by(
        "objectId",
        "id",
        missing='Service Principal (Service Principal: "{}") was not found',
        finding='Retrieving Service Principal (Service Principal: "{}")',
        rule=rules.uuid,
    ),
)
