"""A corpus of certificates and bundles: one that passes, and what breaks its rules, one change at a time and two.

Whatever `cryptography` refuses to make (SHA-1, version 1, a broken extension, an empty name) is made here from DER.
Nothing here knows `pki`: rules are named by their identifiers.
"""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address, ip_network
from itertools import combinations
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID, ObjectIdentifier

NOW = datetime(2026, 3, 29, 12, 30, tzinfo=UTC)
DAY = timedelta(days=1)

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
CA_TRUE, CA_FALSE = x509.BasicConstraints(True, None), x509.BasicConstraints(False, None)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
UNKNOWN_EXTENSION = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")


@cache
def key(owner: str) -> Key:
    """A key, made once.

    `rsa…` (`rsa 768…`: too short) and `ed…` are of these types, `P-521…` and `k1…` on other curves, the rest on P-256.
    """
    if owner.startswith("rsa 768"):
        made = subprocess.run(["openssl", "genrsa", "768"], capture_output=True, check=True).stdout
        small = load_pem_private_key(made, None)
        assert isinstance(small, rsa.RSAPrivateKey)
        return small
    if owner.startswith("rsa"):
        return rsa.generate_private_key(65537, 2048)
    if owner.startswith("ed"):
        return ed25519.Ed25519PrivateKey.generate()
    curve = {"P-521": ec.SECP521R1(), "P-384": ec.SECP384R1(), "k1": ec.SECP256K1()}.get(owner.partition(" ")[0])
    return ec.generate_private_key(curve or ec.SECP256R1())


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def usage(*names: str) -> x509.KeyUsage:
    """A key usage with these bits."""
    return x509.KeyUsage(**{name: name in names for name in _USAGES})


SIGNS, CERTIFIES = usage("digital_signature"), usage("digital_signature", "key_cert_sign", "crl_sign")


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """All that a certificate is made of; `issuer` names another blueprint, or its own."""

    subject: str
    owner: str
    issuer: str
    constraints: x509.BasicConstraints | None = CA_FALSE
    usage: x509.KeyUsage | None = SIGNS
    extended_usages: tuple[ObjectIdentifier, ...] = ()
    more: tuple[x509.Extension[Any], ...] = ()
    not_before: datetime = NOW - 10 * DAY
    not_after: datetime = NOW + 80 * DAY
    signature: str = "sha256"
    signer: str | None = None
    issuer_subject: str | None = None
    serial: int = 0
    version: int = 3
    raw_extensions: tuple[bytes, ...] = ()
    critical_identifiers: bool = False
    strings: _ASN1Type = _ASN1Type.UTF8String


Family = Mapping[str, Blueprint]
"""Blueprints by their names."""


def name(common_name: str, strings: _ASN1Type = _ASN1Type.UTF8String) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Contoso"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name, strings),
        ]
    )


_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),
    "md5": hashes.MD5(),
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
    "sha3": hashes.SHA3_256(),
}
_PADDINGS: Mapping[str, padding.PSS] = {
    "pss": padding.PSS(padding.MGF1(hashes.SHA256()), 32),
    "pss with a long salt": padding.PSS(padding.MGF1(hashes.SHA256()), 64),
}
_ALGORITHMS = {
    ("rsa", "sha1"): bytes.fromhex("300d06092a864886f70d0101050500"),
    ("rsa", "md5"): bytes.fromhex("300d06092a864886f70d0101040500"),
    ("ec", "sha1"): bytes.fromhex("300906072a8648ce3d0401"),
}


