"""What somebody does by hand is seen by refresh, shown by preview with its reason, and put right by `up`; what belongs
in the state is imported.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from azure.keyvault.certificates import CertificatePolicy, KeyCurveName, KeyType

from localazure.client import LocalAzure
from tests.engine.localazure.vault_clients import version_of
from tests.engine.stacks import CERTIFICATE, Hand, ProgramStack, Run, Watch, loaded, stored, versions

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("drift")]

WORKERS: dict[str, Any] = {"lost": {}, "purged": {}, "foreign": {}, "kept": {}}
SETTINGS = {"certificates": WORKERS, "vaults": {"purgeProtection": False, "softDeleteRetentionDays": 7}}


def by_hand(name: str) -> CertificatePolicy:
    """What somebody makes in the portal: self-signed, its key exportable."""
    return CertificatePolicy(
        "Self",
        subject=f"CN={name}",
        key_type=KeyType.ec,
        key_curve_name=KeyCurveName.p_256,
        validity_in_months=1,
        content_type="application/x-pem-file",
    )


@dataclass(frozen=True, kw_only=True)
class Drifted:
    """A stack after somebody has been at its vaults, with what the outputs said before."""

    stack: ProgramStack
    before: dict[str, dict[str, Any]]
    foreign: str
    refresh: Run
    refreshed: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def drifted(new_stack: Callable[[], ProgramStack], hand: Hand, azure: LocalAzure) -> Drifted:
    stack = new_stack()
    stack.set(**SETTINGS)
    stack.run("up").check()
    vault, before = stack.vault("leaves")["uri"], stack.facts()
    client = hand.certificates(vault)
    for name in ("lost", "purged"):
        client.begin_delete_certificate(name, _polling_interval=0).wait()
    client.purge_deleted_certificate("purged")
    foreign = hand.create(vault, "foreign", by_hand("somebody"))
    watch = Watch(azure)
    refresh = stack.run("refresh", identity="previewer").check()
    assert watch.writes() == []
    return Drifted(stack=stack, before=before, foreign=version_of(foreign), refresh=refresh, refreshed=stack.facts())


def test_refresh_sees_deletion_and_foreign_versions(drifted: Drifted) -> None:
    """Prevents a state that goes on about what is no longer there."""
    assert drifted.refresh.certificates("delete") == {"lost", "purged"}
    assert drifted.refresh.certificates("update") == {"foreign"}
    resources = drifted.stack.export()["deployment"]["resources"]
    (state,) = (each["outputs"] for each in resources if each["urn"] == drifted.stack.leaf_urn("foreign"))
    assert state["version"] == drifted.foreign
    assert state["subject"] == "CN=somebody"
    assert state["notAfter"] < drifted.before["foreign"]["notAfter"]


def test_preview_says_what_is_wrong_and_up_puts_it_right(drifted: Drifted, azure: LocalAzure) -> None:
    """Prevents that a deleted key is lost while it could be recovered, and that a foreign certificate is served."""
    stack, before = drifted.stack, drifted.before
    preview = stack.run("preview", identity="nobody").check()
    assert preview.certificates("create") == {"lost", "purged"}
    assert preview.certificates("update") == {"foreign"}
    assert "its subject is CN=somebody" in preview.said_of("foreign")
    assert "it was not issued by CN=" in preview.said_of("foreign")

    up = stack.run("up").check()
    assert up.steps == preview.steps
    after = stack.facts()
    assert "Recovering the certificate" in up.said_of("lost")
    assert after["lost"]["certificateId"] == before["lost"]["certificateId"]
    assert loaded(after["purged"]).public_key() != loaded(before["purged"]).public_key()
    assert after["foreign"]["subject"] == before["foreign"]["subject"]
    of_foreign = versions(stored(azure, stack.vault("leaves")["name"])["foreign"])
    assert of_foreign == [version(before["foreign"]), drifted.foreign, version(after["foreign"])]
    unharmed = before.keys() - {"lost", "purged", "foreign"}
    assert {name: after[name] for name in unharmed} == {name: before[name] for name in unharmed}

    watch = Watch(azure)
    assert stack.run("refresh").check().changes.keys() == {"same"}
    assert stack.run("preview").check().changes.keys() == {"same"}
    assert watch.writes() == []


def test_deleted_vault_comes_back_with_all_that_was_in_it(drifted: Drifted, hand: Hand, azure: LocalAzure) -> None:
    """Prevents a refresh that fails because a vault that is gone does not answer, and keys that are made anew."""
    stack = drifted.stack
    stack.run("up").check()
    before, vault = stack.outputs(), stack.vault("leaves")
    group = vault["id"].split("/")[4]
    hand.sdk.vaults().vaults.delete(group, vault["name"])
    refresh = stack.run("refresh", identity="previewer").check()
    assert refresh.certificates("delete") == before["certificates"].keys() - {"internode-1", "clients-1"}
    preview = stack.run("preview", identity="nobody").check()
    watch = Watch(azure)
    assert stack.run("up").check().steps == preview.steps
    assert watch.writes("vault") == []
    assert stack.outputs() == before


def test_version_that_somebody_adds_to_an_authority_is_not_used(
    new_stack: Callable[[], ProgramStack], hand: Hand, azure: LocalAzure
) -> None:
    """Prevents an authority whose key somebody has a copy of, and one that is replaced because of a click."""
    stack = new_stack()
    stack.run("up").check()
    before, vault = stack.facts(), stack.vault("authorities")
    made = version_of(hand.create(vault["uri"], "clients-1", by_hand("somebody")))
    refresh = stack.run("refresh").check()
    assert refresh.changes.keys() == {"same"}
    assert f"Somebody made the version {made} of this authority. It is not used" in refresh.said_of("clients-1")
    stack.set(certificates={"default": {}, "late": {}})
    assert stack.run("up").check().certificates("create") == {"late"}
    assert stack.facts()["clients-1"] == before["clients-1"]
    loaded(stack.facts()["late"]).verify_directly_issued_by(loaded(before["clients-1"]))

    authorities = {name: {"keyType": "EC-P256"} for name in ("internode", "clients")}
    authorities["clients"] |= {"validityDays": 3650}  # type: ignore[dict-item]
    stack.set(certificateAuthorities=authorities)
    watch = Watch(azure)
    up = stack.run("up").refused()
    assert "its newest version was made by somebody else" in up.said_of("clients-1")
    assert watch.writes("vault") == watch.signatures() == []
    assert versions(stored(azure, vault["name"])["clients-1"])[-1] == made


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A stack that asks for a leaf and an authority of names that somebody has taken; its `up` was refused."""

    stack: ProgramStack
    made: dict[str, str]
    refused: Run


