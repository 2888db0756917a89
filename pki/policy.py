"""What a certificate is to be: the issuance policy, one model for every custody.

Subject, names, usages and validity are the policy's and nobody else's. A signing request contributes its public key,
and only once that fits the policy's key type.
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from typing import Annotated, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, IPvAnyAddress, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from pki.uris import uri_fault


class Role(StrEnum):
    """What a certificate is for; each role has one profile of usages (`pki.profile`)."""

    AUTHORITY = "authority"
    NODE = "node"
    CLIENT = "client"


class KeyType(StrEnum):
    """The key types that Key Vault, Temporal and Temporal Cloud all take."""

    RSA_2048 = "RSA-2048"
    RSA_3072 = "RSA-3072"
    RSA_4096 = "RSA-4096"
    EC_P256 = "EC-P256"
    EC_P384 = "EC-P384"

    @property
    def rsa_bits(self) -> int | None:
        """The modulus' length in bits, or None for an elliptic curve."""
        family, _, size = self.value.partition("-")
        return int(size) if family == "RSA" else None

    @property
    def curve(self) -> ec.EllipticCurve | None:
        """The curve, or None for RSA."""
        return {KeyType.EC_P256: ec.SECP256R1(), KeyType.EC_P384: ec.SECP384R1()}.get(self)

    @classmethod
    def of(cls, public_key: CertificatePublicKeyTypes) -> KeyType | None:
        """Return the type of a public key, or None if it is of none of these."""
        for key_type in cls:
            if isinstance(public_key, rsa.RSAPublicKey):
                if key_type.rsa_bits == public_key.key_size:
                    return key_type
            elif (
                isinstance(public_key, ec.EllipticCurvePublicKey)
                and key_type.curve is not None
                and key_type.curve.name == public_key.curve.name
            ):
                return key_type
        return None


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


def _of_64_bytes(text: str) -> str:
    if len(text.encode()) > 64:
        raise ValueError("in UTF-8 it has more than 64 bytes, the most that a common name can have")
    return text


_Text = Annotated[str, Field(min_length=1)]
_NamePart = Annotated[_Text, Field(max_length=64)]


class Subject(_Model):
    """A distinguished name, in the order in which it is encoded: C, O, OU, CN (RFC 5280, 4.1.2.6)."""

    common_name: Annotated[_NamePart, AfterValidator(_of_64_bytes)]
    organization: _NamePart | None = None
    organizational_unit: _NamePart | None = None
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None

    def name(self) -> x509.Name:
        """Return the distinguished name, without the attributes that are not given."""
        attributes = (
            (NameOID.COUNTRY_NAME, self.country),
            (NameOID.ORGANIZATION_NAME, self.organization),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, self.organizational_unit),
            (NameOID.COMMON_NAME, self.common_name),
        )
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes if value is not None])

    @classmethod
    def of(cls, name: x509.Name) -> Self:
        """Return an existing distinguished name. Raises ValueError if it is encoded otherwise than `name` would."""
        fields = {
            NameOID.COUNTRY_NAME: "country",
            NameOID.ORGANIZATION_NAME: "organization",
            NameOID.ORGANIZATIONAL_UNIT_NAME: "organizational_unit",
            NameOID.COMMON_NAME: "common_name",
        }
        try:
            subject = cls.model_validate({fields[item.oid]: item.value for item in name if item.oid in fields})
        except ValidationError:
            subject = None
        if subject is None or subject.name() != name:
            raise ValueError(f"its subject, {name.rfc4514_string()}, is not C, O, OU and CN in this order, CN at least")
        return subject


class SubjectAlternativeNames(_Model):
    """The names that a certificate vouches for (RFC 5280, 4.2.1.6)."""

    dns_names: tuple[_Text, ...] = ()
    ip_addresses: tuple[IPvAnyAddress, ...] = ()
    uris: tuple[_Text, ...] = ()
    emails: tuple[_Text, ...] = ()

    def general_names(self) -> list[x509.GeneralName]:
        """Return the names as X.509 has them: DNS names, addresses, URIs, e-mail addresses."""
        return [
            *(x509.DNSName(name) for name in self.dns_names),
            *(x509.IPAddress(address) for address in self.ip_addresses),
            *(x509.UniformResourceIdentifier(uri) for uri in self.uris),
            *(x509.RFC822Name(address) for address in self.emails),
        ]

    @classmethod
    def of(cls, names: object) -> Self:
        """Return the names of an existing certificate's extension; none if there is no extension."""
        if not isinstance(names, x509.SubjectAlternativeName):
            return cls()
        return cls(
            dns_names=tuple(names.get_values_for_type(x509.DNSName)),
            ip_addresses=tuple(
                address
                for address in names.get_values_for_type(x509.IPAddress)
                if isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address)
            ),
            uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
            emails=tuple(names.get_values_for_type(x509.RFC822Name)),
        )

    @model_validator(mode="after")
    def _can_be_encoded(self) -> Self:
        self.general_names()
        for uri in self.uris:
            if fault := uri_fault(uri):
                raise ValueError(f"the URI {uri!r} {fault}; Go, and so Temporal, refuses the whole certificate")
        for address in self.ip_addresses:
            if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
                raise ValueError(f"{address} has a zone, which no certificate can hold; leave %{address.scope_id} out")
        return self


