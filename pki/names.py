"""Distinguished names as verifiers compare them, without regard to case and to runs of blanks, and as Go reads them."""

import re
from collections.abc import Mapping
from unicodedata import normalize

from cryptography import x509

ComparableName = tuple[frozenset[tuple[str, str | bytes]], ...]
"""A name's parts in their order; two are equal exactly if the names match."""


def comparable(name: x509.Name) -> ComparableName:
    """Return a name in a form that is equal for names that match (RFC 5280, 7.1, and the profile of RFC 4518).

    The order of the parts counts, the order of attributes within one does not; nor does a value's string type.
    """
    return tuple(frozenset((part.oid.dotted_string, _folded(part.value)) for part in parts) for parts in name.rdns)


def _folded(value: str | bytes) -> str | bytes:
    if isinstance(value, bytes):
        return value
    # Compatibility caseless matching: Unicode Standard, 3.13, D146.
    once = normalize("NFKC", normalize("NFD", value).casefold())
    return " ".join(normalize("NFKC", once.casefold()).split())


_READ_BY_GO: Mapping[str, re.Pattern[str]] = {
    "T61String": re.compile(r".*", re.DOTALL),
    "UTF8String": re.compile(r".*", re.DOTALL),
    "BMPString": re.compile(r"[^\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U00010000-\U0010ffff]*"),
    "IA5String": re.compile(r"[\x00-\x7f]*"),
    "NumericString": re.compile(r"[0-9 ]*"),
    "PrintableString": re.compile(r"[a-zA-Z0-9'()+,\-./ :=?*&]*"),
}
"""Its types of strings (crypto/x509, parseASN1String), with what each may hold."""


def encoding_fault(name: x509.Name) -> str | None:
    """Say what in a name Go does not read, with its article; None if it reads all of it."""
    for part in name:
        kind = part._type.name
        if kind not in _READ_BY_GO:
            return f"a {kind}"
        if isinstance(part.value, str) and not _READ_BY_GO[kind].fullmatch(part.value):
            return f"a {kind} with a letter that none can hold"
    return None
