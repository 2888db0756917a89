"""What sign-on declares: the application, its secrets, who has which role, and who the workers are."""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import (
    LEAVES,
    Access,
    Directory,
    KeyVault,
    KeyVaultArgs,
    Principal,
    SignOn,
    SignOnArgs,
    VaultPolicy,
    find_principals,
    require_permissions,
)
from components.access import VaultRole
from components.client_secret import end_of, period
from components.sign_on import needed_permissions
from provider.directory import PERMISSIONS
from provider.resources import KeyVaultProvider
from settings import SignOnSettings
from tests.unit.configured import parsed
from tests.unit.declared import (
    AUTHORITY,
    DEPLOYER,
    GRAPH_OBJECT_ID,
    GROUP_ID,
    SUBSCRIPTION,
    TENANT,
    VERSION,
    Azure,
    Declared,
    Registered,
    Somebody,
    declare,
    guid,
)
from tests.unit.test_components import Protection

IDENTITY = (TENANT, SUBSCRIPTION, "temporal-azure", "unit")
TODAY = date(2026, 3, 29)
VAULT = "temporal-leaf-abc"
VAULT_ID = f"{GROUP_ID}/providers/Microsoft.KeyVault/vaults/{VAULT}"
VAULT_URI = f"https://{VAULT}.vault.azure.net/"
TAGS = {"owner": "shop"}
SECRETS_OFFICER = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
GRAPH = "00000003-0000-0000-c000-000000000000"
AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

ANNE = Principal("aaaaaaaa-0000-4000-8000-000000000001", "User")
TEAM = Principal("bbbbbbbb-0000-4000-8000-000000000002", "Group")
CALLER = replace(ANNE, first_caller=True)

ADA = Somebody(
    kind="user",
    object_id="ada00000-0000-4000-8000-000000000001",
    display_name="Ada Lovelace",
    user_principal_name="ada@contoso.example",
    mail="ada.lovelace@contoso.example",
)
GRACE = Somebody(
    kind="user",
    object_id="92ace000-0000-4000-8000-000000000002",
    display_name="Grace",
    user_principal_name="grace_partner.example#EXT#@contoso.example",
    mail="grace@partner.example",
)
OPERATORS = Somebody(kind="group", object_id="0be2a702-0000-4000-8000-000000000003", display_name="Temporal Operators")
TWINS = [
    Somebody(kind=kind, object_id=f"{number}0000000-0000-4000-8000-00000000000{number}", display_name="Twins")
    for kind, number in (("group", 1), ("group", 2), ("service principal", 3), ("service principal", 4))
]
ORDERS = Somebody(
    kind="service principal",
    object_id="02de2500-0000-4000-8000-000000000005",
    display_name="orders-identity",
    client_id="02de2500-0000-4000-8000-000000000006",
)
DIRECTORY = (ADA, GRACE, OPERATORS, ORDERS, *TWINS)

APPLICATION_NAME = "Temporal unit"
CLIENT_ID = guid(f"client {APPLICATION_NAME}")
APPLICATION_ID = f"/applications/{guid(f'application {APPLICATION_NAME}')}"
PRINCIPAL_ID = guid(f"principal {CLIENT_ID}")


@dataclass(frozen=True)
class Identities:
    """Names and IDs of a worker with an application of its own."""

    name: str

    @property
    def client_id(self) -> str:
        return guid(f"client {APPLICATION_NAME} {self.name}")

    @property
    def object_id(self) -> str:
        return guid(f"principal {self.client_id}")


def policy(*workers: str, stack: str = "unit", **settings: object) -> SignOnSettings:
    """What a stack says under `signOn`, with these workers instead of `default`."""
    written = {
        "location": "westeurope",
        "namespaces": ["default", "orders"],
        "certificates": {name: {} for name in workers},
        "signOn": settings,
    }
    found = parsed(written, stack=stack).sign_on
    assert found
    return found


EVERYTHING = policy(
    "orders",
    "billing",
    "reports",
    redirectUris=["https://oauth.pstmn.io/v1/callback"],
    roles={
        "default:read": [{"group": "Temporal Operators"}],
        "temporal-system:admin": [{"user": "ada@contoso.example"}, {"servicePrincipal": "orders-identity"}],
    },
    owners=[{"user": "ada@contoso.example"}, {"servicePrincipal": "orders-identity"}],
    workers={
        "billing": {"federatedCredentials": [{"issuer": "https://oidc.example/", "subject": "billing"}]},
        "reports": {"managedIdentity": "orders-identity", "roles": ["orders:write", "orders:read"]},
    },
)


def sign_on(
    described: SignOnSettings | None = None,
    *,
    deployers: Sequence[Principal] = (CALLER,),
    readers: Mapping[str, Sequence[Principal]] | None = None,
    manage: bool = True,
    today: date = TODAY,
    identity: Sequence[str] = IDENTITY,
    azure: Azure | None = None,
    in_vault: bool = True,
) -> Declared:
    """Declare sign-on, and the vault for its secrets, if there is to be one."""
    described = described or policy()
    vault_policy = VaultPolicy(
        resource_group_name="temporal",
        location="westeurope",
        tenant_id=TENANT,
        subscription_id=SUBSCRIPTION,
        protection=Protection(),
        access=Access(deployers, readers or {}, manage),
        tags=TAGS,
        provider=None,  # type: ignore[arg-type]
    )

    def program() -> dict[str, Any]:
        directory = Directory(TENANT, {})
        principals = find_principals(described, directory)
        own = replace(vault_policy, provider=KeyVaultProvider("temporalazure", {}))
        vault_args = KeyVaultArgs(
            vault_name=VAULT, recover=False, deployer_roles=(VaultRole.CERTIFICATES_OFFICER,), policy=own
        )
        vault = KeyVault(LEAVES, vault_args) if in_vault else None
        declared = SignOn(
            "sign-on",
            SignOnArgs(
                policy=described,
                principals=principals,
                authority=AUTHORITY,
                tenant_id=TENANT,
                identity=identity,
                today=today,
                vault=vault,
                vault_policy=own,
            ),
            pulumi.ResourceOptions(providers=[directory.provider]),
        )
        told = {
            "issuer": declared.issuer,
            "keys_url": declared.keys_url,
            "ui_url": declared.ui_url,
            "callback_url": declared.callback_url,
            "client_id": declared.client_id,
            "client_secret": declared.client_secret,
            "scopes": declared.scopes,
            "token_scope": declared.token_scope,
            "worker_variables": declared.worker_variables,
            "facts": declared.facts,
        }
        return {**told, "secret": {path: _is_secret(value) for path, value in _leaves(told)}}

    return declare(program, azure or Azure(directory=DIRECTORY))


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}".lstrip("."))
    else:
        yield path, value