@pytest.fixture(scope="module")
def foreign(new_stack: Callable[[], ProgramStack], hand: Hand) -> Foreign:
    stack = new_stack()
    stack.run("up").check()
    leaf = hand.create(stack.vault("leaves")["uri"], "orders", by_hand("orders"))
    authority = hand.create(stack.vault("authorities")["uri"], "edge-1", by_hand("edge"))
    ec = {"keyType": "EC-P256"}
    stack.set(
        certificates={"default": {}, "orders": {}},
        certificateAuthorities={"internode": ec, "clients": ec, "edge": ec},
    )
    return Foreign(
        stack=stack,
        made={"orders": version_of(leaf), "edge-1": version_of(authority)},
        refused=stack.run("up", "--continue-on-error").refused(),
    )


def test_what_is_not_there_is_not_imported(foreign: Foreign) -> None:
    """Prevents a phantom in the state, which the next destroy would look for."""
    stack = foreign.stack
    before = certificates(stack)
    missing = f"{stack.vault('leaves')['uri']}certificates/missing"
    run = stack.run("import", CERTIFICATE, "missing", missing).refused()
    assert f"{missing} cannot be imported: there is no such certificate. The state was not changed." in run.shown
    assert certificates(stack) == before


def test_import_as_the_message_says_makes_a_leaf_ours_and_no_authority_that_somebody_has_a_key_of(
    foreign: Foreign, azure: LocalAzure
) -> None:
    """Prevents a way out that leads nowhere: `up` issues its own version over what was imported; but never over a key
    that may have been exported, where that would be an authority's.
    """
    stack = foreign.stack
    watch = Watch(azure)
    for urn, component in ((stack.leaf_urn("orders"), "orders"), (stack.authority_urn("edge-1"), "edge")):
        name = urn.rpartition("::")[2]
        arguments = import_command(foreign.refused.said_of(name))
        parent = f"parent={urn.partition(f'${CERTIFICATE}')[0]}::{component}"
        provider = f"provider={stack.urn('pulumi:providers:temporalazure::temporalazure')}"
        told = {"parent=URN": parent, "provider=URN": provider}
        run = stack.run("import", *(told.get(argument, argument) for argument in arguments)).check()
        assert run.certificates("import") == {name}
    assert watch.writes() == []

    assert stack.run("preview", identity="nobody").check().certificates("update") == {"orders", "edge-1"}
    up = stack.run("up", "--continue-on-error").refused()
    assert up.errors().keys() == {"edge-1"}
    assert "it was made by somebody else, and its key may be exported" in up.said_of("edge-1")
    assert len(watch.signatures()) == 1

    ec = {"keyType": "EC-P256"}
    stack.set(certificateAuthorities={"internode": ec, "clients": ec})
    without = stack.run("up").check()
    assert "was left as it is: it is made by hand or by another program" in without.said_of("edge-1")
    facts = stack.facts()
    loaded(facts["orders"]).verify_directly_issued_by(loaded(facts["clients-1"]))
    kept = {purpose: stored(azure, stack.vault(purpose)["name"]) for purpose in ("authorities", "leaves")}
    assert versions(kept["leaves"]["orders"]) == [foreign.made["orders"], version(facts["orders"])]
    assert versions(kept["authorities"]["edge-1"]) == [foreign.made["edge-1"]]


def import_command(said: str) -> list[str]:
    """The arguments of the command that a message gives."""
    _, _, command = said.partition("`pulumi import ")
    return command.partition("`")[0].split()


def certificates(stack: ProgramStack) -> set[str]:
    resources = stack.export()["deployment"]["resources"]
    return {resource["urn"] for resource in resources if resource["type"] == CERTIFICATE}


def version(facts: dict[str, Any]) -> str:
    return str(facts["certificateId"].rpartition("/")[2])
