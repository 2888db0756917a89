"""Distinguished names and alternative names, in the order and with the encodings that Go gives them.

Go writes a text as PrintableString where that can hold it, and else as UTF8String; the parts of a name have one order,
whatever order they were given in (crypto/x509/pkix, `Name.ToRDNSequence`).
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID, ObjectIdentifier

from plugin import PluginError

_PARTS: Final[Mapping[str, ObjectIdentifier]] = {
    "country": NameOID.COUNTRY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "streetAddresses": NameOID.STREET_ADDRESS,
    "postalCode": NameOID.POSTAL_CODE,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "commonName": NameOID.COMMON_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
}
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,\-./:=?]*")


def subject_name(subject: Mapping[str, Any]) -> x509.Name:
    """Return the name for the input `subject`. Raises PluginError if X.509 has no room for it."""
    parts: list[x509.RelativeDistinguishedName] = []
    try:
        for name, oid in _PARTS.items():
            value = subject.get(name)
            values = value if isinstance(value, list) else [value]
            if attributes := [_attribute(oid, text) for text in values if text]:
                parts.append(x509.RelativeDistinguishedName(attributes))
        if email := subject.get("emailAddress"):
            attribute = x509.NameAttribute(NameOID.EMAIL_ADDRESS, email, _ASN1Type.IA5String)
            parts.append(x509.RelativeDistinguishedName([attribute]))
    except ValueError as error:
        raise PluginError(f"Failed to create certificate: {error}. Nothing was made.") from error
    return x509.Name(parts)


def copied_name(name: x509.Name) -> x509.Name:
    """Return what Go keeps of a request's name when it makes a certificate of it: an e-mail address gets lost."""
    parts = (
        [_attribute(oid, str(attribute.value)) for attribute in name.get_attributes_for_oid(oid)]
        for oid in _PARTS.values()
    )
    return x509.Name([x509.RelativeDistinguishedName(attributes) for attributes in parts if attributes])


def alternative_names(given: Mapping[str, Any]) -> list[x509.GeneralName]:
    """Return DNS names, addresses and URIs, in this order. Raises PluginError if one is none."""
    return [
        *(_dns_name(name) for name in given.get("dnsNames") or ()),
        *(x509.IPAddress(_address(text)) for text in given.get("ipAddresses") or ()),
        *(_uri(text) for text in given.get("uris") or ()),
    ]


def copied_alternative_names(names: Iterable[x509.GeneralName]) -> list[x509.GeneralName]:
    """Return what Go keeps of a request's alternative names: those that it has a field for."""
    kinds = (x509.DNSName, x509.IPAddress, x509.UniformResourceIdentifier)
    return [name for kind in kinds for name in names if isinstance(name, kind)]


def _attribute(oid: ObjectIdentifier, text: str) -> x509.NameAttribute[str]:
    printable = _PRINTABLE.fullmatch(text)
    return x509.NameAttribute(oid, text, _ASN1Type.PrintableString if printable else _ASN1Type.UTF8String)


def _dns_name(name: str) -> x509.DNSName:
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise PluginError(f'Failed to create certificate: x509: "{name}" cannot be encoded as an IA5String.') from error


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = None
    if address is None or getattr(address, "scope_id", None):
        raise PluginError(f'Invalid IP address: Failed to parse "{text}".')
    # Go writes an IPv4 address in four bytes, however it was given.
    return getattr(address, "ipv4_mapped", None) or address


def _uri(text: str) -> x509.UniformResourceIdentifier:
    try:
        parts = urlsplit(text)
        if "%" in (parts.hostname or ""):
            raise ValueError("invalid URL escape in the host")
        _ = parts.port  # raises for one that is no number
        # Go reads a URI and writes it again: its scheme in lower case, without an empty fragment.
        rest = text[len(parts.scheme) :].removesuffix("#" if not parts.fragment else "")
        return x509.UniformResourceIdentifier(parts.scheme.lower() + rest)
    except ValueError as error:
        raise PluginError(f'Invalid URI: Failed to parse "{text}": {error}.') from error
