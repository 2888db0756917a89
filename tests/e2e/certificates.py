"""An authority that the program knows nothing of, for the forgeries that a server must refuse.

It shares no code with pki/, so that a mistake there cannot hide here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

BACKDATED, VALID_FOR = timedelta(hours=1), timedelta(days=90)


@dataclass(frozen=True)
class Pair:
    """The files of a certificate (the leaf, then its chain) and of its private key."""

    certificate: Path
    private_key: Path

    @classmethod
    def at(cls, stem: Path) -> Self:
        return cls(stem.with_suffix(".pem"), stem.with_suffix(".key"))


class Authority:
    """A self-signed authority that writes what it issues."""

    def __init__(self, subject: x509.Name, key: Key, key_identifier: x509.SubjectKeyIdentifier | None = None) -> None:
        self._key = key
        now = datetime.now(UTC)
        public_key = key.public_key()
        self._certificate = (
            x509.CertificateBuilder(subject, subject, public_key, x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + VALID_FOR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(key_identifier or x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .sign(key, hashes.SHA256())
        )

    @classmethod
    def named(cls, common_name: str) -> Self:
        return cls(_name(common_name), ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def impostor_of(cls, authority: Path) -> Self:
        """An authority with the name and the key identifier of another: nothing but the key tells them apart."""
        genuine = x509.load_pem_x509_certificate(authority.read_bytes())
        key_identifier = genuine.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return cls(genuine.subject, _another_key(genuine), key_identifier)

    @property
    def pem(self) -> bytes:
        return self._certificate.public_bytes(Encoding.PEM)

    def issue(self, stem: Path) -> Pair:
        """A client's certificate, called as its file."""
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_key_usage(authority=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),
        ]
        return self._write(stem, _name(stem.name), ec.generate_private_key(ec.SECP256R1()), extensions)

    def reissue(self, stem: Path, leaf: Path) -> Pair:
        """A twin of `leaf`, subject and extensions included, with a key of its own and signed here."""
        original = x509.load_pem_x509_certificate(leaf.read_bytes())
        extensions = [(extension.value, extension.critical) for extension in original.extensions]
        return self._write(stem, original.subject, _another_key(original), extensions)

    def _write(
        self, stem: Path, subject: x509.Name, key: Key, extensions: Iterable[tuple[x509.ExtensionType, bool]]
    ) -> Pair:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(self._certificate.subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + VALID_FOR)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        pair = Pair.at(stem)
        pair.certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        pair.private_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return pair


def _another_key(certificate: x509.Certificate) -> Key:
    """A new key of the same type and size as the certificate's."""
    public_key = certificate.public_key()
    if isinstance(public_key, rsa.RSAPublicKey):
        return rsa.generate_private_key(65537, public_key.key_size)
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    return ec.generate_private_key(public_key.curve)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