def _is_secret(value: pulumi.Input[Any]) -> Any:
    return pulumi.Output.from_input(value).is_secret()


@cache
def everything() -> Declared:
    """A stack that sets everything, with a worker of each kind."""
    return sign_on(EVERYTHING, readers={"ui": (TEAM,), "orders": (ANNE, TEAM)})


@cache
def nothing() -> Declared:
    """What a stack gets that sets nothing: one worker, `default`."""
    return sign_on()


def application(declared: Declared, name: str = "sign-on") -> Registered:
    return declared.one(":Application", name)


def assigned(declared: Declared) -> dict[str, tuple[str, str, str]]:
    """Who has which app role of whose, by the assignment's name."""
    return {
        item.name: (item.inputs["principalObjectId"], item.inputs["appRoleId"], item.inputs["resourceObjectId"])
        for item in declared.of_type(":AppRoleAssignment")
    }


def role_ids(declared: Declared) -> dict[str, str]:
    return {role["value"]: role["id"] for role in application(declared).inputs["appRoles"]}


def granted(declared: Declared, *roles: str) -> set[tuple[str, str, str]]:
    """Who has which of these roles of Azure where."""
    return {
        (item.inputs["principalId"], role, f"/{item.inputs['scope']}")
        for item in declared.of_type(":RoleAssignment")
        if (role := item.inputs["roleDefinitionId"].rpartition("/")[2]) in roles
    }


# The tree


def test_names_and_types_do_not_change_by_accident() -> None:
    """They live in the state: another name is another application, which nobody has a role of."""
    kind, directory, azure = "temporal-azure:components:", "azuread:index/", "azure-native:authorization:RoleAssignment"
    mine, worker, secret = f"{kind}SignOn", f"{kind}WorkerIdentity", f"{kind}ClientSecret"

    def of(parent: str, name: str, *children: str) -> set[str]:
        types = (f"{directory}{child[0].lower()}{child[1:]}:{child}" for child in children)
        return {f"{parent}${child}::{name}" for child in types}

    def of_secret(name: str, *assignments: str) -> set[str]:
        return {
            *of(secret, f"{name}-even", "ApplicationPassword"),
            *of(secret, f"{name}-odd", "ApplicationPassword"),
            f"{secret}$temporalazure:keyvault:Secret::{name}",
            f"{secret}${azure}::{name}-secrets-officer-first-caller",
            *(f"{secret}${azure}::{name}-secrets-user-{reader}" for reader in assignments),
        }

    tree = {
        item.urn.partition("::temporal-azure::")[2].removeprefix("pulumi:pulumi:Stack$")
        for item in everything().resources
    }
    assert {urn for urn in tree if "KeyVault" not in urn} == {
        "pulumi:providers:azuread::directory",
        "pulumi:providers:temporalazure::temporalazure",
        f"{mine}::sign-on",
        *of(mine, "sign-on", "Application", "ServicePrincipal", "ApplicationIdentifierUri"),
        *of(mine, "azure-cli", "ApplicationPreAuthorized"),
        *of(mine, "own-scope", "ServicePrincipalDelegatedPermissionGrant"),
        *of(mine, "sign-in", "ServicePrincipalDelegatedPermissionGrant"),
        *of(mine, f"default-read-{OPERATORS.object_id}", "AppRoleAssignment"),
        *of(mine, f"temporal-system-admin-{ADA.object_id}", "AppRoleAssignment"),
        *of(mine, f"temporal-system-admin-{ORDERS.object_id}", "AppRoleAssignment"),
        f"{mine}${secret}::ui-client-secret",
        *of_secret("ui-client-secret", TEAM.object_id),
        *(f"{mine}${worker}::{name}" for name in ("orders", "billing", "reports")),
        *of(worker, "orders", "Application", "ServicePrincipal"),
        *of(worker, "orders.default-write", "AppRoleAssignment"),
        f"{worker}${secret}::orders-client-secret",
        *of_secret("orders-client-secret", ANNE.object_id, TEAM.object_id),
        *of(worker, "billing", "Application", "ServicePrincipal"),
        *of(worker, "billing-aa0cf22105", "ApplicationFederatedIdentityCredential"),
        *of(worker, "billing.default-write", "AppRoleAssignment"),
        *of(worker, "reports.orders-write", "AppRoleAssignment"),
        *of(worker, "reports.orders-read", "AppRoleAssignment"),
    }


def test_every_resource_has_its_parent() -> None:
    """A child without its parent is deleted and created when somebody mends that."""
    by_urn = {item.urn: item for item in everything().resources}
    components = {
        "ClientSecret": {"SignOn", "WorkerIdentity"},
        "WorkerIdentity": {"SignOn"},
        "Secret": {"ClientSecret"},
    }
    for item in everything().resources:
        kind = item.type.rpartition(":")[2]
        if item.type.startswith("pulumi:providers") or kind in ("SignOn", "KeyVault"):
            continue
        parent = by_urn[item.parent].type.rpartition(":")[2]
        assert parent in components.get(kind, {"SignOn", "WorkerIdentity", "ClientSecret", "KeyVault"}), item.urn