def make(family: Family, member: str) -> x509.Certificate:
    """Make a member's certificate."""
    plan = family[member]
    issuer = family[plan.issuer]
    signer, own = key(plan.signer or issuer.owner), key(plan.owner)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(plan.subject, plan.strings))
        .issuer_name(name(plan.issuer_subject or issuer.subject))
        .public_key(own.public_key())
        .serial_number(max(plan.serial, 0) or 1 + sorted(family).index(member))
        .not_valid_before(plan.not_before)
        .not_valid_after(plan.not_after)
    )
    if plan.constraints is not None:
        builder = builder.add_extension(plan.constraints, critical=True)
    if plan.usage is not None:
        builder = builder.add_extension(plan.usage, critical=True)
    if plan.extended_usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(plan.extended_usages), critical=False)
    for extension in plan.more:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    own_identifier = x509.SubjectKeyIdentifier.from_public_key(own.public_key())
    issuer_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key(issuer.owner).public_key())
    builder = builder.add_extension(own_identifier, critical=plan.critical_identifiers)
    builder = builder.add_extension(issuer_identifier, critical=plan.critical_identifiers)
    if isinstance(signer, ed25519.Ed25519PrivateKey):
        return builder.sign(signer, None)
    padded = _PADDINGS.get(plan.signature)
    weak = plan.signature in ("sha1", "md5")
    algorithm: Any = hashes.SHA256() if weak or padded else _HASHES[plan.signature]
    made = builder.sign(signer, algorithm, rsa_padding=padded)
    if not weak and plan.version == 3 and not plan.raw_extensions and plan.serial >= 0:
        return made
    with warnings.catch_warnings():
        # Of a serial number that is negative.
        warnings.simplefilter("ignore")
        return x509.load_der_x509_certificate(forged(made, signer, plan))


# From DER


