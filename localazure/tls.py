"""The local certificate authority and the server certificate.

The authority's name constraints limit it to loopback addresses and `localhost`, so that trusting its file gives nothing
else away. Its key stays in the state directory (0600), for a server certificate to be issued anew while `ca.pem` stays
the same.
"""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localazure.files import write_atomically

_AUTHORITY_VALIDITY = datetime.timedelta(days=1825)
_SERVER_VALIDITY = datetime.timedelta(days=397)
_RENEW_BEFORE = datetime.timedelta(days=30)
_BACKDATED = datetime.timedelta(hours=1)


def server_context(state: Path) -> ssl.SSLContext:
    """TLS for 127.0.0.1, ::1 and localhost. Writes `ca.pem` and what belongs to it unless they are there and last."""
    now = datetime.datetime.now(datetime.UTC)
    if not _lasts(state / "ca.pem", now + _SERVER_VALIDITY):
        (state / "server.pem").unlink(missing_ok=True)
        _create_authority(state, now)
    if not _lasts(state / "server.pem", now + _RENEW_BEFORE):
        _create_server_certificate(state, now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(state / "server.pem")
    return context


def _lasts(certificate: Path, until: datetime.datetime) -> bool:
    return certificate.exists() and x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc > until


def _create_authority(state: Path, now: datetime.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Local Azure, made {now:%Y-%m-%d %H:%M:%S}")])
    constraints = x509.NameConstraints(
        permitted_subtrees=[
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_network("127.0.0.0/8")),
            x509.IPAddress(ipaddress.ip_network("::1/128")),
        ],
        excluded_subtrees=None,
    )
    certificate = (
        _builder(name, name, key, now, _AUTHORITY_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True), critical=True)
        .add_extension(constraints, critical=True)
        .sign(key, hashes.SHA256())
    )
    write_atomically(state / "ca.key", _private_pem(key), mode=0o600)
    write_atomically(state / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM))


def _create_server_certificate(state: Path, now: datetime.datetime) -> None:
    authority = x509.load_pem_x509_certificate((state / "ca.pem").read_bytes())
    authority_key = serialization.load_pem_private_key((state / "ca.key").read_bytes(), password=None)
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("::1")),
        ]
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Local Azure")])
    certificate = (
        _builder(subject, authority.subject, key, now, _SERVER_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .add_extension(names, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + _private_pem(key)
    write_atomically(state / "server.pem", pem, mode=0o600)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    validity: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + validity)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
