"""What is wrong with the steps of a rollover that a stack lets through out of order, and that they must not stay."""

from __future__ import annotations

from collections.abc import Iterator

from settings.problems import Problem
from settings.resolved import AuthoritySettings, Settings


def rollover_conflicts(settings: Settings) -> Iterator[Problem]:
    """Find what does not fit together."""
    for authority in settings.certificate_authorities.values():
        issues = any(leaf.issuer == authority.name for leaf in settings.certificates.values())
        for index, step in enumerate(authority.acknowledge):
            yield from _acknowledgement(authority, index, step, issues=issues)


def _acknowledgement(authority: AuthoritySettings, index: int, step: str, *, issues: bool) -> Iterator[Problem]:
    here = ("certificateAuthorities", authority.name)
    verb, _, number = step.partition("-")
    generation = int(number)
    if verb == "sign" and generation != authority.signing:
        yield Problem(
            (*here, "acknowledge", index),
            f"is {step}, and generation {authority.signing} signs",
            "Nothing would be let through by it now, and something later on.",
            f"Set signing: {generation}, or take it out.",
            rests_on=((*here, "signing"), (*here, "generations")),
        )
    if verb == "distrust" and generation in authority.generations and issues:
        yield Problem(
            (*here, "acknowledge", index),
            f"is {step}, and generation {generation} is among the generations, which are all trusted",
            "Nothing would be let through by it now, and something later on.",
            "Remove that generation, or take it out.",
            rests_on=((*here, "generations"), (*here, "signing")),
        )


def unwise_rollover(settings: Settings) -> Iterator[Problem]:
    """Find what deserves a warning."""
    for authority in settings.certificate_authorities.values():
        if authority.acknowledge:
            yield Problem(
                ("certificateAuthorities", authority.name, "acknowledge"),
                f"lets through {' and '.join(authority.acknowledge)}, whoever is cut off by it",
                "Left in, it would let through the same once more, when nobody means it.",
                "Take it out as soon as this `up` is through.",
            )
