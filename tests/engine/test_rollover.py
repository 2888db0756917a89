"""An authority is rolled over in its order, or nothing of a leaf is written: trust, sign, distrust, each its own `up`.

The stack goes from generation to generation of `clients`, so the tests here follow each other. A refusal is the same in
a preview, which asks no vault, and stands beside the step that passes.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localazure.client import LocalAzure
from tests.engine.stacks import ProgramStack, Run, Watch, loaded, stored

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("rollover")]

EC = {"keyType": "EC-P256"}
CLIENTS = {"ui", "cli", "default"}
LEAVES = CLIENTS | {"cluster"}


def clients(*generations: int, signing: int, **more: Any) -> dict[str, Any]:
    """The setting with these generations of the authority `clients`."""
    numbers: dict[str, Any] = {str(number): {} for number in generations}
    return {"internode": EC, "clients": {**EC, "generations": numbers, "signing": signing, **more}}


@pytest.fixture(scope="module")
def stack(new_stack: Callable[[], ProgramStack]) -> ProgramStack:
    stack = new_stack()
    stack.set(certificateAuthorities=clients(1, signing=1))
    stack.run("up").check()
    return stack


def refused(stack: ProgramStack, azure: LocalAzure) -> str:
    """What a preview says of the leaves that it refuses; it asks no vault. The engine stops at the first, or soon."""
    watch = Watch(azure)
    said = told(stack.run("preview", identity="nobody"))
    assert watch.requests("vault") == []
    return said


def assert_up_refuses(stack: ProgramStack, azure: LocalAzure, why: str, *arguments: str) -> None:
    """As a preview does: of no leaf is anything written, and nothing is deleted."""
    before, watch = stack.facts(), Watch(azure)
    assert why in told(stack.run("up", *arguments))
    assert not [write for write in watch.writes() if write.startswith("DELETE") or any_leaf(write)]
    assert stack.facts() == before


def told(run: Run) -> str:
    errors = run.refused().errors()
    assert errors
    for name, said in errors.items():
        assert f'"{name}"' in said
        assert "docs/runbooks/roll-over-an-authority.md" in said
    return "\n".join(errors.values())


def any_leaf(write: str) -> bool:
    return any(f"/{leaf}/" in f"{write}/" for leaf in LEAVES)


def only(stack: ProgramStack, *names: str) -> list[str]:
    """What confines a run to these leaves, as one that ended halfway has done no more."""
    urns = [urn for name in names for urn in (stack.component_urn(name), stack.leaf_urn(name))]
    return [argument for urn in urns for argument in ("--target", urn)]


def issued(stack: ProgramStack, azure: LocalAzure, *arguments: str) -> set[str]:
    """The leaves that an `up` has issued, of which each took two writes."""
    watch = Watch(azure)
    stack.run("up", *arguments).check()
    names = [write.split("/")[2] for write in watch.writes("vault") if any_leaf(write)]
    assert sorted(names) == sorted(2 * [*set(names)])
    return set(names)


def issuers(stack: ProgramStack) -> set[str]:
    """Which generations have signed the clients' certificates that there are."""
    facts = stack.facts()
    authorities = {facts[name]["subject"]: name for name in facts if name.startswith("clients-")}
    return {authorities[facts[name]["issuer"]] for name in CLIENTS}


def test_signing_before_trust_is_refused(stack: ProgramStack, azure: LocalAzure) -> None:
    """Prevents certificates that nobody accepts, one `up` too early."""
    stack.set(certificateAuthorities=clients(1, 2, signing=2))
    said = refused(stack, azure)

    assert "clients-2 would sign " in said
    assert "only clients-1 is trusted" in said
    assert "First an `up` with generation 2 among the generations of clients and signing: 1; deliver it" in said
    assert "acknowledge: [sign-2] under certificateAuthorities.clients" in said
    assert all(name in said for name in CLIENTS)
    assert "cluster" not in said
    assert_up_refuses(stack, azure, "clients-2 would sign ")


