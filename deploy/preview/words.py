"""Values in Markdown. Names come from settings and from Entra ID, so none of them may be markup, or call somebody."""

import re
from collections.abc import Iterable

_LONGEST = 200


def code(value: object) -> str:
    """Return a value as code, in which Markdown, HTML and @mentions mean nothing; on one line, and not too long."""
    text = re.sub(r"[\s`]+", " ", str(value)).strip()
    return f"`{text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}`" if text else "nothing"


def codes(values: Iterable[object]) -> str:
    """Return values one after the other, or `nothing`."""
    return ", ".join(map(code, values)) or "nothing"
