"""How role assignments are evaluated, without a process."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from localazure.access import (
    ROLE_ASSIGNMENTS,
    ROLES,
    Principal,
    Propagation,
    assignment_key,
    permits,
    permits_data,
    role_named,
)
from localazure.store import Store

SUBSCRIPTION = "/subscriptions/s"
VAULT = f"{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v"
GET_SECRET = "Microsoft.KeyVault/vaults/secrets/getSecret/action"
SIGN = "Microsoft.KeyVault/vaults/keys/sign/action"
ASSIGN = "Microsoft.Authorization/roleAssignments/write"
AT_ONCE = Propagation()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "state.sqlite3")) as store:
        yield store


def caller(*, groups: tuple[str, ...] = (), issued_at: int = 0) -> Principal:
    return Principal("ui", "o", "c", "t", "https://issuer/", issued_at, groups)


def assign(store: Store, role: str, scope: str, *, principal: str = "o", at: float = 0) -> None:
    store.put(
        ROLE_ASSIGNMENTS,
        assignment_key(principal, scope, role),
        {
            "principalId": principal,
            "scope": scope,
            "roleDefinitionId": f"{SUBSCRIPTION}/providers/x/{role_named(role).id}",
            "assignedAt": at,
        },
    )


def reads_secret(store: Store, scope: str, who: Principal | None = None, *, now: float = 100) -> bool:
    return permits_data(store, who or caller(), scope, GET_SECRET, now=now, propagation=AT_ONCE)


@pytest.mark.parametrize(
    ("assigned", "allowed", "refused"),
    [
        (SUBSCRIPTION, f"{VAULT}/secrets/ui", "/subscriptions/other/resourceGroups/g"),
        (f"{SUBSCRIPTION}/resourceGroups/g", VAULT, f"{SUBSCRIPTION}/resourceGroups/g2"),
        (VAULT, f"{VAULT}/secrets/ui", f"{VAULT}2/secrets/ui"),
        (f"{VAULT}/secrets/ui", f"{VAULT.upper()}/secrets/UI", f"{VAULT}/secrets/ui2"),
        (f"{VAULT}/secrets/ui", f"{VAULT}/secrets/ui", VAULT),
    ],
)
def test_an_assignment_reaches_its_scope_and_below_and_nothing_beside(
    store: Store, assigned: str, allowed: str, refused: str
) -> None:
    """A prefix taken for a scope would let one consumer read its neighbour's key."""
    assign(store, "Key Vault Secrets User", assigned)
    assert reads_secret(store, allowed)
    assert not reads_secret(store, refused)


def test_a_group_gives_its_roles_to_its_members_only(store: Store) -> None:
    """Readers and deployers may be groups."""
    assign(store, "Key Vault Secrets User", VAULT, principal="g1")
    assert reads_secret(store, VAULT, caller(groups=("g0", "g1")))
    assert not reads_secret(store, VAULT, caller(groups=("g0",)))


def test_contributor_may_write_resources_but_not_assign_roles(store: Store) -> None:
    """Without notActions the program would never meet the refusal that Contributors meet on Azure."""
    assign(store, "Contributor", SUBSCRIPTION)
    assert permits(store, caller(), VAULT, "Microsoft.KeyVault/vaults/write")
    assert not permits(store, caller(), VAULT, ASSIGN)
    assign(store, "Role Based Access Control Administrator", SUBSCRIPTION)
    assert permits(store, caller(), VAULT, ASSIGN)


def test_management_rights_are_no_data_rights(store: Store) -> None:
    """An Owner reads no secret until a data role is assigned."""
    assign(store, "Owner", SUBSCRIPTION)
    assert not reads_secret(store, VAULT)


@pytest.mark.parametrize(
    ("role", "allowed", "refused"),
    [
        ("Key Vault Certificates Officer", "Microsoft.KeyVault/vaults/certificates/create/action", SIGN),
        ("Key Vault Crypto User", SIGN, "Microsoft.KeyVault/vaults/keys/delete"),
        ("Key Vault Crypto Officer", "Microsoft.KeyVault/vaults/keys/delete", GET_SECRET),
        ("Key Vault Reader", "Microsoft.KeyVault/vaults/certificates/read", GET_SECRET),
        ("Key Vault Secrets User", GET_SECRET, "Microsoft.KeyVault/vaults/secrets/setSecret/action"),
        ("Key Vault Secrets Officer", "Microsoft.KeyVault/vaults/secrets/setSecret/action", SIGN),
        ("Key Vault Certificate User", GET_SECRET, SIGN),
        ("Key Vault Administrator", SIGN, "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"),
    ],
)
def test_each_data_role_has_what_azure_gives_it_and_no_more(
    store: Store, role: str, allowed: str, refused: str
) -> None:
    """A role that can more here than on Azure hides a missing assignment until production."""
    assign(store, role, VAULT)
    assert permits_data(store, caller(), VAULT, allowed, now=1, propagation=AT_ONCE)
    assert not permits_data(store, caller(), VAULT, refused, now=1, propagation=AT_ONCE)


def test_an_assignment_waits_for_propagation_and_longer_for_an_older_token(store: Store) -> None:
    """The program must take a fresh token when it retries: an old one stays refused for longer."""
    assign(store, "Key Vault Secrets User", VAULT, at=100.5)
    slow = Propagation(seconds=10, stale_token_seconds=50)

    def allowed(issued_at: int, now: float) -> bool:
        return permits_data(store, caller(issued_at=issued_at), VAULT, GET_SECRET, now=now, propagation=slow)

    assert not allowed(issued_at=100, now=110)
    assert allowed(issued_at=100, now=110.5)
    assert not allowed(issued_at=99, now=160)
    assert allowed(issued_at=99, now=160.5)


def test_roles_have_distinct_ids_and_names() -> None:
    """A pasted row with the old id would shadow the role it was pasted from."""
    assert len({role.id for role in ROLES}) == len({role.name for role in ROLES}) == len(ROLES)
