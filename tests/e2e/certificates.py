"""A certificate authority for tests: ordinary leaves, and the forgeries that a server must refuse.

It shares no code with pki/, so that a mistake there cannot hide here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
NODE = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)

BACKDATED = timedelta(hours=1)


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

    def __init__(self, subject: x509.Name, key_identifier: x509.SubjectKeyIdentifier | None = None) -> None:
        now = datetime.now(UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        public_key = self._key.public_key()
        self._certificate = (
            x509.CertificateBuilder(subject, subject, public_key, x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(key_identifier or x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    @classmethod
    def named(cls, common_name: str) -> Self:
        return cls(_name(common_name))

    @classmethod
    def impostor_of(cls, authority: Path) -> Self:
        """An authority with the name and the key identifier of another: nothing but the key tells them apart."""
        genuine = x509.load_pem_x509_certificate(authority.read_bytes())
        return cls(genuine.subject, genuine.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value)

    @property
    def pem(self) -> bytes:
        return self._certificate.public_bytes(Encoding.PEM)

    def issue(self, stem: Path, usages: Sequence[x509.ObjectIdentifier], dns_names: Sequence[str] = ()) -> Pair:
        """A leaf called as its file."""
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_key_usage(authority=False), True),
            (x509.ExtendedKeyUsage(usages), False),
        ]
        if dns_names:
            extensions.append((x509.SubjectAlternativeName(map(x509.DNSName, dns_names)), False))
        return self._write(stem, _name(stem.name), extensions, valid_for=timedelta(days=90))

    def reissue(self, stem: Path, leaf: Path, *, valid_for: timedelta = timedelta(days=90)) -> Pair:
        """A twin of `leaf` with the same subject and extensions, signed here, for a key of its own."""
        original = x509.load_pem_x509_certificate(leaf.read_bytes())
        extensions = [(extension.value, extension.critical) for extension in original.extensions]
        return self._write(stem, original.subject, extensions, valid_for=valid_for)

    def _write(
        self,
        stem: Path,
        subject: x509.Name,
        extensions: Iterable[tuple[x509.ExtensionType, bool]],
        *,
        valid_for: timedelta,
    ) -> Pair:
        now = datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder(self._certificate.subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + valid_for)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        pair = Pair.at(stem)
        stem.parent.mkdir(parents=True, exist_ok=True)
        pair.certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        pair.private_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return pair


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
