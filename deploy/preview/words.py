"""Values in Markdown. Names come from settings and from Entra ID, so none of them may be markup, or call somebody."""

import re
from collections.abc import Iterable, Sequence

_LONGEST = 200


def code(value: object) -> str:
    """Return a value as code, in which Markdown, HTML and @mentions mean nothing; on one line, and not too long.

    What is not shown but does something, as a change of the direction of writing does, is left out.
    """
    shown = "".join(each if each.isprintable() else " " for each in str(value))
    text = re.sub(r"[\s`]+", " ", shown).strip()
    return f"`{text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}`" if text else "nothing"


def codes(values: Iterable[object]) -> str:
    """Return values one after the other, or `nothing`."""
    return ", ".join(map(code, values)) or "nothing"


def moved(before: Sequence[object], after: Sequence[object]) -> str:
    """Return what a list gains and loses, or "" if it is nothing."""
    added, removed = [one for one in after if one not in before], [one for one in before if one not in after]
    return "; ".join(
        [*([f"adds {codes(added)}"] if added else []), *([f"removes {codes(removed)}"] if removed else [])]
    )


def because(reasons: Sequence[str]) -> str:
    """Return what follows a statement: its reasons, or nothing if there are none."""
    return f": {'; '.join(reasons)}" if reasons else ""


def day(instant: object) -> str:
    """Return the day of an instant."""
    return str(instant).partition("T")[0] if instant else "an unknown day"
