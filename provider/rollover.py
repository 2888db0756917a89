"""What is said of a leaf whose authority is rolled over: a step that comes too early, and one that leaves it alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pki.rollover import Standing, Step, Untimely, untimely
from plugin import Engine, PluginError

UNTOUCHED: Final = "Nothing of it was changed."

_RUNBOOK: Final = "docs/runbooks/roll-over-an-authority.md"


async def keep_order(engine: Engine, urn: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise PluginError for a step of a rollover that comes too early; warn of one that was acknowledged."""
    for step in let_through(old, new):
        await engine.warning(acknowledged(step, new), urn)


def let_through(old: Mapping[str, Any], new: Mapping[str, Any], outcome: str = UNTOUCHED) -> list[Untimely]:
    """Return which steps too early were acknowledged. Raises PluginError for others; `outcome` is what became of it."""
    found = steps_too_early(old, new)
    if refused := [step for step in found if str(step) not in new.get("acknowledged", ())]:
        raise PluginError(refusal(refused, old, new, outcome))
    return found


def standing(state: Mapping[str, Any]) -> Standing | None:
    """Return a leaf's standing by its state; None for what nobody is known to have issued.

    A state from before there was `issuedBy` tells it by the key that signed (`https://V/keys/clients-1/VERSION`), and
    that this one was trusted: of others it knows nothing.
    """
    if issued_by := state.get("issuedBy"):
        return Standing(issued_by, frozenset(state["trusted"]))
    if issuer := state.get("issuer"):
        name = issuer["keyId"].split("/")[4]
        return Standing(name, frozenset({name}))
    return None


def steps_too_early(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Untimely]:
    """Return which steps of a rollover come too early, by a leaf's old state and its new inputs."""
    if "issuedBy" not in new:
        return []
    before = standing(old)
    if before is None:
        return []
    return untimely(before, Standing(new["issuedBy"], frozenset(new.get("trusted", ()))))


def refusal(found: list[Untimely], old: Mapping[str, Any], new: Mapping[str, Any], outcome: str = UNTOUCHED) -> str:
    """Return why a leaf is not to be as asked, what became of it, and the way on."""
    before = standing(old)
    assert before
    peers = new.get("peers") or ()
    beside = f" Its authority issues {', '.join(peers)} too: each is judged by what it has itself." if peers else ""
    reasons = " ".join(_reason(step, new, before) for step in found)
    acknowledgements = " and ".join(_acknowledgement(step) for step in found)
    return (
        f"{reasons} {outcome}{beside} For a stolen key, when broken connections are the smaller harm: "
        f"{acknowledgements} lets this through. See {_RUNBOOK}."
    )


def acknowledged(step: Untimely, new: Mapping[str, Any]) -> str:
    """Return what is said of a step that was let through."""
    if step.step is Step.SIGN:
        return (
            f'Acknowledged: {step.generation} signs "{new["name"]}" before anybody trusts it. Whoever has not been '
            f"restarted with the new files refuses it (unknown ca)."
        )
    return (
        f'Acknowledged: {step.generation} is distrusted, which signed "{new["name"]}". Whoever still shows that '
        f"certificate is refused (unknown ca) until it is delivered anew and restarted."
    )


def undisturbed(new: Mapping[str, Any]) -> str:
    """Return what is said of a step that changes whom others trust, and nothing of the certificate."""
    return f"The certificate stays as it is. Trusted beside it from now on: {', '.join(sorted(new['trusted']))}."


def _reason(found: Untimely, new: Mapping[str, Any], before: Standing) -> str:
    authority, number = _parts(found.generation)
    name, signer = new["name"], before.issued_by
    if found.step is Step.DISTRUST:
        return (
            f'{found.generation} would be distrusted while "{name}" is a certificate that it signed: whoever shows '
            f"that one would be refused at once (unknown ca). First an `up` with generation {number} of {authority} "
            f'still trusted and another one signing; deliver that, restart whoever has "{name}", then distrust.'
        )
    consequence = (
        f'{found.generation} would sign "{name}" before anybody trusts it: by the last `up` that reached it, only '
        f"{', '.join(sorted(before.trusted))} is trusted, and whoever it is shown to would refuse it (unknown ca)."
    )
    if authority == _parts(signer)[0]:
        return (
            f"{consequence} First an `up` with generation {number} among the generations of {authority} and "
            f"signing: {_parts(signer)[1]}; deliver it, restart what reads authorities at start, then sign."
        )
    if _role(new) == "node":
        return (
            f"{consequence} Nodes are trusted by one authority: keep issuer: {_parts(signer)[0]}, and for another key "
            f"add a generation to it."
        )
    return (
        f"{consequence} First an `up` with {authority} beside {_parts(signer)[0]} under frontend.authorities; deliver "
        f"it, then change the issuer."
    )


def _role(new: Mapping[str, Any]) -> str:
    """Return a leaf's role, which is told with its policy, or alone where there is none."""
    return str(new["policy"]["role"] if "policy" in new else new["role"])


def _acknowledgement(found: Untimely) -> str:
    authority, number = _parts(found.generation)
    return f"acknowledge: [{found.step}-{number}] under certificateAuthorities.{authority}"


def _parts(generation: str) -> tuple[str, str]:
    """Return the authority's name and the generation's number."""
    authority, _, number = generation.rpartition("-")
    return authority, number