def test_trust_issues_nothing_and_needs_no_right(stack: ProgramStack, azure: LocalAzure) -> None:
    """Prevents that to trust one more is taken for a renewal, by whoever looks or by the vault."""
    stack.set(certificateAuthorities=clients(1, 2, signing=1))
    preview = stack.run("preview", identity="nobody").check()
    before, watch = stack.facts(), Watch(azure)
    up = stack.run("up", identity="nobody").check()

    assert up.steps == preview.steps
    assert up.certificates("update") == CLIENTS
    assert watch.writes() == []
    assert not watch.requests("vault")
    for name in CLIENTS:
        assert up.said_of(name).strip() == (
            "The certificate stays as it is. Trusted beside it from now on: clients-1, clients-2."
        )
    after = stack.facts()
    assert {name: after[name] for name in before} == before
    assert after.keys() - before == {"clients-2"}


def test_distrust_before_signing_is_refused_and_nothing_deleted(stack: ProgramStack, azure: LocalAzure) -> None:
    """Prevents an authority that is deleted while its certificates are in use: deletes come last."""
    stack.set(certificateAuthorities=clients(2, signing=2))
    said = refused(stack, azure)

    assert "clients-1 would be distrusted while " in said
    assert "First an `up` with generation 1 of clients still trusted and another one signing" in said
    assert "acknowledge: [distrust-1] under certificateAuthorities.clients" in said
    assert_up_refuses(stack, azure, "clients-1 would be distrusted while ", "--continue-on-error")
    assert "clients-1" in stored(azure, stack.vault("authorities")["name"])


def test_signing_and_then_distrusting_pass(stack: ProgramStack, azure: LocalAzure) -> None:
    """Prevents an order so strict that nobody gets through."""
    stack.set(certificateAuthorities=clients(1, 2, signing=2))
    assert issued(stack, azure) == CLIENTS
    assert issuers(stack) == {"clients-2"}

    stack.set(certificateAuthorities=clients(2, signing=2))
    watch = Watch(azure)
    up = stack.run("up").check()
    assert up.certificates("update") == CLIENTS
    assert up.certificates("delete") == {"clients-1"}
    assert watch.writes("vault") == ["DELETE /certificates/clients-1"]
    assert stack.run("preview").check().changes.keys() == {"same"}


def test_leaf_that_missed_trust_may_not_be_signed(stack: ProgramStack, azure: LocalAzure) -> None:
    """Prevents that the rest of a step which ended halfway is taken for done."""
    stack.set(certificateAuthorities=clients(2, 3, signing=2))
    stack.run("up", "--target", stack.authority_urn("clients-3"), *only(stack, "ui", "cli")).check()

    stack.set(certificateAuthorities=clients(2, 3, signing=3))
    assert 'clients-3 would sign "default" before anybody trusts it' in refused(stack, azure)
    stack.set(certificateAuthorities=clients(2, 3, signing=2))
    assert issued(stack, azure) == set()


def test_leaf_that_was_not_signed_holds_up_distrust(stack: ProgramStack, azure: LocalAzure) -> None:
    """Prevents that a certificate which was not issued yet is cut off by the next step."""
    stack.set(certificateAuthorities=clients(2, 3, signing=3))
    assert issued(stack, azure, *only(stack, "ui", "default")) == {"ui", "default"}

    stack.set(certificateAuthorities=clients(3, signing=3))
    assert 'clients-2 would be distrusted while "cli" is a certificate that it signed' in refused(stack, azure)
    stack.set(certificateAuthorities=clients(2, 3, signing=3))
    assert issued(stack, azure) == {"cli"}
    stack.set(certificateAuthorities=clients(3, signing=3))
    assert stack.run("up").check().certificates("delete") == {"clients-2"}


