"""The directory that a state directory begins with, and what one from before the people and Graph becomes."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from localazure import identities
from localazure.client import LocalAzure
from localazure.entra import directory
from localazure.store import Store


def test_the_file_of_identities_says_how_everyone_signs_in(azure: LocalAzure) -> None:
    """Tests and tools take names and secrets from nowhere else."""
    known = azure.identities
    assert known["ada"].keys() == {"tenantId", "objectId", "kind", "userPrincipalName", "mail", "password"}
    assert known["guest"]["mail"] == "grace@partner.example"
    assert known["Temporal Readers"].keys() == {"tenantId", "objectId", "kind"}
    assert known["deployer"].keys() == {"tenantId", "objectId", "kind", "clientId", "clientSecret"}
    assert known["stranger"].keys() == known["deployer"].keys()
    assert len({each["password"] for each in known.values() if each["kind"] == "User"}) >= 4
    assert "Microsoft Graph" not in known


def test_an_identity_of_any_kind_can_be_made(azure: LocalAzure) -> None:
    """A user without a name to sign in with is no user."""
    azure.create_identity("zoe", "User")
    azure.create_identity("testers", "Group")
    assert azure.identities["zoe"]["userPrincipalName"] == "zoe@contoso.example"
    assert azure.identities["testers"]["tenantId"] == azure.tenant_id
    stored = azure.create_identity("zoe", "User", member_of=("testers",))
    assert azure.identities["zoe"]["objectId"] == stored


def test_an_older_state_directory_gets_what_it_lacks_and_keeps_what_it_has(tmp_path: Path) -> None:
    """`make up` on yesterday's folder must not need a new one."""
    tenant_id, other_tenant_id = str(uuid4()), str(uuid4())
    store = Store(tmp_path / "store")
    old = {"name": "deployer", "kind": "ServicePrincipal", "objectId": str(uuid4()), "memberOf": []}
    old |= {"clientId": str(uuid4()), "clientSecret": "kept", "federatedCredentials": []}
    store.put(directory.PRINCIPALS, str(old["objectId"]), old)
    for _ in range(2):
        identities.seed(store, tenant_id, other_tenant_id, str(uuid4()))
        identities.write(store, tmp_path / "identities.json")
    known = json.loads((tmp_path / "identities.json").read_text())
    assert (known["deployer"]["clientSecret"], known["deployer"]["tenantId"]) == ("kept", tenant_id)
    assert known["stranger"]["tenantId"] == other_tenant_id
    everyone = directory.principals(store)
    assert len({each["objectId"] for each in everyone}) == len({(each["tenantId"], each["name"]) for each in everyone})
    deployer = directory.by_name(store, "deployer")
    assert deployer is not None
    assert "Application.ReadWrite.OwnedBy" in deployer["graphRoles"]
    store.close()


@pytest.mark.parametrize("tenant", ["main", "other"])
def test_a_client_id_is_looked_for_in_its_tenant(tmp_path: Path, tenant: str) -> None:
    """The stranger's application must not be found by whoever asks in the main tenant."""
    tenant_ids = {"main": str(uuid4()), "other": str(uuid4())}
    store = Store(tmp_path / "store")
    identities.seed(store, tenant_ids["main"], tenant_ids["other"], str(uuid4()))
    stranger = directory.by_name(store, "stranger")
    assert stranger is not None
    found = directory.by_client_id(store, stranger["clientId"], tenant_ids[tenant])
    assert (found is not None) == (tenant == "other")
    assert directory.by_client_id(store, stranger["clientId"]) == stranger
    store.close()
