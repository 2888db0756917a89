"""The profile of each role: which usages a certificate has, and nothing beyond them.

Sources: RFC 5280 sections 4.2.1.3 (key usage), 4.2.1.9 (basic constraints), 4.2.1.12 (extended key usage); Temporal's
server takes a node's certificate as a client's too, so a node has both extended usages and a client has one.
"""

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from pki.policy import IssuancePolicy, Role


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The usages of a role's certificates."""

    signs_certificates: bool
    extended_key_usages: tuple[ObjectIdentifier, ...]

    def key_usage(self, *, rsa: bool) -> x509.KeyUsage:
        """Return the key usage: an authority signs; a leaf signs, and with RSA transports keys in TLS 1.2."""
        return x509.KeyUsage(
            digital_signature=True,
            key_encipherment=not self.signs_certificates and rsa,
            key_cert_sign=self.signs_certificates,
            crl_sign=self.signs_certificates,
            content_commitment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )


PROFILES = {
    Role.AUTHORITY: Profile(signs_certificates=True, extended_key_usages=()),
    Role.NODE: Profile(
        signs_certificates=False,
        extended_key_usages=(ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
    ),
    Role.CLIENT: Profile(signs_certificates=False, extended_key_usages=(ExtendedKeyUsageOID.CLIENT_AUTH,)),
}


def extensions(
    policy: IssuancePolicy, public_key: CertificatePublicKeyTypes, issuer: x509.Certificate | None
) -> list[x509.Extension[x509.ExtensionType]]:
    """Return the extensions of a certificate under `policy`, in the order in which they are encoded.

    Without an issuer it signs itself.
    """
    profile = PROFILES[policy.role]
    found: list[tuple[bool, x509.ExtensionType]] = [
        (True, x509.BasicConstraints(ca=profile.signs_certificates, path_length=policy.path_length)),
        (True, profile.key_usage(rsa=isinstance(public_key, RSAPublicKey))),
    ]
    if profile.extended_key_usages:
        found.append((False, x509.ExtendedKeyUsage(profile.extended_key_usages)))
    if policy.name_constraints is not None:
        found.append((True, policy.name_constraints.extension()))
    if names := policy.subject_alternative_names.general_names():
        found.append((False, x509.SubjectAlternativeName(names)))
    found.append((False, x509.SubjectKeyIdentifier.from_public_key(public_key)))
    found.append((False, _authority_key_identifier(public_key, issuer)))
    return [x509.Extension(value.oid, critical, value) for critical, value in found]


def _authority_key_identifier(
    public_key: CertificatePublicKeyTypes, issuer: x509.Certificate | None
) -> x509.AuthorityKeyIdentifier:
    """Return the issuer's own key identifier, which need not be a hash of its key (RFC 5280, 4.2.1.1)."""
    own = (
        [item.value for item in issuer.extensions if isinstance(item.value, x509.SubjectKeyIdentifier)]
        if issuer
        else ()
    )
    if own:
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own[0])
    key = issuer.public_key() if issuer else public_key
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)  # type: ignore[arg-type]