def test_acknowledged_steps_pass_with_a_warning_and_no_others(stack: ProgramStack, azure: LocalAzure) -> None:
    """Prevents a stolen key that stays trusted for days; and that one word lets everything through."""
    stack.set(certificateAuthorities=clients(4, signing=4, acknowledge=["sign-4"]))
    said = refused(stack, azure)
    assert "clients-3 would be distrusted" in said
    assert "acknowledge: [distrust-3]" in said
    assert "sign" not in said.replace("signed", "").replace("signing", "")

    stack.set(certificateAuthorities=clients(4, signing=4, acknowledge=["sign-4", "distrust-3"]))
    up = stack.run("up").check()
    assert up.certificates("delete") == {"clients-3"}
    for name in CLIENTS:
        signed, distrusted = (
            message.text for message in up.messages if (message.name, message.severity) == (name, "warning")
        )
        assert f'Acknowledged: clients-4 signs "{name}" before anybody trusts it.' in signed
        assert f'Acknowledged: clients-3 is distrusted, which signed "{name}".' in distrusted
    assert issuers(stack) == {"clients-4"}


def test_acknowledgement_that_stays_is_no_change_and_warned_about(stack: ProgramStack) -> None:
    """Prevents that what was meant once lets something through later."""
    taken = "certificateAuthorities.clients.acknowledge: lets through sign-4 and distrust-3"
    preview = stack.run("preview").check()
    assert preview.changes.keys() == {"same"}
    assert taken in preview.shown
    assert "Take it out as soon as this `up` is through." in preview.shown

    stack.set(certificateAuthorities=clients(4, signing=4))
    preview = stack.run("preview").check()
    assert preview.changes.keys() == {"same"}
    assert taken not in preview.shown


def test_stack_of_an_earlier_version_takes_up_the_order(stack: ProgramStack, azure: LocalAzure, tmp_path: Path) -> None:
    """Prevents certificates that are all issued anew by an upgrade; and an upgrade that lets a step slip through."""
    forget_standings(stack, tmp_path / "state.json")
    stack.set(certificateAuthorities=clients(4, 5, signing=5))
    assert "only clients-4 is trusted" in refused(stack, azure)

    stack.set(certificateAuthorities=clients(4, signing=4))
    before, watch = stack.facts(), Watch(azure)
    assert stack.run("up", identity="nobody").check().certificates("update") == LEAVES
    assert watch.writes() == []
    assert stack.facts() == before
    assert stack.run("preview").check().changes.keys() == {"same"}


def test_leaf_moves_to_an_authority_that_is_trusted_already(stack: ProgramStack, azure: LocalAzure) -> None:
    """Prevents a worker that is thrown out because somebody else signs for it."""
    moved = {"default": {"issuer": "internode"}}
    stack.set(certificates=moved)
    assert "First an `up` with internode beside clients under frontend.authorities" in refused(stack, azure)

    other = {"other": {"issuer": "internode"}}
    stack.set(certificates={"default": {}} | other)
    stack.run("up").check()
    stack.set(certificates=moved | other)
    assert issued(stack, azure) == {"default"}
    loaded(stack.facts()["default"]).verify_directly_issued_by(loaded(stack.facts()["internode-1"]))

    stack.set(certificates=moved | other | {"cluster": {"issuer": "clients"}})
    assert "Nodes are trusted by one authority: keep issuer: internode" in refused(stack, azure)


def forget_standings(stack: ProgramStack, file: Path) -> None:
    """Take out of the state what an earlier version had not put there."""
    state = stack.export()
    for resource in state["deployment"]["resources"]:
        for properties in (resource.get("inputs", {}), resource.get("outputs", {})):
            for name in ("issuedBy", "trusted", "peers"):
                properties.pop(name, None)
    file.write_text(json.dumps(state))
    command = [str(stack.engine.executable), "stack", "import", "--stack", stack.name, "--file", str(file)]
    subprocess.run(command, cwd=stack.project, env=stack.environment(), check=True, capture_output=True)
