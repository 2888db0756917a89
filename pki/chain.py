"""Certificates as PEM, and their order: a leaf, then whoever issued it, up to the root."""

from collections.abc import Iterable, Sequence

from cryptography import x509
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
    except Exception:  # cryptography raises ValueError, TypeError or InvalidSignature, depending on what differs
        return False
    return True


def chain_of(certificate: x509.Certificate, pool: Iterable[x509.Certificate]) -> Sequence[x509.Certificate]:
    """Return who issued `certificate`, who issued that, and so on up to a root, out of `pool`.

    Raises ValueError if the chain ends before a certificate that issued itself.
    """
    candidates = list(pool)
    chain: list[x509.Certificate] = []
    current = certificate
    while not issued(current, current):
        issuer = next((candidate for candidate in candidates if issued(current, candidate)), None)
        if issuer is None or issuer in chain:
            raise ValueError(f"no certificate here issued {current.subject.rfc4514_string()}")
        chain.append(issuer)
        current = issuer
    return chain
