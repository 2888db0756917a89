"""Tells in what an existing certificate differs from its policy.

Used before a certificate found in a vault is adopted, and when a preview decides whether what is there is still what
the program asks for: a version that somebody else made under the same name is found here.
"""

from cryptography import x509

from pki.chain import issued
from pki.policy import IssuancePolicy, KeyType
from pki.profile import extensions


def deviations(certificate: x509.Certificate, policy: IssuancePolicy, issuer: x509.Certificate | None) -> list[str]:
    """Return what differs between a certificate and what `policy` and `issuer` would have made, in words.

    An empty list means that only key, serial number, validity and signature can differ from a fresh issue. How long
    it is valid is not looked at: that is the renewal's question. Without an issuer the certificate must have signed
    itself. A certificate that cannot be read through differs, too.
    """
    signer = issuer or certificate
    public_key = certificate.public_key()
    found: list[str] = []
    if KeyType.of(public_key) is not policy.key_type:
        found.append(f"its key is not {policy.key_type}")
    if certificate.subject != policy.subject.name():
        found.append(f"its subject is {certificate.subject.rfc4514_string()}")
    if not issued(certificate, by=signer):
        found.append(f"it was not issued by {signer.subject.rfc4514_string()}")
    if certificate.version is not x509.Version.v3:
        found.append("it is not an X.509v3 certificate")
    try:
        actual = {extension.oid: extension for extension in certificate.extensions}
    except (ValueError, x509.DuplicateExtension) as error:
        return [*found, f"its extensions cannot be read: {error}"]
    expected = {extension.oid: extension for extension in extensions(policy, public_key, issuer)}
    for oid in sorted(expected.keys() | actual.keys(), key=lambda oid: oid.dotted_string):
        if expected.get(oid) != actual.get(oid):
            found.append(f"its extension {oid._name if oid._name != 'Unknown OID' else oid.dotted_string} differs")
    return found


def outlived(certificate: x509.Certificate, issuer: x509.Certificate) -> list[str]:
    """Return, in words, that a certificate ends after its issuer, if it does: it is refused from the end of that on."""
    ends, issuer_ends = certificate.not_valid_after_utc, issuer.not_valid_after_utc
    return [f"it ends on {ends:%Y-%m-%d}, after its issuer on {issuer_ends:%Y-%m-%d}"] if ends > issuer_ends else []
