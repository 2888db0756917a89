"""Files of a stack whose private keys are in its state: from the output `privateKeys`, and Azure is not asked."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import deploy.keys
from deploy.deliveries import State
from deploy.held_in_state import keys_in_state
from deploy.summary import summarise
from tests.unit.test_deploy import CLIENTS, CONSUMERS, LEAVES, NOW, Project, Stack, key_material


class StateStack(Stack):
    """The outputs of such a stack: nothing of a vault, and the leaves' keys."""

    def __init__(self) -> None:
        super().__init__(sign_on=False)
        self.raw["keyVaults"] = {}
        for facts in self.raw["certificates"].values():
            facts.update(secretId=None, vaultUri=None)
        self.raw["privateKeys"] = {name: secret.private_key_pem.decode() for name, secret in self.keys.items()}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    def nobody(*_: object, **__: object) -> None:
        pytest.fail("Azure was asked")

    monkeypatch.setattr(deploy.keys, "sign_in", nobody)
    monkeypatch.setattr(deploy.keys, "read_keys", nobody)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, StateStack())


def test_write_needs_the_state_alone_and_prints_no_key(project: Project) -> None:
    """`Project.run` looks for keys in what is printed. What is there already is written again by nobody."""
    assert project.run("write").exit_code == 0
    assert project.run("write").stdout == "".join(f"unchanged  .deploy/dev/{name}\n" for name in CONSUMERS)
    for consumer, name in LEAVES.items():
        written = (project.deployed / consumer / f"{name}.key").read_bytes()
        assert written == project.stack.keys[name].private_key_pem
    summary = summarise(project.stack.outputs, "dev", project.deployed, NOW)
    assert {one.state for one in summary.consumers} == {State.CURRENT}


def test_inline_puts_the_keys_into_variables(project: Project) -> None:
    assert project.run("write", "--inline").exit_code == 0
    assert not list(project.deployed.rglob("*.key"))
    assert (project.deployed / "ui" / "ui.env").read_bytes().count(b"TEMPORAL_TLS_KEY_DATA=") == 1


def test_keys_do_not_show_themselves(project: Project) -> None:
    """A traceback or a log of the outputs would show them."""
    shown = f"{project.stack.outputs!r} {keys_in_state(project.stack.outputs, CONSUMERS)!r}"
    assert not [material for material in key_material(project.stack) if material.decode("latin-1") in shown]


def _another(stack: Stack) -> None:
    stack.raw["privateKeys"]["ui"] = CLIENTS.issue("ui").private_key_pem.decode()


def _missing(stack: Stack) -> None:
    del stack.raw["privateKeys"]["ui"]


def _malformed(stack: Stack) -> None:
    stack.raw["privateKeys"]["ui"] = stack.raw["privateKeys"]["ui"][:-60]


def _unfit(stack: Stack) -> None:
    stack.issue("ui", CLIENTS.issue("ui", ec.generate_private_key(ec.SECP256R1())))


SPOILED: dict[str, tuple[Callable[[Stack], None], str]] = {
    "the key of another": (_another, "the private key in the output privateKeys does not belong to the certificate ui"),
    "another certificate": (_unfit, "the private key in the output privateKeys does not belong to the certificate ui"),
    "no key": (_missing, "the certificate ui names no secret"),
    "half a key": (_malformed, "the output privateKeys has no private key in PEM for ui"),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_the_same_is_checked_as_with_key_vault(project: Project, spoiled: str) -> None:
    """A consumer would start with a pair that does not match, or without one. The others can be written."""
    spoil, told = SPOILED[spoiled]
    spoil(project.stack)
    refused = project.run("write")
    assert refused.exit_code == 1
    assert told in refused.stderr
    assert "nothing in .deploy/dev was changed" in refused.stderr
    assert not project.deployed.exists()
    others = [option for name in CONSUMERS if name != "ui" for option in ("--only", name)]
    assert project.run("write", *others).exit_code == 0
