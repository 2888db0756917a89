"""A certificate that somebody handed in, read through, with the place where it was found.

`cryptography` reads many fields only when asked, and warns or raises then. Here all of it happens once, so that a
judgement can be passed without a traceback on whatever the certificate holds.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from pki.chain import issued
from pki.names import ComparableName, comparable
from pki.rules import Place

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, kw_only=True)
class Held:
    """A certificate and where it was found.

    `extensions` is None where they cannot be read, and `unreadable` says why; of a certificate that is not version 3
    there are none. `public_key` is None for a type of key that is not known.
    """

    certificate: x509.Certificate
    place: Place
    name: ComparableName
    issuer_name: ComparableName
    issuer: str
    public_key: CertificatePublicKeyTypes | None
    extensions: Sequence[x509.Extension[x509.ExtensionType]] | None
    unreadable: str = ""

    @classmethod
    def of(cls, certificate: x509.Certificate, *, position: int, file: str = "") -> Held:
        """Read a certificate through. Raises ValueError if its name, its serial number or its times cannot be read."""
        with warnings.catch_warnings():
            # Of values that are outside the standards, such as an empty organizational unit, which `tcld` writes.
            warnings.simplefilter("ignore")
            extensions, unreadable = _extensions(certificate)
            _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            return cls(
                certificate=certificate,
                place=Place(
                    file=file,
                    position=position,
                    subject=printable(certificate.subject.rfc4514_string()),
                    serial=f"{certificate.serial_number:x}",
                ),
                name=comparable(certificate.subject),
                issuer_name=comparable(certificate.issuer),
                issuer=printable(certificate.issuer.rfc4514_string()),
                public_key=_public_key(certificate),
                extensions=extensions,
                unreadable=unreadable,
            )

    @property
    def subject(self) -> str:
        """The subject, as RFC 4514 writes it."""
        return self.place.subject or "(no subject)"

    def was_issued_by(self, issuer: Held) -> bool:
        """Tell whether `issuer` issued it: the names agree and the signature verifies, however weak its hash.

        `cryptography` verifies no certificate signed with SHA-1 or MD5. But who signed it is one question, and
        whether that is good enough another, with a rule of its own.
        """
        return issued(self.certificate, by=issuer.certificate) or (
            self.certificate.issuer == issuer.certificate.subject and self._has_weak_signature_of(issuer.public_key)
        )

    def _has_weak_signature_of(self, key: CertificatePublicKeyTypes | None) -> bool:
        own = self.certificate
        try:
            algorithm = own.signature_hash_algorithm
            if not isinstance(algorithm, hashes.SHA1 | hashes.MD5):
                return False
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(own.signature, own.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(own.signature, own.tbs_certificate_bytes, ec.ECDSA(algorithm))
            else:
                return False
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            return False
        return True

    @property
    def is_root(self) -> bool:
        """Whether it signed itself."""
        return self.was_issued_by(self)

    @property
    def can_have_extensions(self) -> bool:
        """Whether a rule about extensions can be judged: it is version 3, and they can be read."""
        return self.certificate.version is x509.Version.v3 and self.extensions is not None

    def extension(self, kind: type[_Extension]) -> _Extension | None:
        """Return the value of an extension, or None if there is none."""
        return next((item.value for item in self.extensions or () if isinstance(item.value, kind)), None)


def printable(text: str) -> str:
    """Return a name from a certificate with what could steer a terminal written out."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)


def _extensions(
    certificate: x509.Certificate,
) -> tuple[Sequence[x509.Extension[x509.ExtensionType]] | None, str]:
    try:
        return tuple(certificate.extensions), ""
    except x509.DuplicateExtension as error:
        return None, f"has the extension {error.oid.dotted_string} twice"
    except (ValueError, x509.UnsupportedGeneralNameType):
        return None, "has an extension that cannot be read"


def _public_key(certificate: x509.Certificate) -> CertificatePublicKeyTypes | None:
    try:
        return certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return None
