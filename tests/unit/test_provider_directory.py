"""Which permissions of Microsoft Graph are missing, as a token tells it, and what is said of that."""

from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from pulumi.provider.experimental.provider import InvokeRequest
from pydantic import ValidationError

from cloud import CloudError, Session
from plugin import PluginError, plain, property_values
from provider.directory import (
    DIRECTORY_ROLES,
    PERMISSIONS,
    DirectoryPermission,
    doubt,
    has_directory_role,
    lacking,
    refusal,
)
from provider.plugin import KeyVaultProvider
from tests.unit.test_provider_plugin import Listener

TENANT = "10000000-0000-0000-0000-000000000001"
CLIENT = "20000000-0000-0000-0000-000000000002"
OBJECT = "40000000-0000-0000-0000-000000000004"
GRAPH = "https://graph.microsoft.com"
APPLICATION: dict[str, Any] = {"aud": GRAPH, "appid": CLIENT, "idtyp": "app", "oid": OBJECT, "tid": TENANT}
PERSON: dict[str, Any] = {
    "aud": GRAPH,
    "idtyp": "user",
    "oid": OBJECT,
    "scp": "Application.ReadWrite.All",
    "tid": TENANT,
    "upn": "ada@contoso.example",
}
DEFAULT_ROLE = "0997a1d0-0d1d-4acb-b408-d5ca73121e90"
"""Entra lists it for every service principal that has a directory role, and for others, too."""

NEEDED = (
    DirectoryPermission(
        names=("Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"), needed_for="signOn: the registration"
    ),
    DirectoryPermission(names=("AppRoleAssignment.ReadWrite.All",), needed_for="signOn.assignments"),
    DirectoryPermission(names=("User.Read.All", "Directory.Read.All"), needed_for="people by name"),
)


# What is missing