def test_no_two_workers_share_a_name() -> None:
    """A worker's name and a role's make one: `a` and `b-c` would be `a-b` and `c`, and `up` would fail."""
    workers = {
        "a": {"roles": ["b-c:write"], "federatedCredentials": [{"issuer": "https://x", "subject": "1"}]},
        "a-b": {"roles": ["c:write"], "federatedCredentials": [{"issuer": "https://x", "subject": "1"}]},
        "a-b-c": {"roles": ["default:write"]},
    }
    written = {
        "location": "westeurope",
        "namespaces": ["default", "b-c", "c"],
        "certificates": {name: {} for name in workers},
        "signOn": {"workers": workers},
    }
    declared = sign_on(parsed(written, stack="unit").sign_on)

    assert len(declared.of_type(":WorkerIdentity")) == 3
    assert len({item.urn for item in declared.resources}) == len(declared.resources)


def test_each_resource_is_of_the_provider_of_its_cloud() -> None:
    """The default provider would register applications in whichever tenant the environment says."""
    declared = everything()
    directory = declared.one("pulumi:providers:azuread").urn
    own = declared.one("pulumi:providers:temporalazure").urn
    in_directory = [item for item in declared.resources if item.type.startswith("azuread:")]
    secrets = declared.of_type("temporalazure:keyvault:Secret")

    assert len(in_directory) == 22
    assert all(item.provider.startswith(f"{directory}::") for item in in_directory)
    assert len(secrets) == 2
    assert all(item.provider.startswith(f"{own}::") for item in secrets)


def test_the_directory_is_the_tenants_and_signs_in_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """People would sign in to one tenant, and the application be in another."""
    for variable in ("ARM_ENVIRONMENT", "ARM_MSI_ENDPOINT", "ARM_USE_MSI"):
        monkeypatch.delenv(variable, raising=False)

    def program() -> dict[str, Any]:
        settings: dict[str, str | bool] = {"metadata_host": "127.0.0.1:1", "client_id": "me", "use_oidc": True}
        return {"urn": Directory("the-tenant", settings).provider.urn}

    inputs = declare(program).one("pulumi:providers:azuread").inputs
    assert inputs.pop("clientId")["value"] == "me"
    assert inputs == {
        "tenantId": "the-tenant",
        "metadataHost": "127.0.0.1:1",
        "useOidc": "true",
        "environment": "public",
        "useMsi": "false",
    }


# The application


def test_the_application_is_of_this_tenant_only_with_tokens_of_version_2() -> None:
    """Tokens of other tenants would be accepted, or none at all: v1 has another issuer and audience."""
    inputs = application(nothing()).inputs
    assert inputs["signInAudience"] == "AzureADMyOrg"
    assert inputs["displayName"] == APPLICATION_NAME
    assert inputs["api"]["requestedAccessTokenVersion"] == 2
    [scope] = inputs["api"]["oauth2PermissionScopes"]
    assert {name: scope[name] for name in ("value", "type", "enabled")} == {
        "value": "default",
        "type": "User",
        "enabled": True,
    }
    assert all(scope[name] for name in scope if name.endswith(("Name", "Description")))
    [graph] = inputs["requiredResourceAccesses"]
    assert graph["resourceAppId"] == GRAPH
    assert {access["type"] for access in graph["resourceAccesses"]} == {"Scope"}
    assert {access["id"] for access in graph["resourceAccesses"]} == {
        "37f7f235-527c-4136-accd-4a02d197296e",
        "14dad69e-099b-42c9-810b-d002981feec1",
        "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0",
        "7427e0e9-2fba-42fe-b0c0-848c9e6a8182",
    }


def test_people_come_back_to_the_ui_and_where_else_they_are_let() -> None:
    """Entra ID refuses every address that is not listed."""
    callback = "http://localhost:8080/auth/sso/callback"
    assert application(nothing()).inputs["web"] == {"homepageUrl": "http://localhost:8080", "redirectUris": [callback]}
    assert application(everything()).inputs["web"]["redirectUris"] == [callback, "https://oauth.pstmn.io/v1/callback"]


def test_each_role_is_for_people_and_for_workers() -> None:
    """A role without one of the member types cannot be given to them."""
    roles = application(everything()).inputs["appRoles"]
    assert [role["value"] for role in roles] == [
        "default:write",
        "orders:write",
        "orders:read",
        "default:read",
        "temporal-system:admin",
    ]
    for role in roles:
        assert role["allowedMemberTypes"] == ["Application", "User"]
        assert role["enabled"] is True
        assert role["displayName"] == role["value"]
    described = {role["value"]: role["description"] for role in roles}
    assert described["orders:read"] == "May see workflows in orders"
    assert described["temporal-system:admin"] == "May do everything in every namespace, and list them"


def test_ids_of_roles_and_scope_stay() -> None:
    """Another ID is another role: everybody who had it would lose it."""
    inputs = application(nothing()).inputs
    assert inputs["api"]["oauth2PermissionScopes"][0]["id"] == "c8fb49a4-b13b-5276-b399-c326cd0239b3"
    assert role_ids(nothing())["default:read"] == "20f323d4-fe8f-5a0a-adc0-6d9040a81c8f"
    assert role_ids(everything())["default:read"] == role_ids(nothing())["default:read"]
    ids = [*role_ids(nothing()).values(), *role_ids(everything()).values()]
    assert {uuid.UUID(role_id).version for role_id in ids} == {5}
    assert len(set(ids)) == len({*role_ids(nothing()), *role_ids(everything())})


