"""What a Temporal Cloud namespace is given to admit clients: its CA bundle, and the commands that set it and filters.

As tcld has it: the bundle is sent as base64 of the PEM file (app/namespace.go, ReadCACerts), and a fingerprint is the
SHA-1 of the DER in lower-case hexadecimal (app/ca.go). SHA-1 is an identifier here, and proves nothing.
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from pki.chain import load_certificate, to_pem
from pki.filters import CertificateFilter
from pki.issuance import draft
from pki.policy import IssuancePolicy, KeyType

MOST_AUTHORITIES = 16
"""Certificates in a CA bundle (docs.temporal.io/cloud/certificates)."""

LARGEST_BUNDLE = 32 * 1024
"""Bytes in a CA bundle, as PEM (docs.temporal.io/cloud/certificates)."""


def fingerprint(certificate: x509.Certificate) -> str:
    """Return a certificate's fingerprint as Temporal Cloud shows it: the SHA-1 of its DER, lower-case hexadecimal."""
    return certificate.fingerprint(hashes.SHA1()).hex()


def admitted_words(fingerprints: Iterable[str], filters: Iterable[CertificateFilter]) -> list[str]:
    """Return whom a namespace admits, for a person: an authority, by its fingerprint, or a filter an entry."""
    return [f"authority {each}" for each in fingerprints] + [f"filter {each}" for each in filters]


@dataclass(frozen=True, kw_only=True)
class CaBundle:
    """The authorities that a Cloud namespace trusts, in the order of the certificates."""

    certificates: tuple[x509.Certificate, ...]

    @classmethod
    def of(cls, pems: Sequence[str]) -> CaBundle:
        """Return the bundle of these certificates, one a text.

        Raises ValueError if one is malformed, or if Temporal Cloud has no room for them.
        """
        bundle = cls(certificates=tuple(load_certificate(pem) for pem in pems))
        if len(pems) > MOST_AUTHORITIES or len(bundle.pem) > LARGEST_BUNDLE:
            raise ValueError(
                f"the CA bundle has {len(pems)} certificates and {len(bundle.pem)} bytes, and Temporal Cloud takes "
                f"{MOST_AUTHORITIES} and {LARGEST_BUNDLE}: trust fewer authorities, or fewer generations of them"
            )
        return bundle

    @property
    def pems(self) -> list[str]:
        """The certificates, one a text."""
        return [to_pem(certificate) for certificate in self.certificates]

    @property
    def pem(self) -> str:
        """The certificates one after the other."""
        return "".join(self.pems)

    @property
    def base64(self) -> str:
        """The same as tcld and the Cloud API take it, on one line."""
        return _encoded(self.pem)

    @property
    def fingerprints(self) -> list[str]:
        """What `tcld namespace accepted-client-ca list` shows of each."""
        return [fingerprint(certificate) for certificate in self.certificates]

    def add_commands(self, namespace: str) -> list[str]:
        """The commands that add each certificate to those that a namespace trusts already.

        One a command, because tcld refuses a bundle of which it knows one certificate.
        """
        return [_accepted_client_ca("add", namespace, "--ca-certificate", _encoded(pem)) for pem in self.pems]


def file_commands(namespace: str) -> dict[str, str]:
    """Return the commands that write a namespace's files from the stack's output, and those that hand them to tcld.

    `setCa` and `importFilters` replace what the namespace has.
    """
    bundle, filters = f"{namespace}-ca.pem", f"{namespace}-filters.json"
    return {
        "writeCaBundle": _written(namespace, "caBundlePem", bundle),
        "writeFilters": _written(namespace, "filters", filters),
        "setCa": _accepted_client_ca("set", namespace, "--ca-certificate-file", bundle),
        "importFilters": _tcld("certificate-filters", "import", namespace, "--certificate-filter-file", filters),
    }


def largest_pem(policy: IssuancePolicy, issuer: IssuancePolicy | None = None) -> int:
    """Return how many bytes an authority under this policy can take as PEM: what it takes, or a few more.

    Everything but key, serial number, times and signature is the policy's or its issuer's, and the lengths of these
    are known. Without an issuer it signs itself.
    """
    public_key, _ = _largest_key(policy.key_type)
    _, signature = _largest_key((issuer or policy).key_type)
    to_be_signed = draft(policy, public_key, None, datetime(2026, 1, 1, tzinfo=UTC)).to_be_signed
    own_name, issuer_name = (len(each.subject.name().public_bytes()) for each in (policy, issuer or policy))
    algorithm, headers, leeway = 15, 12, 8
    der = len(to_be_signed) - own_name + issuer_name + algorithm + signature + headers + leeway
    characters = 4 * -(-der // 3)
    return characters + -(-characters // 64) + len("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")


def _largest_key(key_type: KeyType) -> tuple[CertificatePublicKeyTypes, int]:
    """Return a public key as long as any of the type, and how many bytes its signature has at most."""
    if key_type.rsa_bits is not None:
        return rsa.RSAPublicNumbers(65537, 2**key_type.rsa_bits - 1).public_key(), key_type.rsa_bits // 8
    assert key_type.curve is not None
    integers = 2 * (key_type.curve.key_size // 8 + 3)
    return ec.derive_private_key(1, key_type.curve).public_key(), integers + 3


def _encoded(pem: str) -> str:
    return base64.b64encode(pem.encode("ascii")).decode("ascii")


def _accepted_client_ca(action: str, namespace: str, *arguments: str) -> str:
    return _tcld("accepted-client-ca", action, namespace, *arguments)


def _tcld(group: str, action: str, namespace: str, *arguments: str) -> str:
    return shlex.join(("tcld", "namespace", group, action, "--namespace", namespace, *arguments))


def _written(namespace: str, key: str, file: str) -> str:
    path = shlex.quote(f".[{json.dumps(namespace)}].{key}")
    return f"pulumi stack output temporalCloud --json | jq --join-output {path} > {shlex.quote(file)}"
