"""The runbooks that take an authority's key away, typed as they are written, each on a stack of its own."""

from collections.abc import Iterator
from typing import Any

import pytest

from pki import load_certificate
from tests.e2e.newcomer import Newcomer
from tests.e2e.runbooks import ago, delivered, issuer_number, set_settings, steps, told_settings, typed, ui_secret

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROLL_OVER, LOST_LAPTOP = "roll-over-an-authority.md", "lost-laptop.md"
CLIENT, SERVER = "workers/default/default", "server/cluster"


@pytest.fixture
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """Somebody whose stack is ten days old."""
    with Newcomer(tmp_path_factory.mktemp("newcomer") / "clone") as somebody:
        typed(somebody, "make up\n", **ago(10))
        yield somebody


def test_roll_over_an_authority(newcomer: Newcomer) -> None:
    """Renewed with its key, then replaced in three steps; what is in use is trusted at every moment."""
    renewal, trust, _ = told_settings(ROLL_OVER)
    trusted = newcomer.clone / ".deploy/local/server/ca"
    before, leaf = load_certificate((trusted / "clients-a.pem").read_text()), delivered(newcomer, CLIENT)

    set_settings(newcomer, renewal)
    typed(newcomer, "make up\n")
    after = load_certificate((trusted / "clients-a.pem").read_text())
    assert (after == before, after.public_key()) == (False, before.public_key())
    assert delivered(newcomer, CLIENT) == leaf

    clients = trust["clients"] | {"generations": {1: {"renewal": 1}, 2: {}}}
    for signing, generations, issuer, files in (
        (1, clients["generations"], 1, {1, 2}),
        (2, clients["generations"], 2, {1, 2}),
        (2, {2: {}}, 2, {2}),
    ):
        authorities: dict[str, Any] = {"internode": {}, "clients": {"signing": signing, "generations": generations}}
        set_settings(newcomer, {"temporal-azure:certificateAuthorities": authorities})
        typed(newcomer, "make up\n")
        assert issuer_number(delivered(newcomer, CLIENT)) == issuer
        slots = (load_certificate((trusted / f"clients-{slot}.pem").read_text()) for slot in "ab")
        assert {issuer_number(each) for each in slots} == files


def test_a_step_that_comes_too_early_is_refused_as_the_runbook_says(newcomer: Newcomer) -> None:
    """Whoever is in a hurry must hear of it before anything is issued."""
    leaf = delivered(newcomer, CLIENT)
    hurried = {"internode": {}, "clients": {"signing": 2, "generations": {1: {}, 2: {}}}}
    set_settings(newcomer, {"temporal-azure:certificateAuthorities": hurried})

    refused = newcomer.run("make up\n")

    assert refused.returncode != 0
    assert "clients-2 would sign" in refused.stdout + refused.stderr
    assert delivered(newcomer, CLIENT) == leaf


def test_lost_laptop(newcomer: Newcomer) -> None:
    """Nothing that was on it is good for anything as soon as everybody has the new files."""
    (settings,), (commands,) = told_settings(LOST_LAPTOP), steps(LOST_LAPTOP)
    secret = ui_secret(newcomer)
    set_settings(newcomer, settings)

    said = typed(newcomer, commands)

    assert "Acknowledged: clients-2 signs" in said
    assert [issuer_number(delivered(newcomer, name)) for name in (SERVER, CLIENT)] == [2, 2]
    trusted = (newcomer.clone / ".deploy/local/server/ca").glob("*.pem")
    assert {issuer_number(load_certificate(file.read_text())) for file in trusted} == {2}
    assert ui_secret(newcomer) != secret