def test_an_application_has_a_mark_of_its_stack() -> None:
    """Names are not unique in Entra ID: a killed run could not find its own, or would take another stack's."""
    marks = {tuple(item.inputs["tags"]) for item in everything().of_type(":Application")}
    assert len(marks) == 3
    assert (
        application(nothing()).inputs["tags"]
        == application(everything()).inputs["tags"]
        == ["temporal-azure-diawefj5j5jp5hcxwhns"]
    )
    another = sign_on(identity=(*IDENTITY[:-1], "other"))
    assert application(another).inputs["tags"] != application(nothing()).inputs["tags"]
    assert role_ids(another).keys() == role_ids(nothing()).keys()
    assert not set(role_ids(another).values()) & set(role_ids(nothing()).values())


def test_a_worker_may_be_called_as_the_application_is() -> None:
    """The two would have one mark."""
    declared = sign_on(policy("sign-on"))
    marks = [item.inputs["tags"] for item in declared.of_type(":Application")]
    assert len(marks) == 2
    assert marks[0] != marks[1]


def test_only_who_has_a_role_gets_a_token() -> None:
    """Anybody in the tenant could sign in to the UI. A worker's own application is no API: nobody asks for it."""
    declared = everything()
    principal = declared.one(":ServicePrincipal", "sign-on")
    assert principal.inputs["clientId"] == CLIENT_ID
    assert principal.inputs["appRoleAssignmentRequired"] is True
    assert "WindowsAzureActiveDirectoryIntegratedApp" in principal.inputs["tags"]
    assert declared.one(":ServicePrincipal", "orders").inputs["appRoleAssignmentRequired"] is False
    for name in ("orders", "billing"):
        inputs = application(declared, name).inputs
        assert inputs.keys() == {"displayName", "signInAudience", "owners", "tags"}
        assert inputs["signInAudience"] == "AzureADMyOrg"
        assert inputs["displayName"] == f"{APPLICATION_NAME} {name}"


def test_the_identifier_uri_is_the_client_id_and_of_one_resource_alone() -> None:
    """Application and URI would undo each other at every run."""
    uri = nothing().one(":ApplicationIdentifierUri")
    assert uri.inputs == {"applicationId": APPLICATION_ID, "identifierUri": f"api://{CLIENT_ID}"}
    for item in [*nothing().of_type(":Application"), *everything().of_type(":Application")]:
        assert "identifierUris" in item.ignore_changes


def test_owners_are_who_is_named_or_the_first_caller() -> None:
    """The caller would lose access to its own application, or the next caller would take it over."""
    for item in [*everything().of_type(":Application"), *everything().of_type(":ServicePrincipal")]:
        assert item.inputs["owners"] == [ADA.object_id, ORDERS.object_id]
        assert "owners" not in item.ignore_changes
    for item in [*nothing().of_type(":Application"), *nothing().of_type(":ServicePrincipal")]:
        assert item.inputs["owners"] == [DEPLOYER]
        assert "owners" in item.ignore_changes


def test_an_owner_who_is_named_twice_owns_once() -> None:
    declared = sign_on(policy(owners=[{"user": ADA.user_principal_name}, {"user": ADA.mail}]))
    assert application(declared).inputs["owners"] == [ADA.object_id]


def test_the_azure_cli_gets_tokens_without_consent_unless_told_not_to() -> None:
    """People would see a consent screen that most may not accept."""
    inputs = nothing().one(":ApplicationPreAuthorized").inputs
    [scope] = application(nothing()).inputs["api"]["oauth2PermissionScopes"]
    assert inputs == {
        "applicationId": APPLICATION_ID,
        "authorizedClientId": AZURE_CLI,
        "permissionIds": [scope["id"]],
    }
    assert sign_on(policy(azureCli=False)).of_type(":ApplicationPreAuthorized") == []


def test_consent_is_given_for_everybody_unless_told_not_to() -> None:
    """Nobody could sign in: where assignment is required, people cannot consent for themselves."""
    grants = {
        item.name: (
            item.inputs["servicePrincipalObjectId"],
            item.inputs["resourceServicePrincipalObjectId"],
            item.inputs["claimValues"],
        )
        for item in nothing().of_type(":ServicePrincipalDelegatedPermissionGrant")
    }
    assert grants == {
        "own-scope": (PRINCIPAL_ID, PRINCIPAL_ID, ["default"]),
        "sign-in": (PRINCIPAL_ID, GRAPH_OBJECT_ID, ["openid", "profile", "email", "offline_access"]),
    }
    assert sign_on(policy(adminConsent=False)).of_type(":ServicePrincipalDelegatedPermissionGrant") == []


# Who has which role


def test_each_assignee_has_its_role_and_no_other() -> None:
    declared = everything()
    ids = role_ids(declared)
    assert assigned(declared) == {
        f"default-read-{OPERATORS.object_id}": (OPERATORS.object_id, ids["default:read"], PRINCIPAL_ID),
        f"temporal-system-admin-{ADA.object_id}": (ADA.object_id, ids["temporal-system:admin"], PRINCIPAL_ID),
        f"temporal-system-admin-{ORDERS.object_id}": (ORDERS.object_id, ids["temporal-system:admin"], PRINCIPAL_ID),
        "orders.default-write": (Identities("orders").object_id, ids["default:write"], PRINCIPAL_ID),
        "billing.default-write": (Identities("billing").object_id, ids["default:write"], PRINCIPAL_ID),
        "reports.orders-write": (ORDERS.object_id, ids["orders:write"], PRINCIPAL_ID),
        "reports.orders-read": (ORDERS.object_id, ids["orders:read"], PRINCIPAL_ID),
    }


# Client secrets