@pytest.mark.parametrize(
    ("roles", "missing"),
    [
        (None, [0, 1, 2]),
        ([], [0, 1, 2]),
        (["Application.ReadWrite.OwnedBy"], [1, 2]),
        (["Application.ReadWrite.All", "Directory.Read.All"], [1]),
        (["Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "User.Read.All", "Mail.Read"], []),
        (["application.readwrite.ownedby"], [0, 1, 2]),
    ],
)
def test_any_alternative_is_enough_and_each_need_is_its_own(roles: list[str] | None, missing: list[int]) -> None:
    """Whoever has the greater permission would be told to get the lesser."""
    claims = APPLICATION if roles is None else APPLICATION | {"roles": roles}
    assert lacking(claims, NEEDED) == [NEEDED[index] for index in missing]


@pytest.mark.parametrize("told", [{}, {"wids": None}, {"wids": []}, {"wids": [DEFAULT_ROLE]}])
def test_other_directory_roles_decide_nothing(told: dict[str, Any]) -> None:
    assert not has_directory_role(PERSON | told)


@pytest.mark.parametrize("role", DIRECTORY_ROLES)
def test_a_directory_role_may_manage_applications(role: str) -> None:
    assert has_directory_role(APPLICATION | {"wids": [DEFAULT_ROLE, role]})


@pytest.mark.parametrize("names", [(), ("Application.ReadWrite.Owned",), ("User.Read.All", "user.read.all")])
def test_a_permission_that_does_not_exist_cannot_be_asked_for(names: tuple[str, ...]) -> None:
    """A typing error would be a permission that nobody has, and that no administrator can grant."""
    with pytest.raises(ValidationError):
        DirectoryPermission(names=names, needed_for="signOn")


def test_each_permission_has_an_id_of_its_own() -> None:
    assert len(set(PERMISSIONS.values())) == len(PERMISSIONS)


# What is said


def test_a_refusal_names_all_that_is_missing_who_and_the_fix() -> None:
    """One missing permission after the other, each found by a failing run, is what this is here to spare."""
    message = refusal(APPLICATION, NEEDED[:2])
    assert f"The application {CLIENT} (service principal {OBJECT}), signed in to the tenant {TENANT}" in message
    assert "lacks 2 permissions of Microsoft Graph" in message
    assert "- Application.ReadWrite.OwnedBy or Application.ReadWrite.All, for signOn: the registration\n" in message
    assert "- AppRoleAssignment.ReadWrite.All, for signOn.assignments\n" in message
    assert "nothing was changed" in message
    assert (
        f"az ad app permission add --id {CLIENT} --api 00000003-0000-0000-c000-000000000000 --api-permissions "
        f"18a4783c-866b-4cc7-a460-3d5e5662c884=Role 06b708a9-e830-4db3-a914-8e69da51d44f=Role\n"
        f"az ad app permission admin-consent --id {CLIENT}\n"
    ) in message


def test_two_needs_of_one_permission_are_granted_once() -> None:
    twice = [DirectoryPermission(names=("User.Read.All",), needed_for=words) for words in ("one", "other")]
    assert refusal(APPLICATION, twice).count(PERMISSIONS["User.Read.All"]) == 1


def test_a_managed_identity_is_granted_them_otherwise() -> None:
    """It has no registration: `az ad app` would not find it."""
    message = refusal(APPLICATION | {"xms_mirid": "/subscriptions/s/…/runner", "aud": f"{GRAPH}/"}, NEEDED[:2])
    assert "az ad app" not in message
    assert message.count(f"az rest --method POST --url {GRAPH}/v1.0/servicePrincipals/{OBJECT}/appRoleAss") == 2


def test_a_doubt_names_the_person_and_what_is_needed() -> None:
    message = doubt(PERSON, NEEDED)
    assert message.startswith(
        f"ada@contoso.example, signed in to the tenant {TENANT}, has none of the directory roles "
    )
    assert all(title in message for title in DIRECTORY_ROLES.values())
    assert all(needed.needed_for in message for needed in NEEDED)
    assert doubt({"oid": OBJECT, "tid": TENANT}, NEEDED).startswith(OBJECT)


# What the plugin answers


@pytest.fixture
def listener() -> Listener:
    return Listener()


class SignedIn:
    """A session that is signed in with these claims, or that cannot sign in."""

    authority = "https://login.microsoftonline.com"

    def __init__(self, claims: dict[str, Any] | Exception) -> None:
        self.claims = claims
        self.tenants: list[str | None] = []

    async def directory_claims(self, tenant_id: str | None = None) -> dict[str, Any]:
        self.tenants.append(tenant_id)
        if isinstance(self.claims, Exception):
            raise self.claims
        return self.claims


async def ask(
    monkeypatch: pytest.MonkeyPatch, listener: Listener, session: SignedIn, function: str, **arguments: Any
) -> dict[str, Any]:
    async def open_session(_: object) -> SignedIn:
        return session

    monkeypatch.setattr(Session, "open", open_session)
    provider = KeyVaultProvider(listener)  # type: ignore[arg-type]
    response = await provider.invoke(InvokeRequest(f"temporalazure:index:{function}", property_values(arguments)))
    answer: dict[str, Any] = plain(response.return_value or {})
    return answer


ASKED = [needed.model_dump(mode="json", by_alias=True) for needed in NEEDED]


async def check(monkeypatch: pytest.MonkeyPatch, listener: Listener, claims: dict[str, Any] | Exception) -> None:
    assert await ask(monkeypatch, listener, SignedIn(claims), "checkDirectoryAccess", permissions=ASKED) == {}


ALL = {"roles": ["Application.ReadWrite.OwnedBy", "AppRoleAssignment.ReadWrite.All", "Directory.Read.All"]}
ADMINISTRATOR = {"wids": ["9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"]}


@pytest.mark.parametrize("claims", [APPLICATION | ALL, APPLICATION | ADMINISTRATOR, PERSON | ADMINISTRATOR])
async def test_who_has_enough_hears_nothing(
    monkeypatch: pytest.MonkeyPatch, listener: Listener, claims: dict[str, Any]
) -> None:
    """An application with a directory role has no permission in its token: refused, it could never run."""
    await check(monkeypatch, listener, claims)
    assert listener.said == []


@pytest.mark.parametrize("claims", [PERSON, PERSON | {"wids": [DEFAULT_ROLE]}, PERSON | ALL])
async def test_a_person_is_warned_and_never_refused(
    monkeypatch: pytest.MonkeyPatch, listener: Listener, claims: dict[str, Any]
) -> None:
    """A custom role, or an owner's right, is enough for what is to be done and stands in no token."""
    await check(monkeypatch, listener, claims)
    assert listener.said == [("warning", doubt(claims, NEEDED), "")]


@pytest.mark.parametrize("claims", [APPLICATION, APPLICATION | {"roles": ["User.Read.All"], "wids": [DEFAULT_ROLE]}])
async def test_an_application_is_refused(
    monkeypatch: pytest.MonkeyPatch, listener: Listener, claims: dict[str, Any]
) -> None:
    with pytest.raises(PluginError) as caught:
        await check(monkeypatch, listener, claims)
    assert str(caught.value) == refusal(claims, lacking(claims, NEEDED))
    assert listener.said == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CloudError("Signing in with OIDC needs ARM_TENANT_ID."), "^Signing in with OIDC needs ARM_TENANT_ID.$"),
        (ClientAuthenticationError("AADSTS700016"), "did not answer temporalazure:index:checkDirectoryAccess: AADSTS7"),
    ],
)
async def test_who_cannot_sign_in_is_told(
    monkeypatch: pytest.MonkeyPatch, listener: Listener, error: Exception, words: str
) -> None:
    with pytest.raises(PluginError, match=words):
        await check(monkeypatch, listener, error)


@pytest.mark.parametrize(("function", "arguments"), [("checkDirectoryAccess", {"permissions": []}), ("getCaller", {})])
async def test_another_tenant_is_asked_about(
    monkeypatch: pytest.MonkeyPatch, listener: Listener, function: str, arguments: dict[str, Any]
) -> None:
    """Who is signed in has another object ID in each tenant."""
    session = SignedIn(APPLICATION | {"tid": "another"})
    answer = await ask(monkeypatch, listener, session, function, tenantId="another", **arguments)
    assert session.tenants == ["another"]
    if function == "getCaller":
        assert answer == {
            "objectId": OBJECT,
            "tenantId": "another",
            "kind": "ServicePrincipal",
            "authority": SignedIn.authority,
        }
