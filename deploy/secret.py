"""The secret that is kept beside a certificate: the private key, and the certificate that it belongs to."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12

from deploy.problem import Problem

PKCS12 = "application/x-pkcs12"


@dataclass(frozen=True)
class Secret:
    """One version of a certificate's secret. The key stays out of `repr`."""

    certificate: x509.Certificate
    private_key: PrivateKeyTypes = field(repr=False)

    @classmethod
    def parse(cls, value: str, content_type: str | None) -> Secret:
        """Return what a secret's value holds: PEM, or base64 of PKCS #12 without a password, as its content type says.

        Raises ValueError, which quotes nothing of the value, if the key or the certificate is not there.
        """
        try:
            if content_type == PKCS12:
                key, certificate, _ = pkcs12.load_key_and_certificates(base64.b64decode(value, validate=True), None)
            else:
                pem = value.encode("ascii")
                key, certificate = serialization.load_pem_private_key(pem, None), x509.load_pem_x509_certificate(pem)
        except (ValueError, TypeError, binascii.Error):
            key = certificate = None
        if key is None or certificate is None:
            raise ValueError("it does not hold a private key and its certificate")
        return cls(certificate, key)

    @property
    def fits(self) -> bool:
        """Whether the key is the certificate's."""
        return self.private_key.public_key() == self.certificate.public_key()

    @property
    def private_key_pem(self) -> bytes:
        """The key as PEM (PKCS #8), without a password."""
        return self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


@dataclass(frozen=True)
class Keys:
    """What was read, by certificate, and why the rest was not."""

    found: Mapping[str, Secret]
    problems: tuple[Problem, ...]
