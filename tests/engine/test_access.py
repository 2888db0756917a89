"""Who is named may do what their role says, on exactly what needs it; and nobody else may."""

from collections.abc import Callable

import pytest

from localazure.client import LocalAzure
from tests.engine.stacks import Hand, ProgramStack, Watch

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("access")]

OFFICER, CRYPTO, READER = "Key Vault Certificates Officer", "Key Vault Crypto User", "Key Vault Secrets User"
ROLES = {
    "a4417e6f-fecd-4de8-b567-7b0420556985": OFFICER,
    "12338af0-0e69-4776-bea7-57ae8d297424": CRYPTO,
    "4633458b-17de-408a-b874-0445c86b69e6": READER,
}

Assignment = tuple[str, str, str]
"""A principal's name, a role's name, and the place: a vault's purpose, with the path in the vault."""


def principal(azure: LocalAzure, name: str) -> dict[str, str]:
    """An entry of `access`."""
    known = azure.identities[name]
    return {"id": known["objectId"], "kind": known["kind"]}


def assignments(stack: ProgramStack, hand: Hand) -> set[Assignment]:
    """Who holds which role on a vault of the stack, or on something in it: those that are inherited left out."""
    names = {known["objectId"]: name for name, known in stack.azure.identities.items()}
    found = set()
    for purpose, vault in stack.outputs()["keyVaults"].items():
        for each in hand.sdk.authorization().role_assignments.list_for_scope(vault["id"]):
            if each.scope.lower().lstrip("/").startswith(vault["id"].lower().lstrip("/")):
                place = purpose + each.scope.strip("/")[len(vault["id"].strip("/")) :]
                found.add((names[each.principal_id], ROLES[each.role_definition_id.rpartition("/")[2]], place))
    return found


def deploying(name: str) -> set[Assignment]:
    """What a deployer holds."""
    return {(name, OFFICER, "authorities"), (name, CRYPTO, "authorities"), (name, OFFICER, "leaves")}


def test_named_principals_of_each_kind_get_exactly_their_roles(
    new_stack: Callable[[], ProgramStack], azure: LocalAzure, hand: Hand
) -> None:
    """Prevents a role on more than it is needed for, and a group or a user that is taken for a service principal."""
    azure.create_identity("issuers", "Group")
    azure.create_identity("operators", "Group")
    azure.create_identity("maria", "User")
    azure.create_identity("issuer-in-group", member_of=("issuers",))
    hand.assign("issuer-in-group", "Owner", f"/subscriptions/{azure.subscription_id}")
    stack = new_stack()
    named = {name: principal(azure, name) for name in ("issuers", "maria", "deployer2", "operators", "reader-worker")}
    readers = {"*": [named["operators"]], "default": [named["reader-worker"], named["maria"]]}
    stack.set(access={"deployers": [named["issuers"], named["maria"], named["deployer2"]], "readers": readers})
    stack.run("up", identity="issuer-in-group").check()
    reading = {
        ("operators", READER, "leaves"),
        ("reader-worker", READER, "leaves/secrets/default"),
        ("maria", READER, "leaves/secrets/default"),
    }
    assert assignments(stack, hand) == deploying("issuers") | deploying("maria") | deploying("deployer2") | reading

    readers["default"].remove(named["maria"])
    stack.set(access={"deployers": [named["issuers"], named["deployer2"]], "readers": readers})
    assert stack.run("up", identity="deployer2").check().others("delete") == {
        f"{name}-{named['maria']['id']}"
        for name in (
            "authorities-certificates-officer",
            "authorities-crypto-user",
            "leaves-certificates-officer",
            "default-secrets-user",
        )
    }
    assert assignments(stack, hand) == deploying("issuers") | deploying("deployer2") | reading - {
        ("maria", READER, "leaves/secrets/default")
    }


def test_first_caller_stays_until_somebody_is_named(
    new_stack: Callable[[], ProgramStack], azure: LocalAzure, hand: Hand
) -> None:
    """Prevents that who runs `up` next takes the roles over, and a first caller that is in its own way once named."""
    stack = new_stack()
    stack.run("up").check()
    first = deploying("deployer") | {("deployer", READER, "leaves")}
    assert assignments(stack, hand) == first
    assert stack.run("up", identity="deployer2").check().changes.keys() == {"same"}
    assert assignments(stack, hand) == first

    everybody = [principal(azure, name) for name in ("deployer", "deployer2")]
    stack.set(access={"deployers": everybody, "readers": {"*": [principal(azure, "deployer")]}})
    preview = stack.run("preview").check()
    assert stack.run("up").check().steps == preview.steps
    assert assignments(stack, hand) == first | deploying("deployer2")
    stack.set(certificates={"default": {}, "orders": {}})
    stack.run("up", identity="deployer2").check()
    stack.set(access=None)
    stack.run("up", identity="deployer2").check()
    assert assignments(stack, hand) == deploying("deployer2") | {("deployer2", READER, "leaves")}


def test_roles_that_are_not_managed_are_checked_and_never_written(
    new_stack: Callable[[], ProgramStack], azure: LocalAzure, hand: Hand
) -> None:
    """Prevents a run that fails in its midst for want of a role, and one that assigns what it was told not to."""
    azure.create_identity("issuers-2", "Group")
    azure.create_identity("issuer-2", member_of=("issuers-2",))
    stack = new_stack()
    deployers = [principal(azure, name) for name in ("deployer", "issuer-2")]
    stack.set(access={"manage": False, "deployers": deployers})
    watch = Watch(azure)
    up = stack.run("up").refused()
    group = f"/subscriptions/{azure.subscription_id}/resourceGroups/{stack.project_name}-{stack.name}"
    assert f"{deployers[0]['id']} (access.deployers) has no role {OFFICER}" in up.shown
    assert "nothing was changed" in up.shown
    assert f"az role assignment create --assignee-object-id {deployers[0]['id']}" in up.shown
    assert f'--role "{OFFICER}" --scope {group}/providers/Microsoft.KeyVault/vaults/temporal-' in up.shown
    assert watch.writes("vault") == []

    for role in (OFFICER, CRYPTO):
        hand.assign("deployer", role, group)
        hand.assign("issuers-2", role, group)
    watch = Watch(azure)
    stack.run("up").check()
    assert watch.writes("vault")
    assert watch.writes("arm") == []
    assert stack.run("preview", identity="nobody").check().changes.keys() == {"same"}