def tlv(tag: int, content: bytes) -> bytes:
    """A DER element."""
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    size = (len(content).bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + len(content).to_bytes(size, "big") + content


def elements(content: bytes) -> list[bytes]:
    """The DER elements in a row."""
    found = []
    while content:
        size = content[1] & 0x7F if content[1] & 0x80 else 0
        length = int.from_bytes(content[2 : 2 + size], "big") if size else content[1]
        found.append(content[: 2 + size + length])
        content = content[2 + size + length :]
    return found


def inside(element: bytes) -> bytes:
    """What is in a DER element."""
    return element[2 + (element[1] & 0x7F if element[1] & 0x80 else 0) :]


def forged(
    certificate: x509.Certificate,
    signer: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    plan: Blueprint,
    *,
    subject: bytes | None = None,
) -> bytes:
    """The DER of a certificate with what only a forger can change: version, weak hash, raw extensions, raw subject."""
    _, serial, algorithm, issuer, validity, own_subject, public_key, extensions = elements(
        inside(certificate.tbs_certificate_bytes)
    )
    if plan.serial < 0:
        serial = tlv(0x02, plan.serial.to_bytes(2, "big", signed=True))
    hash_algorithm: Any = _HASHES[plan.signature]
    family = "rsa" if isinstance(signer, rsa.RSAPrivateKey) else "ec"
    algorithm = _ALGORITHMS.get((family, plan.signature), algorithm)
    listed = b"".join([*elements(inside(inside(extensions))), *plan.raw_extensions])
    parts = [serial, algorithm, issuer, validity, subject or own_subject, public_key]
    if plan.version > 1:
        parts.insert(0, tlv(0xA0, tlv(0x02, bytes([plan.version - 1]))))
    if plan.version == 3:
        parts.append(tlv(0xA3, tlv(0x30, listed)))
    to_be_signed = tlv(0x30, b"".join(parts))
    if isinstance(signer, rsa.RSAPrivateKey):
        signature = signer.sign(to_be_signed, padding.PKCS1v15(), hash_algorithm)
    else:
        signature = signer.sign(to_be_signed, ec.ECDSA(hash_algorithm))
    return tlv(0x30, to_be_signed + algorithm + tlv(0x03, b"\x00" + signature))


BROKEN_EXTENSION = tlv(0x30, bytes.fromhex("0603551d20") + tlv(0x04, b"\x30\x7f\x00"))
"""Certificate policies, cut off."""
SECOND_CONSTRAINTS = tlv(0x30, bytes.fromhex("0603551d13") + b"\x01\x01\xff" + tlv(0x04, b"\x30\x00"))


# Cases


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A finding: the rule, and whose certificate, or None for the file; hidden unless all of `needs` are reached."""

    rule: str
    member: str | None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Break:
    """One change to one field of one member, and what is found then.

    `cuts`: nothing above the member is reached any more. `touches` names fields of others that it has an effect on.
    """

    member: str
    fields: Mapping[str, Any]
    expected: tuple[Expected, ...]
    label: str
    cuts: bool = False
    touches: frozenset[tuple[str, str]] = frozenset()

    def clashes(self, other: Break) -> bool:
        """Tell whether one hides the other, or undoes it."""
        own, others = ({*each.touches, *((each.member, name) for name in each.fields)} for each in (self, other))
        if own & others:
            return True
        hiding = {"version", "raw_extensions", "serial", "signature"} & {*self.fields, *other.fields}
        end_before_they_begin = {"not_before", "not_after"} <= {*self.fields, *other.fields}
        return self.member == other.member and bool(hiding or end_before_they_begin or (self.cuts and other.cuts))


@dataclass(frozen=True, kw_only=True)
class Case:
    """Certificates, and the findings that they give, no more and no fewer.

    `presented` and `accepted` name members: of a client's file and its CA bundle, or (`accepted` None) of a bundle.
    """

    label: str
    family: Family
    presented: tuple[str, ...]
    accepted: tuple[str, ...] | None = None
    expected: tuple[Expected, ...] = ()
    filters: bool = False
    breaks: tuple[Break, ...] = ()
    _made: dict[str, x509.Certificate] = field(init=False, repr=False, compare=False, default_factory=dict)

    def certificate(self, member: str) -> x509.Certificate:
        """A member's certificate, made once: each signature of an EC key is another."""
        if member not in self._made:
            self._made[member] = make(self.family, member)
        return self._made[member]

    def certificates(self, members: Sequence[str]) -> list[x509.Certificate]:
        return [self.certificate(member) for member in members]


def broken(base: Case, breaks: Sequence[Break], order: Sequence[str]) -> Case:
    """A case with these changes. `order` has the members from the bottom up: what is above a cut is not reached."""
    family = dict(base.family)
    for each in breaks:
        family[each.member] = replace(family[each.member], **each.fields)
    reached = set(order)
    for each in breaks:
        if each.cuts:
            reached -= set(order[order.index(each.member) + 1 :])
    expected = [
        finding
        for each in breaks
        for finding in each.expected
        if {*finding.needs, *([finding.member] if finding.member else [])} <= reached
    ]
    label = " and ".join(each.label for each in breaks)
    return replace(base, label=label, family=family, expected=tuple(dict.fromkeys(expected)), breaks=tuple(breaks))


def one(rule: str, member: str, what: str, needs: tuple[str, ...] = (), **fields: Any) -> Break:
    """A change that breaks one rule for the member itself."""
    finding = Expected(rule=rule, member=member, needs=needs)
    return Break(member=member, fields=fields, expected=(finding,), label=f"{rule} of {member} ({what})")


def _certified(*names: x509.GeneralName) -> tuple[x509.Extension[Any], ...]:
    return (x509.Extension(x509.SubjectAlternativeName.oid, False, x509.SubjectAlternativeName(names)),)


def _outside(what: str, *names: x509.GeneralName) -> Break:
    """A name of the client's that the intermediate excludes, or does not permit."""
    return replace(
        one("name-constraints", "leaf", what, ("intermediate",), more=_certified(*names)),
        touches=frozenset(("intermediate", name) for name in ("more", "version", "raw_extensions")),
    )


_INFORMATION = (
    x509.Extension(
        x509.AuthorityInformationAccess.oid,
        True,
        x509.AuthorityInformationAccess(
            [
                x509.AccessDescription(
                    AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://example.com/")
                )
            ]
        ),
    ),
)
_REQUIRING = (x509.Extension(x509.PolicyConstraints.oid, True, x509.PolicyConstraints(0, None)),)
_CONSTRAINTS = x509.NameConstraints(
    [x509.DNSName("example.com"), x509.IPAddress(ip_network("192.0.2.0/24"))],
    [x509.DNSName("payments.example.com")],
)

CLIENT_BASE = Case(
    label="client",
    family={
        "leaf": Blueprint(subject="orders", owner="leaf", issuer="intermediate", extended_usages=(CLIENT,)),
        "intermediate": Blueprint(
            subject="clients 1",
            owner="P-384 intermediate",
            issuer="root",
            constraints=CA_TRUE,
            usage=CERTIFIES,
            not_before=NOW - 20 * DAY,
            not_after=NOW + 400 * DAY,
            more=(x509.Extension(_CONSTRAINTS.oid, True, _CONSTRAINTS),),
        ),
        "root": Blueprint(
            subject="Contoso Root",
            owner="rsa root",
            issuer="root",
            constraints=CA_TRUE,
            usage=CERTIFIES,
            not_before=NOW - 30 * DAY,
            not_after=NOW + 800 * DAY,
        ),
    },
    presented=("leaf", "intermediate"),
    accepted=("root",),
)
CLIENT_ORDER = ("leaf", "intermediate", "root")


def _any_certificate(member: str) -> Iterator[Break]:
    """What breaks the rules for every certificate."""
    critical = (x509.Extension(UNKNOWN_EXTENSION.oid, True, UNKNOWN_EXTENSION),)
    yield one("x509v3", member, "version 1", version=1)
    yield one("signature-hash", member, "SHA-1", signature="sha1")
    yield one("critical-extensions", member, "unknown and critical", more=critical)
    yield one("not-yet-valid", member, "tomorrow", not_before=NOW + DAY)
    yield one("expired", member, "yesterday", not_after=NOW - DAY)
    yield one("extended-key-usage", member, "serverAuth only", extended_usages=(SERVER,))
    yield one("extensions-readable", member, "cut off", raw_extensions=(BROKEN_EXTENSION,))


def _authority(member: str) -> Iterator[Break]:
    """What breaks the rules for authorities."""
    yield one("authority", member, "CA:FALSE", constraints=CA_FALSE)
    yield one("authority-key-usage", member, "no keyCertSign", usage=SIGNS)


def client_breaks() -> list[Break]:
    """One change each to a client's chain."""
    root_and_leaf = (Expected(rule="signature-algorithm", member="leaf"),)
    return [
        *_any_certificate("leaf"),
        one("leaf-not-authority", "leaf", "CA:TRUE", constraints=CA_TRUE),
        one("leaf-not-authority", "leaf", "no constraints", constraints=None),
        one("digital-signature", "leaf", "no key usage", usage=None),
        one("digital-signature", "leaf", "keyAgreement only", usage=usage("key_agreement")),
        one("signature-hash", "leaf", "SHA-224", signature="sha224"),
        one("signature-hash", "leaf", "SHA3-256", signature="sha3"),
        one("key-algorithm", "leaf", "Ed25519", owner="ed leaf"),
        one("key-algorithm", "leaf", "secp256k1", owner="k1 leaf"),
        one("unique-names", "leaf", "its issuer's in capitals", ("intermediate",), subject="CLIENTS 1"),
        one("unique-names", "leaf", "the root's with blanks", ("root",), subject="contoso   Root "),
        one(
            "uri-readable", "leaf", "an empty label", more=_certified(x509.UniformResourceIdentifier("spiffe://a..b/x"))
        ),
        one("not-critical", "leaf", "authority information access", more=_INFORMATION),
        one("serial-number", "leaf", "-200", serial=-200),
        one("name-encoding", "leaf", "UniversalString", strings=_ASN1Type.UniversalString),
        one("key-size", "leaf", "768 bits", owner="rsa 768 leaf"),
        one("certificate-policies", "leaf", "requires one", ("intermediate",), more=_REQUIRING),
        one("signature-padding", "intermediate", "a long salt", signature="pss with a long salt"),
        one("serial-number", "intermediate", "-200", serial=-200),
        one("extensions-readable", "leaf", "twice", raw_extensions=(SECOND_CONSTRAINTS,)),
        replace(one("chain-complete", "leaf", "signed by another", signer="other"), cuts=True),
        replace(one("chain-complete", "leaf", "of a stranger", issuer_subject="stranger"), cuts=True),
        _outside("another domain", x509.DNSName("orders.contoso.test")),
        _outside("an excluded domain", x509.DNSName("payments.example.com")),
        _outside("another network", x509.IPAddress(ip_address("198.51.100.7"))),
        *_any_certificate("intermediate"),
        *_authority("intermediate"),
        one("authority", "intermediate", "no constraints", constraints=None),
        one("signature-hash", "intermediate", "MD5", signature="md5"),
        one("unique-names", "intermediate", "the root's in capitals", ("root",), subject="CONTOSO  ROOT"),
        Break(
            member="intermediate",
            fields={"owner": "ed intermediate"},
            expected=(Expected(rule="key-algorithm", member="intermediate"), *root_and_leaf),
            label="key-algorithm of intermediate (Ed25519)",
            touches=frozenset(("leaf", name) for name in ("signature", "signer", "version", "raw_extensions")),
        ),
        replace(one("chain-complete", "intermediate", "signed by another", signer="rsa other"), cuts=True),
        *_any_certificate("root"),
        *_authority("root"),
        one("path-length", "root", "none below", constraints=x509.BasicConstraints(True, 0)),
    ]


BUNDLE_BASE = Case(
    label="bundle",
    family={
        "intermediate": replace(CLIENT_BASE.family["intermediate"], subject="clients 2"),
        "root": CLIENT_BASE.family["root"],
        "second": replace(CLIENT_BASE.family["root"], subject="clients 3", owner="second", issuer="second"),
    },
    presented=("root", "intermediate", "second"),
)


def bundle_breaks() -> list[Break]:
    """One change each to a CA bundle."""
    found = []
    for member in ("intermediate", "root", "second"):
        found += [*_any_certificate(member), *_authority(member)]
    return [
        *found,
        one("authority", "second", "no constraints", constraints=None),
        one("unique-names", "intermediate", "the root's", ("root",), subject="contoso root"),
        one("bundle-closed", "intermediate", "signed by another", signer="rsa other"),
        one("bundle-closed", "intermediate", "of a stranger", issuer_subject="stranger"),
        one("bundle-closed", "second", "not by itself", signer="other"),
        one("path-length", "root", "none below", constraints=x509.BasicConstraints(True, 0)),
        Break(
            member="second",
            fields={"owner": "ed second"},
            expected=(
                Expected(rule="key-algorithm", member="second"),
                Expected(rule="signature-algorithm", member="second"),
            ),
            label="key-algorithm of second (Ed25519)",
            touches=frozenset(("second", name) for name in ("signature", "signer", "version", "raw_extensions")),
        ),
        one("signature-hash", "root", "MD5", signature="md5"),
    ]


def _cut_from_its_issuer(case: Case) -> Case:
    """In a bundle whose intermediate is nobody's, nothing above the intermediate is told of it."""
    if not any(each.rule == "bundle-closed" and each.member == "intermediate" for each in case.expected):
        return case
    kept = [each for each in case.expected if each.rule != "path-length" and "root" not in each.needs]
    return replace(case, expected=tuple(kept))


EVERY_NTH_PAIR = 7
"""All pairs would be some hundreds more, and take openssl a minute."""


def cases(base: Case, breaks: Callable[[], list[Break]], order: Sequence[str]) -> list[Case]:
    """The base, each change alone, and pairs of changes that have nothing to do with each other."""
    singles = breaks()
    pairs = [pair for pair in combinations(singles, 2) if not pair[0].clashes(pair[1])]
    return [base, *(broken(base, [each], order) for each in singles)] + [
        _cut_from_its_issuer(broken(base, pair, order)) for pair in pairs[::EVERY_NTH_PAIR]
    ]


# tcld


def tcld(member: str) -> tuple[x509.Certificate, x509.Certificate]:
    """A client's certificate and its authority's, as `tcld gen leaf` and `tcld gen ca` make them for one organization.

    The client's has neither key usage nor extended key usage, and an organizational unit that is empty: without it,
    the two names would be the same.
    """
    organization = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, member)])
    authority_key, leaf_key = key("P-384 tcld authority"), key("P-384 tcld leaf")
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        x509.CertificateBuilder(organization, organization, authority_key.public_key(), 1, NOW - DAY, NOW + 364 * DAY)
        .add_extension(CERTIFIES, critical=True)
        .add_extension(CA_TRUE, critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(f"client.root.{member}.aB-1")]), critical=False)
        .sign(authority_key, hashes.SHA384())
    )
    leaf = (
        x509.CertificateBuilder(organization, organization, leaf_key.public_key(), 2, NOW - DAY, NOW + 363 * DAY)
        .add_extension(CA_FALSE, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(f"client.endentity.{member}.cD-2")]), critical=False)
        .sign(authority_key, hashes.SHA384())
    )
    [own] = elements(inside(organization.public_bytes()))
    empty_unit = tlv(0x31, tlv(0x30, bytes.fromhex("060355040b") + tlv(0x13, b"")))
    plan = Blueprint(subject=member, owner="", issuer="", signature="sha384")
    der = forged(leaf, authority_key, plan, subject=tlv(0x30, own + empty_unit))
    return x509.load_der_x509_certificate(der), authority


def pem(certificates: Sequence[x509.Certificate]) -> bytes:
    """Certificates as one PEM file."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