def test_there_are_two_client_secrets_and_the_one_in_use_is_told() -> None:
    """The moment of a rotation would end the session of whoever still has the former."""
    passwords = {item.name: item.inputs for item in nothing().of_type(":ApplicationPassword")}
    assert {name for name in passwords if name.startswith("ui-")} == {"ui-client-secret-even", "ui-client-secret-odd"}
    for name in ("even", "odd"):
        inputs = passwords[f"ui-client-secret-{name}"]
        assert inputs["applicationId"] == APPLICATION_ID
        assert inputs["displayName"] == f"ui-client-secret {name}"
        assert inputs["rotateWhenChanged"] == {"rotation": "0"}
    assert passwords["ui-client-secret-even"]["endDate"] == "2026-09-04T00:00:00Z"
    assert passwords["ui-client-secret-odd"]["endDate"] == "2026-06-06T00:00:00Z"
    assert nothing().outputs["client_secret"] == "hunter2~ui-client-secret even"


def test_a_rotation_by_hand_replaces_both() -> None:
    """A secret that was lost would stay valid."""
    declared = sign_on(policy(clientSecret={"rotation": 3}))
    rotated = [item.inputs["rotateWhenChanged"] for item in declared.of_type(":ApplicationPassword")]
    assert rotated == [{"rotation": "3"}] * 4


days = st.dates(date(2020, 1, 1), date(2120, 1, 1))
validities = st.integers(2, 730)


