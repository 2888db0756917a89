"""What is not this stack's is not touched, what does not fit is not signed; what is its own is found again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from azure.keyvault.certificates import CertificatePolicy, KeyCurveName, KeyType

from localazure.client import LocalAzure
from localazure.store import Document
from tests.engine.stacks import Hand, ProgramStack, Run, Watch, stored, versions

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("conflicts")]

EC = {"keyType": "EC-P256"}
ANOTHER_STACK = {
    "pulumi-project": "temporal-azure",
    "pulumi-stack": "production",
    "pulumi-urn": "urn:pulumi:production::temporal-azure::temporalazure:keyvault:Certificate::another-stacks",
}
NOT_OURS = {
    "by-hand": "exists and is made by hand or by another program",
    "another-stacks": "exists and is made by the stack production of the project temporal-azure",
    "deleted": "was deleted, still holds its name, and is made by hand or by another program",
    "deleted-pending": "was deleted, still holds its name, and is made by hand or by another program",
    "requested-by-hand": "exists and is made by hand or by another program",
}
UNFIT = {
    "another-key": "does not fit its policy: its key is not EC-P256",
    "not-exportable": "does not fit its policy: its key may not be exported",
}
RESUMED = "begun"
AUTHORITY = "edge-1"


def policy(issuer: str, **changes: Any) -> CertificatePolicy:
    defaults = {"key_type": KeyType.ec, "key_curve_name": KeyCurveName.p_256, "exportable": True}
    return CertificatePolicy(
        issuer, subject="CN=somebody", content_type="application/x-pem-file", **(defaults | changes)
    )


@dataclass(frozen=True, kw_only=True)
class Met:
    """An `up` that met what others had made, with what the vaults held before and after."""

    stack: ProgramStack
    up: Run
    signatures: list[str]
    writes: list[str]
    before: Mapping[str, Document]
    after: Mapping[str, Document]


@pytest.fixture(scope="module")
def met(new_stack: Callable[[], ProgramStack], hand: Hand, azure: LocalAzure) -> Met:
    stack = new_stack()
    stack.set(certificates={"default": EC})
    stack.run("up").check()
    leaves, authorities = stack.vault("leaves"), stack.vault("authorities")
    vault, client = leaves["uri"], hand.certificates(leaves["uri"])
    hand.create(vault, "by-hand", policy("Self"))
    hand.create(vault, "another-stacks", policy("Self"), tags=ANOTHER_STACK)
    hand.create(vault, "deleted", policy("Self"))
    hand.request(vault, "deleted-pending", policy("Unknown"))
    for name in ("deleted", "deleted-pending"):
        client.begin_delete_certificate(name, _polling_interval=0).wait()
    hand.request(vault, "requested-by-hand", policy("Unknown"))

    def own(name: str) -> dict[str, str]:
        return stack.owner_tags(stack.leaf_urn(name))

    another = {"key_type": KeyType.rsa, "key_size": 3072, "key_curve_name": None}
    hand.request(vault, "another-key", policy("Unknown", **another), tags=own("another-key"))
    hand.request(vault, "not-exportable", policy("Unknown", exportable=False), tags=own("not-exportable"))
    hand.request(vault, RESUMED, policy("Unknown"), tags=own(RESUMED))
    of_authority = stack.owner_tags(stack.authority_urn(AUTHORITY))
    hand.request(authorities["uri"], AUTHORITY, policy("Unknown", exportable=True), tags=of_authority)

    def held() -> dict[str, Document]:
        deleted = stored(azure, leaves["name"], deleted=True)
        return stored(azure, leaves["name"]) | stored(azure, authorities["name"]) | deleted

    before = held()
    names = ["default", *NOT_OURS, *UNFIT, RESUMED]
    stack.set(
        certificates=dict.fromkeys(names, EC),
        certificateAuthorities={"internode": EC, "clients": EC, AUTHORITY.removesuffix("-1"): EC},
    )
    watch = Watch(azure)
    up = stack.run("up", "--continue-on-error").refused()
    return Met(
        stack=stack, up=up, signatures=watch.signatures(), writes=watch.writes("vault"), before=before, after=held()
    )


@pytest.mark.parametrize("name", NOT_OURS)
def test_what_others_made_is_not_touched_and_the_message_says_what_to_do(met: Met, name: str) -> None:
    """Prevents that a stack takes over, or signs, what belongs to somebody else."""
    said = met.up.said_of(name)
    assert NOT_OURS[name] in said
    assert "It was not touched, and nothing was issued." in said
    identifier = f"{met.stack.vault('leaves')['uri']}certificates/{name}"
    assert f"`pulumi import temporalazure:keyvault:Certificate {name} {identifier} " in said
    assert met.after[name] == met.before[name]
    assert not [write for write in met.writes if f"/{name}/" in write and not write.endswith("/create")]


@pytest.mark.parametrize("name", [*UNFIT, AUTHORITY])
def test_request_that_does_not_fit_is_not_signed(met: Met, name: str) -> None:
    """Prevents a signature under a key of another type, or under an authority's key that somebody can export."""
    said = met.up.said_of(name)
    if name in UNFIT:
        assert UNFIT[name] in said
        assert "It was not signed." in said
        assert f"--name {name}`" in said
    assert name in met.up.errors()
    assert met.after[name]["versions"] == met.before[name]["versions"]
    assert met.after[name]["operation"]["status"] == "inProgress"


