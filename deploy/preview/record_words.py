"""What becomes of the record beside a leaf, in the same words with both custodies: who issued it, who else is trusted.

In a vault the record is part of the certificate's resource, in the state it is a resource of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from deploy.preview.document import Step
from deploy.preview.words import code, codes, moved


def recorded(step: Step, *, stays: bool) -> Iterator[str]:
    """Yield what becomes of the record that a step changes; `stays` is whether the certificate is left alone.

    A record that was not there before says nothing new of a certificate that has a line of its own.
    """
    before, after = step.before.get("trusted"), step.after.get("trusted") or ()
    if before is not None and "trusted" in step.changed_properties:
        words = f"trusted beside it: {moved(before, after) or 'the same, in another order'}"
    elif stays:
        issuer = code(step.after.get("issuedBy") or "")
        words = f"its record is brought up to date: issued by {issuer}, trusted beside it {codes(after)}"
    else:
        return
    yield f"{code(step.name)} stays as it is; {words}." if stays else f"{code(step.name)}: {words}."
