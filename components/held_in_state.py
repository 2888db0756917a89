"""Certificates that pulumi-tls makes, in the words of an issuance policy, and checked against it once they are made.

The keys are in the stack's state, encrypted. What pulumi-tls does not write as the policy has it goes no further: the
same policy gives the same certificate here and in Key Vault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_tls as tls
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pki import IssuancePolicy, KeyType, deviations, joined, load_certificate, obstacles
from pki.profile import PROFILES

_KEY_USAGES: Final = {
    "digital_signature": "digital_signature",
    "key_encipherment": "key_encipherment",
    "key_cert_sign": "cert_signing",
    "crl_sign": "crl_signing",
}
_EXTENDED_KEY_USAGES: Final = {
    ExtendedKeyUsageOID.SERVER_AUTH: "server_auth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "client_auth",
}
_KEY_TYPE: Final = ["algorithm", "rsaBits", "ecdsaCurve"]
_CURVES: Final = {KeyType.EC_P256: "P256", KeyType.EC_P384: "P384"}


def private_key(name: str, key_type: KeyType, opts: pulumi.ResourceOptions, *, is_kept: bool = False) -> tls.PrivateKey:
    """Declare a private key; one that `is_kept` is never made anew, whatever type is asked for."""
    if is_kept:
        opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(ignore_changes=_KEY_TYPE))
    if key_type.rsa_bits:
        return tls.PrivateKey(name, algorithm="RSA", rsa_bits=key_type.rsa_bits, opts=opts)
    return tls.PrivateKey(name, algorithm="ECDSA", ecdsa_curve=_CURVES[key_type], opts=opts)


def subject_of(policy: IssuancePolicy) -> dict[str, str | None]:
    """Return the distinguished name, as the arguments of pulumi-tls' `subject`."""
    subject = policy.subject
    return {
        "common_name": subject.common_name,
        "organization": subject.organization,
        "organizational_unit": subject.organizational_unit,
        "country": subject.country,
    }


def names_of(policy: IssuancePolicy) -> dict[str, Any]:
    """Return the alternative names, as arguments; what is empty is left out. E-mail addresses are none of them."""
    names = policy.subject_alternative_names
    return {
        "dns_names": list(names.dns_names) or None,
        "ip_addresses": [str(address) for address in names.ip_addresses] or None,
        "uris": list(names.uris) or None,
    }


def usages_of(policy: IssuancePolicy) -> dict[str, Any]:
    """Return validity and usages, as arguments."""
    profile = PROFILES[policy.role]
    bits = profile.key_usage(rsa=policy.key_type.rsa_bits is not None)
    return {
        "validity_period_hours": policy.validity_days * 24,
        "allowed_uses": [
            *(word for bit, word in _KEY_USAGES.items() if getattr(bits, bit)),
            *(_EXTENDED_KEY_USAGES[usage] for usage in profile.extended_key_usages),
        ],
        "set_subject_key_id": True,
    }


@dataclass(frozen=True, kw_only=True)
class StateIssuer:
    """An authority that issues: its certificate, its key, those above it, and its name."""

    certificate_pem: pulumi.Output[str]
    private_key_pem: pulumi.Output[str]
    chain_pem: list[pulumi.Output[str]]
    subject: Mapping[str, str | None]

    def admitting(self, policy: IssuancePolicy) -> pulumi.Output[str]:
        """Return its certificate, once it is known that what it issues under `policy` would not be refused.

        It fails, before anything is issued, with all that Temporal would refuse.
        """
        return self.certificate_pem.apply(lambda pem: without_obstacles(pem, policy))


@dataclass(frozen=True, kw_only=True)
class StateCertificate:
    """What is public of a certificate that pulumi-tls made; the identifiers are those that only a vault has."""

    certificate_pem: pulumi.Output[str]
    chain_pem: pulumi.Output[list[str]]
    subject: pulumi.Output[str]
    issuer_subject: pulumi.Output[str]
    serial_number: pulumi.Output[str]
    not_before: pulumi.Output[str]
    not_after: pulumi.Output[str]
    certificate_id: None = None
    key_id: None = None
    secret_id: None = None

    @classmethod
    def of(
        cls, name: str, policy: IssuancePolicy, made_pem: pulumi.Output[str], issuer: StateIssuer | None = None
    ) -> StateCertificate:
        """Return the facts of what was made under `policy`; they fail where it is something else.

        Without an issuer it signs itself.
        """
        chain = [issuer.certificate_pem, *issuer.chain_pem] if issuer else []
        chain_pem = pulumi.Output.all(*chain)
        checked = pulumi.Output.all(made_pem, chain_pem).apply(lambda made: as_asked(name, policy, *made))
        return cls(
            certificate_pem=checked,
            chain_pem=chain_pem,
            subject=checked.apply(lambda pem: load_certificate(pem).subject.rfc4514_string()),
            issuer_subject=checked.apply(lambda pem: load_certificate(pem).issuer.rfc4514_string()),
            serial_number=checked.apply(lambda pem: f"{load_certificate(pem).serial_number:x}"),
            not_before=checked.apply(lambda pem: load_certificate(pem).not_valid_before_utc.isoformat()),
            not_after=checked.apply(lambda pem: load_certificate(pem).not_valid_after_utc.isoformat()),
        )


def without_obstacles(issuer_pem: str, policy: IssuancePolicy) -> str:
    """Return an issuer's certificate. Raises RunError if Temporal would refuse what it issues under `policy`."""
    issuer: x509.Certificate = load_certificate(issuer_pem)
    if found := obstacles(policy, [issuer]):
        raise pulumi.RunError(
            f"{policy.subject.common_name}: of its issuers, {joined(found)}. It was not issued, because Temporal would "
            "refuse it. Roll the authority over; see docs/runbooks/roll-over-an-authority.md."
        )
    return issuer_pem


def as_asked(name: str, policy: IssuancePolicy, made_pem: str, chain_pem: list[str]) -> str:
    """Return a certificate. Raises RunError, with all that differs, if it is not what `policy` and its issuer make."""
    issuer = load_certificate(chain_pem[0]) if chain_pem else None
    if wrong := deviations(load_certificate(made_pem), policy, issuer):
        raise pulumi.RunError(
            f"{name}: pulumi-tls made another certificate than was asked for: {'; '.join(wrong)}. It is in the state, "
            "and nobody gets it. Use the version of pulumi-tls that requirements.txt names, or custody: key-vault; see "
            "docs/custody.md."
        )
    return made_pem
