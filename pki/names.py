"""Distinguished names as verifiers compare them: without regard to case and to runs of blanks."""

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
