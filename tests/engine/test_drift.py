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


def by_hand(name: str, **changes: Any) -> CertificatePolicy:
    """What somebody makes in the portal: self-signed, its key exportable."""
    defaults = {"key_type": KeyType.ec, "key_curve_name": KeyCurveName.p_256, "validity_in_months": 1}
    return CertificatePolicy("Self", subject=f"CN={name}", content_type="application/x-pem-file", **(defaults | changes))


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
    return Drifted(
        stack=stack, before=before, foreign=version_of(foreign), refresh=refresh, refreshed=stack.facts()
    )


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
    assert stack.run("refresh", identity="previewer").check().certificates("delete") == before["certificates"].keys() - {
        "internode-1",
        "clients-1",
    }
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
    """A stack that asks for a certificate that somebody has made under the same name; its first `up` was refused."""

    stack: ProgramStack
    identifier: str
    version: str
    refused: Run


@pytest.fixture(scope="module")
def foreign(new_stack: Callable[[], ProgramStack], hand: Hand) -> Foreign:
    stack = new_stack()
    stack.run("up").check()
    vault = stack.vault("leaves")["uri"]
    made = hand.create(vault, "orders", by_hand("orders"))
    stack.set(certificates={"default": {}, "orders": {}})
    return Foreign(
        stack=stack,
        identifier=f"{vault}certificates/orders",
        version=version_of(made),
        refused=stack.run("up").refused(),
    )


@pytest.mark.parametrize(
    ("identifier", "reason"),
    [
        ("{vault}certificates/missing", "there is no such certificate"),
        ("{vault}secrets/orders", "is not of the form https://VAULT/certificates/NAME"),
    ],
)
def test_what_is_not_there_is_not_imported(foreign: Foreign, identifier: str, reason: str) -> None:
    """Prevents a phantom in the state, which the next destroy would look for."""
    stack = foreign.stack
    before = urns(stack)
    given = identifier.format(vault=stack.vault("leaves")["uri"])
    run = stack.run("import", CERTIFICATE, "orders", given).refused()
    assert f"{given} cannot be imported: " in run.shown
    assert reason in run.shown
    assert "The state was not changed." in run.shown
    assert urns(stack) == before


def test_import_as_the_message_says_makes_a_foreign_certificate_ours(foreign: Foreign, azure: LocalAzure) -> None:
    """Prevents a way out that leads nowhere: `up` issues its own version over what was imported."""
    stack = foreign.stack
    said = foreign.refused.said_of("orders")
    command = said[said.index("`pulumi import") : said.index("`, with the URNs")].strip("`")
    component, provider = stack.component_urn("orders"), stack.urn("pulumi:providers:temporalazure::temporalazure")
    command = command.replace("parent=URN", f"parent={component}").replace("provider=URN", f"provider={provider}")
    _, operation, *arguments = command.split()
    assert arguments[:3] == [CERTIFICATE, "orders", foreign.identifier]
    watch = Watch(azure)
    assert stack.run(operation, *arguments).check().certificates("import") == {"orders"}
    assert watch.writes() == []

    preview = stack.run("preview").check()
    assert preview.certificates("update") == {"orders"}
    assert stack.run("up").check().steps == preview.steps
    facts = stack.facts()
    loaded(facts["orders"]).verify_directly_issued_by(loaded(facts["clients-1"]))
    assert versions(stored(azure, stack.vault("leaves")["name"])["orders"]) == [foreign.version, version(facts["orders"])]
    assert stack.run("up").check().changes.keys() == {"same"}


def urns(stack: ProgramStack) -> set[str]:
    return {resource["urn"] for resource in stack.export()["deployment"]["resources"]}


def version(facts: dict[str, Any]) -> str:
    return str(facts["certificateId"].rpartition("/")[2])