def _end(number: int, validity_days: int) -> datetime:
    return datetime.strptime(end_of(number, validity_days), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _begins(number: int, validity_days: int) -> date:
    """The first day of a period, by asking for its days one after the other."""
    day = date(1970, 1, 1) + timedelta(days=number * (validity_days // 2))
    assert period(day, validity_days) == number == period(day - timedelta(days=1), validity_days) + 1
    return day


@given(days, validities)
def test_the_secret_in_use_outlives_the_whole_next_period(today: date, validity_days: int) -> None:
    """Whoever runs `up` once a period, on any day of it, would have an ended secret in use."""
    current = period(today, validity_days)
    after_next = _begins(current + 2, validity_days)
    assert _end(current, validity_days).date() >= after_next
    assert _end(current, validity_days).date() <= today + timedelta(days=validity_days)


@given(days, validities)
def test_the_former_secret_is_valid_until_the_next_period(today: date, validity_days: int) -> None:
    """A consumer that was not restarted at once would be locked out."""
    current = period(today, validity_days)
    assert _end(current - 1, validity_days).date() >= _begins(current + 1, validity_days)


@given(days, validities)
def test_only_one_of_the_two_is_replaced_at_a_time(today: date, validity_days: int) -> None:
    """The next period's secret would take the place of the one in use."""
    current = period(today, validity_days)
    following = period(today + timedelta(days=validity_days // 2), validity_days)
    assert following == current + 1
    ends = {number % 2: end_of(number, validity_days) for number in (current - 1, current)}
    later = {number % 2: end_of(number, validity_days) for number in (following - 1, following)}
    assert ends[current % 2] == later[current % 2]
    assert ends[following % 2] != later[following % 2]


def test_the_same_day_gives_the_same_and_the_next_period_the_other_slot() -> None:
    """A second run on one day would show changes; a rotation would replace the secret in use."""

    def passwords(today: date) -> dict[str, dict[str, Any]]:
        declared = sign_on(today=today)
        return {item.name: item.inputs for item in declared.of_type(":ApplicationPassword")}

    assert passwords(TODAY) == {item.name: item.inputs for item in nothing().of_type(":ApplicationPassword")}
    later = sign_on(today=TODAY + timedelta(days=90))
    changed = {
        item.name for item in later.of_type(":ApplicationPassword") if item.inputs != passwords(TODAY)[item.name]
    }
    assert changed == {"ui-client-secret-odd", "default-client-secret-odd"}
    assert later.outputs["client_secret"] == "hunter2~ui-client-secret odd"


def test_the_secret_in_use_is_in_the_vault() -> None:
    """A platform that reads it there would start the UI with another."""
    secret = nothing().one("temporalazure:keyvault:Secret", "ui-client-secret")
    value = secret.inputs["value"]
    assert value["value"] == nothing().outputs["client_secret"]
    assert len(value) == 2, "the value is not marked as a secret"
    assert secret.inputs | {"value": None} == {
        "vaultId": VAULT_ID,
        "vaultUri": VAULT_URI,
        "name": "ui-client-secret",
        "value": None,
        "contentType": "text/plain",
        "notAfter": "2026-09-04T00:00:00Z",
        "tags": TAGS,
    }


def test_a_secret_is_written_by_who_may_and_after_they_may() -> None:
    """The vault would refuse it: roles come first."""
    declared = sign_on(deployers=(ANNE, TEAM))
    for name in ("ui-client-secret", "default-client-secret"):
        secret = declared.one("temporalazure:keyvault:Secret", name)
        roles = {
            item.urn
            for item in declared.of_type(":RoleAssignment")
            if item.name.startswith((f"{name}-secrets-officer-", "leaves-certificates-officer-"))
        }
        assert len(roles) == 4
        assert secret.dependencies >= roles


def test_each_role_is_on_exactly_one_secret() -> None:
    """A deployer could read every leaf's key, or a reader of one secret all of them."""
    readers = {"ui": (TEAM,), "orders": (ANNE, TEAM), "billing": (ANNE,), "cluster": (ANNE,)}
    declared = sign_on(EVERYTHING, deployers=(ANNE, TEAM), readers=readers)
    scopes = {name: f"{VAULT_ID}/secrets/{name}-client-secret" for name in ("ui", "orders")}
    assert granted(declared, SECRETS_OFFICER) == {
        (deployer.object_id, SECRETS_OFFICER, scope) for deployer in (ANNE, TEAM) for scope in scopes.values()
    }
    assert granted(declared, SECRETS_USER) == {
        (TEAM.object_id, SECRETS_USER, scopes["ui"]),
        (ANNE.object_id, SECRETS_USER, scopes["orders"]),
        (TEAM.object_id, SECRETS_USER, scopes["orders"]),
    }


def test_without_the_right_to_assign_roles_are_looked_for_instead() -> None:
    """Whoever may not assign would fail; whoever lacks a role would find out when the secret is written."""
    declared = sign_on(deployers=(ANNE, CALLER), manage=False)
    assert declared.of_type(":RoleAssignment") == []
    asked = [arguments for token, arguments in declared.asked if token == "temporalazure:index:checkAccess"]
    on_secrets = [question for question in asked if "/secrets/" in question["scope"]]
    assert sorted(on_secrets, key=lambda question: question["scope"]) == [
        {
            "scope": f"{VAULT_ID}/secrets/{name}-client-secret",
            "objectIds": [ANNE.object_id],
            "roles": {SECRETS_OFFICER: "Key Vault Secrets Officer"},
            "subscriptionId": SUBSCRIPTION,
        }
        for name in ("default", "ui")
    ]


# Workers


def test_a_worker_has_an_application_and_a_secret() -> None:
    worker = Identities("orders")
    variables = everything().outputs["worker_variables"]["orders"]
    assert variables == {
        "AZURE_AUTHORITY_HOST": AUTHORITY,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": worker.client_id,
        "AZURE_CLIENT_SECRET": variables["AZURE_CLIENT_SECRET"],
    }
    assert re.fullmatch("hunter2~orders-client-secret (even|odd)", variables["AZURE_CLIENT_SECRET"])
    secret = everything().one("temporalazure:keyvault:Secret", "orders-client-secret")
    assert secret.inputs["value"]["value"] == variables["AZURE_CLIENT_SECRET"]


def test_a_worker_with_tokens_of_somebody_elses_has_no_secret() -> None:
    """A secret that nobody needs would lie about."""
    worker = Identities("billing")
    credential = everything().one(":ApplicationFederatedIdentityCredential")
    assert credential.inputs == {
        "applicationId": f"/applications/{guid(f'application {APPLICATION_NAME} billing')}",
        "displayName": credential.name,
        "issuer": "https://oidc.example/",
        "subject": "billing",
        "audiences": ["api://AzureADTokenExchange"],
    }
    assert everything().outputs["worker_variables"]["billing"] == {
        "AZURE_AUTHORITY_HOST": AUTHORITY,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": worker.client_id,
    }
    assert everything().outputs["facts"]["workers"]["billing"].keys() == {"clientId", "objectId"}


def test_a_credential_keeps_its_name_when_another_goes() -> None:
    """By number, the second would become the first while it still is the second: Entra ID refuses two equal ones."""
    tokens = [{"issuer": "https://oidc.example/", "subject": subject} for subject in ("one", "two")]

    def names(*credentials: object) -> dict[str, str]:
        declared = sign_on(policy("orders", workers={"orders": {"federatedCredentials": list(credentials)}}))
        found = declared.of_type(":ApplicationFederatedIdentityCredential")
        return {item.inputs["subject"]: item.name for item in found}

    both = names(*tokens)
    assert both == names(*reversed(tokens))
    assert names(tokens[1]) == {"two": both["two"]}
    assert names({**tokens[1], "audience": "other"}) == {"two": both["two"]}


def test_a_managed_identity_is_taken_as_it_is() -> None:
    """Its owner manages it: nothing is registered, and it signs in by itself."""
    declared = everything()
    assert [item for item in declared.of_type(":Application") if item.name == "reports"] == []
    assert declared.outputs["worker_variables"]["reports"] == {
        "AZURE_AUTHORITY_HOST": AUTHORITY,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": ORDERS.client_id,
    }
    assert declared.outputs["facts"]["workers"]["reports"] == {
        "clientId": ORDERS.client_id,
        "objectId": ORDERS.object_id,
    }


# What Temporal and its clients are told


@pytest.mark.parametrize(("form", "asked"), [("guid", CLIENT_ID), ("uri", f"api://{CLIENT_ID}")])
def test_the_ui_asks_for_its_scope_in_the_form_that_is_set(form: str, asked: str) -> None:
    """By its URI Entra ID refuses the refresh, and people are out when their first token ends."""
    declared = sign_on(policy(scopeForm=form))
    assert declared.outputs["scopes"] == f"openid,profile,email,offline_access,{asked}/default"
    assert declared.outputs["token_scope"] == f"api://{CLIENT_ID}/.default"


def test_addresses_are_of_the_tenant_without_a_slash_at_their_end() -> None:
    """The UI compares its provider's address with the claim iss, to the letter."""
    outputs = nothing().outputs
    assert outputs["issuer"] == f"{AUTHORITY}/{TENANT}/v2.0"
    assert outputs["keys_url"] == f"{AUTHORITY}/{TENANT}/discovery/v2.0/keys"
    assert outputs["callback_url"] == "http://localhost:8080/auth/sso/callback"
    assert outputs["client_id"] == CLIENT_ID


def test_facts_are_what_is_public() -> None:
    """The summary, the docs and the token commands rely on these names."""
    secret = {"notAfter": "2026-09-04T00:00:00Z", "renewBeforeDays": 90}
    where = f"{VAULT_URI}secrets"
    worker = Identities("default")
    assert nothing().outputs["facts"] == {
        "tenantId": TENANT,
        "clientId": CLIENT_ID,
        "objectId": PRINCIPAL_ID,
        "issuer": f"{AUTHORITY}/{TENANT}/v2.0",
        "scope": f"{CLIENT_ID}/default",
        "redirectUris": ["http://localhost:8080/auth/sso/callback"],
        "roles": role_ids(nothing()),
        "clientSecret": {**secret, "secretId": f"{where}/ui-client-secret/{VERSION}"},
        "workers": {
            "default": {
                "clientId": worker.client_id,
                "objectId": worker.object_id,
                "clientSecret": {**secret, "secretId": f"{where}/default-client-secret/{VERSION}"},
            }
        },
    }


def test_without_vaults_client_secrets_are_in_the_state_alone() -> None:
    """A secret of a vault that is not there would fail the run; nobody is given a role on it."""
    declared, with_vault = sign_on(in_vault=False), nothing()
    assert not declared.of_type(":Secret")
    assert not declared.of_type(":RoleAssignment")
    assert [item.urn for item in declared.of_type(":ApplicationPassword")] == [
        item.urn for item in with_vault.of_type(":ApplicationPassword")
    ]
    secret = {"notAfter": "2026-09-04T00:00:00Z", "renewBeforeDays": 90, "secretId": None}
    facts = declared.outputs["facts"]
    assert [facts["clientSecret"], facts["workers"]["default"]["clientSecret"]] == [secret, secret]
    assert declared.outputs["worker_variables"] == with_vault.outputs["worker_variables"]
    assert declared.outputs["client_secret"] == with_vault.outputs["client_secret"]


def test_client_secrets_are_secrets_and_nothing_else_is() -> None:
    """A secret would stand in the outputs in the clear; or whoever may not read secrets could not see who they are."""
    secret = {path for path, found in everything().outputs["secret"].items() if found}
    assert secret == {"client_secret", "worker_variables.orders.AZURE_CLIENT_SECRET"}
    assert len(everything().outputs["secret"]) > 25
    assert "hunter2" not in str(everything().outputs["facts"])
    for item in everything().resources:
        if item.type != "temporalazure:keyvault:Secret":
            assert "hunter2" not in str(item.inputs), item.urn


# Who is meant


@dataclass(frozen=True)
class Named:
    kind: str
    name: str


def look_up(named: Mapping[str, Sequence[Named]], azure: Azure | None = None) -> Declared:
    def program() -> dict[str, Any]:
        found = Directory(TENANT, {}).look_up(named)
        return {f"{kind} {name}": [who.object_id, who.client_id] for (kind, name), who in found.items()}

    return declare(program, azure or Azure(directory=DIRECTORY))


@pytest.mark.parametrize(
    ("kind", "name", "who"),
    [
        ("user", "ada@contoso.example", ADA),
        ("user", "Ada@Contoso.Example", ADA),
        ("user", "ada.lovelace@contoso.example", ADA),
        ("user", ADA.object_id, ADA),
        ("user", "grace@partner.example", GRACE),
        ("user", "grace_partner.example#EXT#@contoso.example", GRACE),
        ("group", "Temporal Operators", OPERATORS),
        ("group", OPERATORS.object_id, OPERATORS),
        ("group", TWINS[1].object_id, TWINS[1]),
        ("servicePrincipal", "orders-identity", ORDERS),
        ("servicePrincipal", ORDERS.object_id, ORDERS),
        ("servicePrincipal", ORDERS.client_id.upper(), ORDERS),
    ],
)
def test_a_principal_is_found_by_what_is_its_own(kind: str, name: str, who: Somebody) -> None:
    """A role is given to nobody, or to a namesake."""
    assert look_up({"signOn.owners": [Named(kind, name)]}).outputs == {f"{kind} {name}": [who.object_id, who.client_id]}


def test_who_is_named_in_many_places_is_asked_for_once() -> None:
    """Each question is a call to Microsoft Graph, which throttles."""
    named = {f"signOn.roles.default:{role}": [Named("group", "Temporal Operators")] for role in ("read", "write")}
    assert len(look_up(named).asked) == 1


MISSING: dict[str, tuple[Named, str, str]] = {
    "user by name": (
        Named("user", "eve@contoso.example"),
        "there is none",
        "az ad user show --id eve@contoso.example.",
    ),
    "user by the name of nobody's mail": (Named("user", "x@partner.example"), "there is none", "Check the name"),
    "user by the id of a group": (Named("user", OPERATORS.object_id), "there is none", OPERATORS.object_id),
    "group by a user's name": (
        Named("group", "Ada Lovelace"),
        "there is none",
        "az ad group list --display-name 'Ada Lovelace'.",
    ),
    "group of a name that two have": (Named("group", "Twins"), "there are several of that name", "by its object id"),
    "application of a name that two have": (
        Named("servicePrincipal", "Twins"),
        "there are several of that name",
        "az ad sp list --display-name Twins.",
    ),
    "application by an id that is nobody's": (Named("servicePrincipal", TENANT), "there is none", "az ad sp list"),
}


@pytest.mark.parametrize("case", MISSING)
def test_who_is_not_found_is_told_with_place_and_fix(case: str) -> None:
    """Entra ID's own error names neither the setting nor a way out."""
    named, what, fix = MISSING[case]
    with pytest.raises(pulumi.RunError) as caught:
        look_up({"signOn.roles.default:read": [Named("user", ADA.mail), named]})
    message = str(caught.value)
    assert message.startswith("One principal was not found in Entra ID.")
    assert f"signOn.roles.default:read: {named.kind} {named.name!r}: {what} in tenant {TENANT}." in message
    assert fix in message
    assert ADA.mail not in message


def test_all_who_are_not_found_are_told_at_once_before_anything_is_declared() -> None:
    """The second mistake shows only after the first is mended, and the vaults are there already."""
    described = policy(
        "orders",
        roles={
            "default:read": [{"user": "eve@contoso.example"}, {"group": "Twins"}],
            "default:admin": [{"group": "x"}],
        },
        owners=[{"servicePrincipal": "nobody"}],
        workers={"orders": {"managedIdentity": "gone"}},
    )
    azure = Azure(directory=DIRECTORY)
    with pytest.raises(pulumi.RunError) as caught:
        sign_on(described, azure=azure)
    message = str(caught.value)
    assert message.startswith("5 principals were not found in Entra ID.")
    assert "nothing was created or changed" in message
    for place in (
        "signOn.roles.default:read: user 'eve@contoso.example'",
        "signOn.roles.default:read: group 'Twins'",
        "signOn.roles.default:admin: group 'x'",
        "signOn.owners: servicePrincipal 'nobody'",
        "signOn.workers.orders.managedIdentity: servicePrincipal 'gone'",
    ):
        assert place in message


TWICE: dict[str, tuple[dict[str, Any], str]] = {
    "a person by two names": (
        {"roles": {"default:read": [{"user": ADA.user_principal_name}, {"user": ADA.mail}]}},
        f"signOn.roles.default:read: {ADA.object_id} is named more than once for default:read.",
    ),
    "an identity as a worker's, and by its name": (
        {
            "roles": {"default:write": [{"servicePrincipal": ORDERS.client_id}]},
            "workers": {"a": {"managedIdentity": "orders-identity"}},
        },
        f"signOn.roles.default:write and signOn.workers.a.managedIdentity: {ORDERS.object_id} is named more than once",
    ),
    "an identity of two workers": (
        {"workers": {"a": {"managedIdentity": ORDERS.object_id}, "b": {"managedIdentity": "orders-identity"}}},
        "signOn.workers.a.managedIdentity and signOn.workers.b.managedIdentity: ",
    ),
}


@pytest.mark.parametrize("case", TWICE)
def test_a_role_that_somebody_would_have_twice_is_refused(case: str) -> None:
    """Entra ID refuses the second assignment, with half of the rest made."""
    settings, told = TWICE[case]
    with pytest.raises(pulumi.RunError) as caught:
        sign_on(policy("a", "b", **settings))
    assert told in str(caught.value)
    assert "nothing was created or changed" in str(caught.value).lower()


def test_one_identity_may_have_roles_of_many_places() -> None:
    """The passing twin of the above: another role each."""
    settings: dict[str, Any] = {
        "roles": {"default:read": [{"servicePrincipal": ORDERS.client_id}], "default:admin": [{"user": ADA.mail}]},
        "workers": {
            "a": {"managedIdentity": ORDERS.object_id},
            "b": {"managedIdentity": "orders-identity", "roles": ["orders:write"]},
        },
    }
    assert len(assigned(sign_on(policy("a", "b", **settings)))) == 4


def test_an_unanswered_question_is_told_with_the_permission_that_it_takes() -> None:
    """The provider's own error is of Graph's: insufficient privileges, to do what nobody knows."""
    refused = Azure(refusal="Authorization_RequestDenied: Insufficient privileges.")
    with pytest.raises(pulumi.RunError, match=r"Insufficient privileges\. .*Directory\.Read\.All") as caught:
        look_up({"signOn.owners": [Named("user", ADA.mail)]}, refused)
    assert "invocation of" not in str(caught.value)
    with pytest.raises(pulumi.RunError, match="Insufficient privileges"):
        declare(lambda: Directory(TENANT, {}).caller(), refused)


# Permissions


READING = {
    "signOn": ("Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"),
    "signOn.roles and signOn.workers, to find who is meant": ("Directory.Read.All",),
}
GIVING = {"signOn.roles and signOn.workers": ("AppRoleAssignment.ReadWrite.All",)}
CONSENTING = {"signOn.adminConsent": ("DelegatedPermissionGrant.ReadWrite.All",)}
PERMISSION_NAMES: dict[str, tuple[SignOnSettings, dict[str, tuple[str, ...]]]] = {
    "a stack that sets nothing": (policy(), READING | GIVING | CONSENTING),
    "consent by hand": (policy(adminConsent=False), READING | GIVING),
    "nobody to give a role to": (replace(policy(), workers={}), READING | CONSENTING),
    "people alone": (replace(EVERYTHING, workers={}), READING | GIVING | CONSENTING),
}


@pytest.mark.parametrize("case", PERMISSION_NAMES)
def test_each_setting_asks_for_the_permissions_that_it_needs(case: str) -> None:
    """`up` would fail half-way, or somebody be asked for rights that nothing needs."""
    described, expected = PERMISSION_NAMES[case]
    needed = needed_permissions(described)
    assert {item.needed_for: tuple(item.names) for item in needed} == expected
    assert {name for item in needed for name in item.names} <= PERMISSIONS.keys()


def asked_permissions(*, preview: bool = False, **directory: Any) -> list[tuple[str, dict[str, Any]]]:
    """What the provider is asked about the caller's rights in the directory."""

    def program() -> dict[str, Any]:
        options = pulumi.InvokeOptions(provider=KeyVaultProvider("temporalazure", {}))
        require_permissions(policy(), Directory(TENANT, **({"settings": {}} | directory)), options)
        return {}

    return declare(program, preview=preview).asked


def test_another_identity_s_permissions_are_not_asked_for() -> None:
    """A run is refused for what somebody lacks who does not do the work."""
    assert asked_permissions(settings={"client_id": TENANT}) == []
    assert asked_permissions(settings={"client_id": TENANT}, azure_client_id=TENANT) != []


@pytest.mark.parametrize("preview", [True, False])
def test_a_preview_needs_no_right_to_write(preview: bool) -> None:
    """Whoever may only look could not preview."""
    asked = asked_permissions(preview=preview)
    needed = [{"names": list(item.names), "neededFor": item.needed_for} for item in needed_permissions(policy())]
    expected = ("temporalazure:index:checkDirectoryAccess", {"permissions": needed, "tenantId": TENANT})
    assert asked == ([] if preview else [expected])


def test_a_missing_permission_stops_everything() -> None:
    def program() -> dict[str, Any]:
        require_permissions(policy(), Directory(TENANT, {}), pulumi.InvokeOptions())
        return {}

    with pytest.raises(pulumi.RunError, match=r"^It lacks Application\.ReadWrite\.OwnedBy\.$"):
        declare(program, Azure(refusal="It lacks Application.ReadWrite.OwnedBy."))
