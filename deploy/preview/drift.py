"""What somebody changed by hand: from `pulumi refresh --preview-only --json`, which compares Azure with the state.

The engine asks the provider there too, so what is due for renewal shows as a difference: nobody made that one.
"""

from __future__ import annotations

from deploy.preview.document import Preview
from deploy.preview.types import more_than_renewals
from deploy.preview.words import code, codes

_SEEN = {"delete": "is gone", "create": "is there again", "replace": "is another one"}


def drift(preview: Preview) -> list[str]:
    """Return a line (Markdown) for everything that is not as the last `up` left it, renewals that are due apart."""
    return [
        f"{code(step.name)} ({step.type.rpartition(':')[2]}) "
        + _SEEN.get(step.operation, f"is not as `up` left it: {codes(step.changed)}")
        + "."
        for step in sorted(more_than_renewals(preview.steps), key=lambda step: (step.type, step.name))
    ]
