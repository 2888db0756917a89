"""An authority whose key is in the state is rolled over in its order, or a leaf stays as it is.

The same as in Key Vault (`test_rollover`), where pulumi-tls signs: the stack goes from generation to generation, and
the tests here follow each other. What stays is looked for in the state, where a leaf is before it is handed out.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.stacks import ProgramStack, Run
from tests.engine.test_rollover import CLIENTS, clients, issuers, told

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("rollover-in-state")]

LEAVES = CLIENTS | {"cluster"}
LEAF = "LocallySignedCert"
KINDS = (LEAF, "PrivateKey", "CertRequest", "Authority")


@pytest.fixture(scope="module")
def stack(new_stack: Callable[[], ProgramStack]) -> ProgramStack:
    stack = new_stack()
    stack.set(custody="state", certificateAuthorities=clients(1, signing=1))
    stack.run("up").check()
    return stack


def held(stack: ProgramStack, kind: str) -> dict[str, dict[str, Any]]:
    """What the state has of each resource of a type, by its name."""
    return {
        resource["urn"].rpartition("::")[2]: resource["outputs"]
        for resource in stack.export(show_secrets=True)["deployment"]["resources"]
        if resource["type"].rpartition(":")[2] == kind
    }


def done(run: Run, operation: str, kind: str) -> set[str]:
    """The names of the resources of a type that an operation was done to."""
    return {
        urn.rpartition("::")[2]
        for step, urn in run.steps
        if step == operation and urn.split("::")[2].rpartition(":")[2] == kind
    }


def assert_refused(stack: ProgramStack, why: str, *arguments: str) -> str:
    """A preview says it, and so does an `up` without one: no leaf is issued, and nothing is deleted or handed out."""
    said = told(stack.run("preview"))
    assert why in said
    before, outputs = {kind: held(stack, kind) for kind in KINDS}, stack.outputs()
    assert why in told(stack.run("up", *arguments))
    # A new authority may have been made; whatever there was is as it was.
    assert all(held(stack, kind).items() >= before[kind].items() for kind in KINDS)
    assert held(stack, LEAF).keys() == before[LEAF].keys()
    assert stack.outputs() == outputs
    return said


def test_signing_before_trust_is_refused(stack: ProgramStack) -> None:
    """Prevents certificates that nobody accepts, one `up` too early."""
    # A leaf's key would be another one, too, and its request.
    stack.set(certificateAuthorities=clients(1, 2, signing=2), certificates={"default": {"keyType": "EC-P384"}})
    said = assert_refused(stack, "clients-2 would sign ", "--continue-on-error")
    stack.set(certificates=None)

    assert "only clients-1 is trusted" in said
    assert "Nothing of it was changed." in said
    assert "acknowledge: [sign-2] under certificateAuthorities.clients" in said
    assert all(name in said for name in CLIENTS)
    assert "cluster" not in said


def test_trust_issues_nothing(stack: ProgramStack) -> None:
    """Prevents that to trust one more is taken for a renewal."""
    stack.set(certificateAuthorities=clients(1, 2, signing=1))
    preview, before = stack.run("preview").check(), held(stack, LEAF)
    up = stack.run("up").check()

    assert up.steps == preview.steps
    assert done(up, "update", "Step") == done(up, "update", "Standing") == CLIENTS
    assert held(stack, LEAF) == before
    for name in CLIENTS:
        assert up.said_of(name).strip() == (
            "The certificate stays as it is. Trusted beside it from now on: clients-1, clients-2."
        )


def test_distrust_before_signing_is_refused_and_nothing_deleted(stack: ProgramStack) -> None:
    """Prevents an authority that is deleted while its certificates are in use: deletes come last."""
    stack.set(certificateAuthorities=clients(2, signing=2))
    said = assert_refused(stack, "clients-1 would be distrusted while ", "--continue-on-error")

    assert "Nothing of it was changed." in said
    assert "acknowledge: [distrust-1] under certificateAuthorities.clients" in said


def test_an_up_that_ended_before_a_leaf_was_issued_holds_up_distrust(stack: ProgramStack, tmp_path: Path) -> None:
    """Prevents that a certificate is cut off because its issue had begun; what goes on from there is not held up."""
    before = stack.export()
    stack.set(certificateAuthorities=clients(1, 2, signing=2))
    run = stack.run("up").check()
    assert done(run, "replace", LEAF) == done(run, "update", "Standing") == CLIENTS
    behind = {urn for _, urn in run.steps if urn.endswith((f":{LEAF}::ui", ":Standing::ui")) or ":Stack::" in urn}
    put_back(stack, before, behind, tmp_path / "state.json")

    stack.set(certificateAuthorities=clients(2, signing=2))
    outputs, authorities = stack.outputs(), held(stack, "Authority")
    for arguments in (["preview"], ["up"], ["up", "--continue-on-error"]):
        said = told(stack.run(*arguments))
        assert 'clients-1 would be distrusted while "ui" is a certificate that it signed' in said
        assert "An earlier `up` ended before it was through with it," in said
        assert "default" not in said.partition("Its authority issues")[0]
        assert stack.outputs() == outputs
        assert held(stack, "Authority") == authorities

    stack.set(certificateAuthorities=clients(1, 2, signing=2))
    stack.run("up").check()
    assert issuers(stack) == {"clients-2"}


def test_distrust_after_signing_passes_and_the_next_up_changes_nothing(stack: ProgramStack) -> None:
    """Prevents an order so strict that nobody gets through; or that holds a new leaf to what is none of its past."""
    stack.set(certificateAuthorities=clients(2, signing=2), certificates={"default": {}, "orders": {}})
    before = held(stack, LEAF)
    up = stack.run("up").check()

    assert done(up, "update", "Step") == done(up, "update", "Standing") == CLIENTS
    assert done(up, "create", LEAF) == {"orders"}
    assert done(up, "delete", "Authority") == {"clients-1"}
    assert held(stack, LEAF).items() >= before.items()
    for operation in ("preview", "up", "refresh"):
        assert stack.run(operation).check().changes.keys() == {"same"}


def test_acknowledged_steps_pass_with_a_warning_and_no_others(stack: ProgramStack) -> None:
    """Prevents a stolen key that stays trusted for days; and that one word lets everything through."""
    stack.set(certificateAuthorities=clients(3, signing=3, acknowledge=["sign-3"]))
    said = assert_refused(stack, "clients-2 would be distrusted")
    assert "acknowledge: [distrust-2]" in said

    stack.set(certificateAuthorities=clients(3, signing=3, acknowledge=["sign-3", "distrust-2"]))
    up = stack.run("up").check()
    assert done(up, "delete", "Authority") == {"clients-2"}
    for name in CLIENTS | {"orders"}:
        signed, distrusted = (
            message.text for message in up.messages if (message.name, message.severity) == (name, "warning")
        )
        assert f'Acknowledged: clients-3 signs "{name}" before anybody trusts it.' in signed
        assert f'Acknowledged: clients-2 is distrusted, which signed "{name}".' in distrusted
    assert issuers(stack) == {"clients-3"}

    assert stack.run("preview").check().changes.keys() == {"same"}


def test_stack_of_an_earlier_version_takes_up_the_order(stack: ProgramStack, tmp_path: Path) -> None:
    """Prevents certificates that are all issued anew by an upgrade; from then on the order is kept."""
    forget_records(stack, tmp_path / "state.json")
    stack.set(certificateAuthorities=clients(3, signing=3))
    before, outputs = held(stack, LEAF), stack.outputs()
    up = stack.run("up").check()

    assert up.changes.keys() == {"same", "create"}
    assert done(up, "create", "Step") == done(up, "create", "Standing") == LEAVES | {"orders"}
    assert (held(stack, LEAF), stack.outputs()) == (before, outputs)
    stack.set(certificateAuthorities=clients(3, 4, signing=4))
    assert "only clients-3 is trusted" in told(stack.run("preview"))


def put_back(stack: ProgramStack, before: dict[str, Any], behind: set[str], file: Path) -> None:
    """Leave these resources as an `up` does that ended before it came to them."""
    assert len(behind) == 3
    earlier = {each["urn"]: each for each in before["deployment"]["resources"]}
    state = stack.export()
    resources = state["deployment"]["resources"]
    state["deployment"]["resources"] = [earlier[each["urn"]] if each["urn"] in behind else each for each in resources]
    take(stack, state, file)


def forget_records(stack: ProgramStack, file: Path) -> None:
    """Take out of the state what an earlier version had not put there."""
    state = stack.export()
    resources = state["deployment"]["resources"]
    records = {each["urn"] for each in resources if each["type"].rpartition(":")[2] in ("Step", "Standing")}
    kept = [each for each in resources if each["urn"] not in records]
    for resource in kept:
        resource["dependencies"] = [urn for urn in resource.get("dependencies", []) if urn not in records]
        resource["propertyDependencies"] = {
            name: [urn for urn in found or [] if urn not in records]
            for name, found in resource.get("propertyDependencies", {}).items()
        }
    state["deployment"]["resources"] = kept
    take(stack, state, file)


def take(stack: ProgramStack, state: dict[str, Any], file: Path) -> None:
    """Have the stack go on from a state."""
    file.write_text(json.dumps(state))
    command = [str(stack.engine.executable), "stack", "import", "--stack", stack.name, "--file", str(file)]
    subprocess.run(command, cwd=stack.project, env=stack.environment(), check=True, capture_output=True)
