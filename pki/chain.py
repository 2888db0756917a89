"""Certificates as PEM, and their order: a leaf, then whoever issued it, up to the root."""

from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding


def to_pem(certificate: x509.Certificate) -> str:
    """Return a certificate as PEM (RFC 7468), with a final newline."""
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def load_certificates(pem: str) -> list[x509.Certificate]:
    """Return the certificates in a PEM text, in its order. Raises ValueError if there is none or one is malformed."""
    return x509.load_pem_x509_certificates(pem.encode("ascii"))


def load_certificate(pem: str) -> x509.Certificate:
    """Return the first certificate of a PEM text. Raises ValueError if there is none or it is malformed."""
    return load_certificates(pem)[0]


def issued(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    """Tell whether `by` issued `certificate`: the names agree and the signature verifies."""
    try:
        certificate.verify_directly_issued_by(by)
    except (InvalidSignature, TypeError, UnsupportedAlgorithm, ValueError):  # depending on what differs
        return False
    return True


def chain_of(certificate: x509.Certificate, pool: Iterable[x509.Certificate]) -> Sequence[x509.Certificate]:
    """Return who issued `certificate`, who issued that, and so on up to a root, out of `pool`.

    Where several certificates of one authority fit (renewed, or certified by another), a way that reaches a root is
    found whatever the pool's order. Raises ValueError if none does.
    """
    chain = _way_up([certificate], list(pool))
    if chain is None:
        raise ValueError(f"the certificates at hand lead from {certificate.subject.rfc4514_string()} to no root")
    return chain[1:]


def _way_up(way: list[x509.Certificate], pool: Sequence[x509.Certificate]) -> list[x509.Certificate] | None:
    if issued(way[-1], by=way[-1]):
        return way
    further = (candidate for candidate in pool if candidate not in way and issued(way[-1], by=candidate))
    return next((found for each in further if (found := _way_up([*way, each], pool))), None)
