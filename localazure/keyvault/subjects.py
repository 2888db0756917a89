"""X.500 names as Key Vault takes them: the grammar of .NET's X500DistinguishedName, which is not RFC 4514.

A value with a comma is quoted, not escaped with a backslash, and a quote inside quotes is doubled. As in RFC 4514 the
most specific part comes first: the encoded name has the reverse order (seen in recorded signing requests).
"""

import re

from cryptography import x509
from cryptography.x509.oid import NameOID

_TYPES = {
    "C": NameOID.COUNTRY_NAME,
    "CN": NameOID.COMMON_NAME,
    "DC": NameOID.DOMAIN_COMPONENT,
    "E": NameOID.EMAIL_ADDRESS,
    "G": NameOID.GIVEN_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "S": NameOID.STATE_OR_PROVINCE_NAME,
    "SERIALNUMBER": NameOID.SERIAL_NUMBER,
    "SN": NameOID.SURNAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "STREET": NameOID.STREET_ADDRESS,
    "T": NameOID.TITLE,
}
_KEYS = {oid: key for key, oid in _TYPES.items() if key != "ST"}
_PART = re.compile(r'\s*(?P<key>[A-Za-z]+|\d+(?:\.\d+)+)\s*=\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^,;"]*))\s*')


def parse(subject: str) -> x509.Name:
    """The name that `subject` writes; ValueError, without the text itself, if it writes none."""
    attributes = []
    position = 0
    while True:
        part = _PART.match(subject, position)
        if part is None:
            raise ValueError(f"Invalid X.500 distinguished name at character {position}")
        quoted = part["quoted"]
        value = part["plain"].strip() if quoted is None else quoted.replace('""', '"')
        attributes.append(x509.NameAttribute(_type(part["key"]), value))
        position = part.end()
        if position == len(subject):
            return x509.Name(reversed(attributes))
        if subject[position] not in ",;":
            raise ValueError(f"Invalid X.500 distinguished name at character {position}")
        position += 1


def write(name: x509.Name) -> str:
    """The inverse of `parse`."""
    return ", ".join(
        f"{_KEYS.get(attribute.oid, attribute.oid.dotted_string)}={_quoted(str(attribute.value))}"
        for attribute in reversed(list(name))
    )


def _type(key: str) -> x509.ObjectIdentifier:
    if key[0].isdigit():
        return x509.ObjectIdentifier(key)
    try:
        return _TYPES[key.upper()]
    except KeyError:
        raise ValueError("Invalid X.500 distinguished name: unknown attribute type") from None


def _quoted(value: str) -> str:
    escaped = value.replace('"', '""')
    return f'"{escaped}"' if re.search(r'[,;+="<>#\n]|^\s|\s$', value) else value