def test_only_what_was_begun_is_signed_and_it_goes_on_where_it_was(met: Met) -> None:
    """Prevents an orphaned request: the key that was made is the key that gets the certificate."""
    assert met.up.certificates("create") == {RESUMED}
    assert len(met.signatures) == 1
    assert [write.partition("/certificates/")[2] for write in met.writes if write.endswith("merge")] == [
        f"{RESUMED}/pending/merge"
    ]
    assert versions(met.after[RESUMED]) == versions(met.before[RESUMED])


def test_own_deleted_certificate_is_recovered(new_stack: Callable[[], ProgramStack], azure: LocalAzure) -> None:
    """Prevents a name that stays taken after its certificate was removed for a while."""
    stack = new_stack()
    stack.set(certificates={"default": EC, "orders": EC})
    stack.run("up").check()
    before = stack.facts()["orders"]
    stack.set(certificates={"default": EC})
    assert stack.run("up").check().certificates("delete") == {"orders"}
    assert stored(azure, stack.vault("leaves")["name"], deleted=True).keys() == {"orders"}
    stack.set(certificates={"default": EC, "orders": EC})
    watch = Watch(azure)
    up = stack.run("up").check()
    assert up.certificates("create") == {"orders"}
    assert "Recovering the certificate, which was deleted." in up.said_of("orders")
    assert stack.facts()["orders"] == before
    assert watch.writes("vault") == ["POST /deletedcertificates/orders/recover"]


def test_stack_comes_back_as_it_was_twice(new_stack: Callable[[], ProgramStack], azure: LocalAzure) -> None:
    """Prevents a stack that cannot come back: names stay taken, and purge protection forbids to free them."""
    stack = new_stack()
    stack.set(vaults={"purgeProtection": True, "softDeleteRetentionDays": 7})
    created = stack.run("up").check()
    outputs = stack.outputs()
    vaults = [vault["name"] for vault in outputs["keyVaults"].values()]
    for identity in ("nobody", "deployer"):
        assert stack.run("destroy").check().changes == {"delete": created.changes["create"]}
        assert [stored(azure, name) for name in vaults] == [{}, {}]
        assert stack.run("preview", identity=identity).check().steps == created.steps
        watch = Watch(azure)
        assert stack.run("up").check().steps == created.steps
        assert not [write for write in watch.writes("vault") if write.endswith(("/create", "/merge"))]
        assert stack.outputs() == outputs