class NameConstraints(_Model):
    """The DNS names and IP addresses that may stand below an authority; no other of these two kinds may.

    A DNS name stands for those below it, too. URIs and e-mail addresses are not constrained.
    """

    dns_names: tuple[_Text, ...] = ()
    ip_addresses: tuple[IPvAnyAddress, ...] = ()

    def extension(self) -> x509.NameConstraints:
        """Return the name constraints (RFC 5280, 4.2.1.10): of a kind that has no permitted name, all are excluded."""
        permitted: list[x509.GeneralName] = [
            *(x509.DNSName(name) for name in self.dns_names),
            *(x509.IPAddress(ipaddress.ip_network(address)) for address in self.ip_addresses),
        ]
        excluded: list[x509.GeneralName] = [] if self.dns_names else [x509.DNSName("")]
        if not self.ip_addresses:
            excluded += [x509.IPAddress(ipaddress.ip_network(every)) for every in ("0.0.0.0/0", "::/0")]
        return x509.NameConstraints(permitted or None, excluded or None)

    @classmethod
    def of(cls, constraints: object) -> Self | None:
        """Return what an existing certificate's extension permits, or None if there is no extension.

        Raises ValueError if it constrains otherwise than `extension` does.
        """
        if not isinstance(constraints, x509.NameConstraints):
            return None
        permitted = constraints.permitted_subtrees or ()
        networks = [ipaddress.ip_network(item.value) for item in permitted if isinstance(item, x509.IPAddress)]
        names = cls(
            dns_names=tuple(item.value for item in permitted if isinstance(item, x509.DNSName)),
            ip_addresses=tuple(network.network_address for network in networks),
        )
        if names.extension() != constraints:
            raise ValueError("its name constraints are others than DNS names and single IP addresses")
        return names


class IssuancePolicy(_Model):
    """Everything about a certificate but its key, its serial number and the day it is issued on.

    `validity_days` and `renew_before_days` are whole UTC days. `path_length` is an authority's own: how many
    authorities may stand below it; and `name_constraints`, without which any name may
    """

    role: Role
    subject: Subject
    subject_alternative_names: SubjectAlternativeNames = SubjectAlternativeNames()
    key_type: KeyType
    validity_days: Annotated[int, Field(ge=1, le=36_500)]
    renew_before_days: Annotated[int, Field(ge=0)] = 0
    path_length: Annotated[int, Field(ge=0)] | None = None
    name_constraints: NameConstraints | None = None

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Self:
        """Return the policy that an existing certificate looks to be issued under; a leaf's window is its last third.

        Raises ValueError if it is of a kind that no policy can express, such as another type of key.
        """
        key_type = KeyType.of(certificate.public_key())
        if key_type is None:
            raise ValueError("its key is of none of the types that can be issued")
        found = {extension.oid: extension.value for extension in certificate.extensions}
        constraints = found.get(ExtensionOID.BASIC_CONSTRAINTS)
        usages = found.get(ExtensionOID.EXTENDED_KEY_USAGE)
        names = found.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
        days = (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days
        if isinstance(constraints, x509.BasicConstraints) and constraints.ca:
            role, window, path_length = Role.AUTHORITY, 0, constraints.path_length
        else:
            serves = isinstance(usages, x509.ExtendedKeyUsage) and ExtendedKeyUsageOID.SERVER_AUTH in usages
            role, window, path_length = Role.NODE if serves else Role.CLIENT, days // 3, None
        return cls(
            role=role,
            subject=Subject.of(certificate.subject),
            subject_alternative_names=SubjectAlternativeNames.of(names),
            key_type=key_type,
            validity_days=max(days, 1),
            renew_before_days=window,
            path_length=path_length,
            name_constraints=NameConstraints.of(found.get(ExtensionOID.NAME_CONSTRAINTS)),
        )

    @model_validator(mode="after")
    def _fits_its_role(self) -> Self:
        if self.role is not Role.AUTHORITY and self.path_length is not None:
            raise ValueError("only an authority has a path length; leave it out for a node or a client")
        if self.role is not Role.AUTHORITY and self.name_constraints is not None:
            raise ValueError("only an authority has name constraints; leave them out for a node or a client")
        if self.role is Role.AUTHORITY and self.renew_before_days:
            raise ValueError("an authority is never renewed by the clock; leave its renewal window out")
        if self.renew_before_days >= self.validity_days:
            raise ValueError("the renewal window is as long as the validity: the certificate would be renewed each day")
        return self
