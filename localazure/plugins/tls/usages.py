"""What a certificate may be used for, in the official plugin's words and in X.509's (RFC 5280, 4.2.1.3, 4.2.1.12)."""

from collections.abc import Iterable, Mapping
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

KEY_USAGES: Final[Mapping[str, str]] = {
    "digital_signature": "digital_signature",
    "content_commitment": "content_commitment",
    "key_encipherment": "key_encipherment",
    "data_encipherment": "data_encipherment",
    "key_agreement": "key_agreement",
    "cert_signing": "key_cert_sign",
    "crl_signing": "crl_sign",
    "encipher_only": "encipher_only",
    "decipher_only": "decipher_only",
}
"""The bits of the key usage, by their names in `cryptography`."""

EXTENDED_KEY_USAGES: Final[Mapping[str, ObjectIdentifier]] = {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec_end_system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec_tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec_user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp_signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft_server_gated_crypto": ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape_server_gated_crypto": ObjectIdentifier("2.16.840.1.113730.4.1"),
    "microsoft_commercial_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.2.1.22"),
    "microsoft_kernel_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.61.1.1"),
}


def key_usage(allowed: Iterable[str]) -> x509.KeyUsage | None:
    """Return the key usage; None if there is none among the allowed uses."""
    bits = {KEY_USAGES[use] for use in allowed if use in KEY_USAGES}
    return x509.KeyUsage(**{bit: bit in bits for bit in KEY_USAGES.values()}) if bits else None


def extended_key_usage(allowed: Iterable[str]) -> x509.ExtendedKeyUsage | None:
    """Return the extended key usages, in the order in which they are allowed; None if there are none."""
    usages = [EXTENDED_KEY_USAGES[use] for use in allowed if use in EXTENDED_KEY_USAGES]
    return x509.ExtendedKeyUsage(usages) if usages else None
