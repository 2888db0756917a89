"""The rules of Temporal Cloud and of a Temporal cluster for certificates, as data, and what is said of a broken one.

Each rule has an identifier that does not change: programs and people look it up. What a rule asks is judged by
`pki.requirements`, and by `pki.reading` where a file is concerned. docs/certificates.md shows this table.

Sources: [cloud] is Temporal Cloud's documentation, "Requirements for CA certificates in Temporal Cloud". [5280] is
RFC 5280. [go] is Go's crypto/x509, with which Temporal's server and Temporal Cloud verify.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a rule is about."""

    FILE = "any file"
    ANY = "every certificate"
    CLIENT = "a client's certificate"
    AUTHORITY = "every authority"
    CHAIN = "a client's chain"
    BUNDLE = "a CA bundle"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: `requirement` is a clause, `consequence` and `fix` are sentences."""

    identifier: str
    scope: Scope
    requirement: str
    consequence: str
    fix: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """Which certificate a finding is about: its position in `file`, from 1; serial number in hex.

    Subject and serial number are empty where the certificate could not be read.
    """

    file: str
    position: int
    subject: str = ""
    serial: str = ""

    def __str__(self) -> str:
        known = f" ({self.subject or 'without a subject'}, serial {self.serial})" if self.serial else ""
        return f"certificate {self.position}{f' of {self.file}' if self.file else ''}{known}"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A broken rule: `what` is a clause whose subject is the certificate, or the file where there is no place."""

    rule: Rule
    what: str
    place: Place | None = None

    def __str__(self) -> str:
        where = f"{self.place} " if self.place else "it "
        return f"{where}{self.what} [{self.rule.identifier}]. {self.rule.consequence} {self.rule.fix}"


SMALLEST_RSA_BITS = 1024
MOST_IN_A_BUNDLE = 16
LARGEST_BUNDLE_BYTES = 32 * 1024
"""Of a bundle's PEM, before tcld or the API encode it as base64 once more."""

_ANEW = "Issue it anew"
_REJECTED = "Temporal Cloud rejects it."
_REFUSED_WHOLE = "Go's parser, and so Temporal, refuses the certificate whole."

CERTIFICATE_PRESENT = Rule(
    identifier="certificate-present",
    scope=Scope.FILE,
    requirement="holds a certificate",
    consequence="There is nothing that could be presented or trusted.",
    fix="Give PEM, DER or PKCS#12 with at least one certificate.",
    source="[cloud]",
)
CERTIFICATE_READABLE = Rule(
    identifier="certificate-readable",
    scope=Scope.FILE,
    requirement="holds nothing that looks like a certificate and cannot be read as one",
    consequence="Whoever reads the file stops there, or passes over it in silence.",
    fix="Export the certificate once more; take out what is no certificate.",
    source="[5280] 4.1",
)
NO_TRAILING_DATA = Rule(
    identifier="no-trailing-data",
    scope=Scope.FILE,
    requirement="has nothing after a certificate's own bytes",
    consequence=_REFUSED_WHOLE,
    fix="Cut off what follows, or export the certificate once more.",
    source="[go]",
)
KEY_MATCHES = Rule(
    identifier="key-matches",
    scope=Scope.FILE,
    requirement="has no private key but that of the client's certificate",
    consequence="A client with this pair cannot start, or is refused in every handshake.",
    fix="Put the certificate and the key of one issue together.",
    source="RFC 8446, 4.4.3",
)
KEY_WITHOUT_PASSPHRASE = Rule(
    identifier="key-without-passphrase",
    scope=Scope.FILE,
    requirement="has a private key in PEM without a passphrase",
    consequence="No Temporal server, SDK or CLI asks for one: the client cannot start.",
    fix="Take the passphrase off with `openssl pkey`, and let file permissions protect the key.",
    source="[cloud]",
)
EXTENSIONS_READABLE = Rule(
    identifier="extensions-readable",
    scope=Scope.ANY,
    requirement="has extensions that can be read, each once",
    consequence="Temporal refuses what it cannot read through; no rule about extensions was judged.",
    fix=f"{_ANEW}, with well-formed extensions.",
    source="[5280] 4.2",
)
X509V3 = Rule(
    identifier="x509v3",
    scope=Scope.ANY,
    requirement="is X.509 version 3",
    consequence=f"{_REJECTED} Without extensions nobody knows an authority from a client.",
    fix=f"{_ANEW} as version 3: with extensions.",
    source="[cloud]",
)
SIGNATURE_ALGORITHM = Rule(
    identifier="signature-algorithm",
    scope=Scope.ANY,
    requirement="is signed with RSA or ECDSA",
    consequence=_REJECTED,
    fix=f"{_ANEW}, from an authority with an RSA or ECDSA key.",
    source="[cloud]",
)
SIGNATURE_HASH = Rule(
    identifier="signature-hash",
    scope=Scope.ANY,
    requirement="is signed with SHA-256, SHA-384 or SHA-512",
    consequence="Temporal Cloud rejects SHA-1 and MD5, and no Temporal server verifies anything but these three.",
    fix=f"{_ANEW}, signed with SHA-256.",
    source="[cloud], [go]",
)
SIGNATURE_PADDING = Rule(
    identifier="signature-padding",
    scope=Scope.ANY,
    requirement="is signed, if with RSA-PSS, with MGF1 of the same hash and a salt of the hash's length",
    consequence="Go knows no other RSA-PSS, so no Temporal server verifies the signature.",
    fix=f"{_ANEW}, signed with RSA and SHA-256 (PKCS #1 v1.5), or with a salt of the hash's length.",
    source="[go]",
)
KEY_SIZE = Rule(
    identifier="key-size",
    scope=Scope.ANY,
    requirement=f"has, if an RSA key, one of at least {SMALLEST_RSA_BITS} bits",
    consequence="Go calls it insecure, and no Temporal server verifies what it signed.",
    fix=f"{_ANEW} for an RSA key of at least 2048 bits, or an ECDSA key.",
    source="[go]",
)
KEY_ALGORITHM = Rule(
    identifier="key-algorithm",
    scope=Scope.ANY,
    requirement="has an RSA key, or an ECDSA key on P-256, P-384 or P-521",
    consequence="Temporal Cloud rejects it; other curves are unknown to Temporal's server too.",
    fix=f"{_ANEW} for an RSA or ECDSA key.",
    source="[cloud], [go]",
)
CRITICAL_EXTENSIONS = Rule(
    identifier="critical-extensions",
    scope=Scope.ANY,
    requirement="has no critical extension that Temporal does not know",
    consequence="A verifier must refuse it, and Temporal's does.",
    fix=f"{_ANEW} without the extension, or not critical.",
    source="[5280] 4.2, [go]",
)
NOT_CRITICAL = Rule(
    identifier="not-critical",
    scope=Scope.ANY,
    requirement="has key identifiers and authority information access that are not critical",
    consequence=_REFUSED_WHOLE,
    fix=f"{_ANEW} with this extension not critical.",
    source="[5280] 4.2.1.1, [go]",
)
SERIAL_NUMBER = Rule(
    identifier="serial-number",
    scope=Scope.ANY,
    requirement="has a serial number that is not negative",
    consequence=_REFUSED_WHOLE,
    fix=f"{_ANEW}, with a positive serial number.",
    source="[5280] 4.1.2.2, [go]",
)
NAME_ENCODING = Rule(
    identifier="name-encoding",
    scope=Scope.ANY,
    requirement="has a subject and an issuer in types of strings that Go reads",
    consequence=_REFUSED_WHOLE,
    fix=f"{_ANEW} with the name as UTF8String; if it is the issuer's, that authority first.",
    source="[5280] 4.1.2.4, [go]",
)
URI_READABLE = Rule(
    identifier="uri-readable",
    scope=Scope.ANY,
    requirement="has no URI among its names that Go cannot parse",
    consequence=_REFUSED_WHOLE,
    fix=f"{_ANEW} without this URI, or with it spelled right, like spiffe://example.com/orders.",
    source="[go]",
)
NOT_YET_VALID = Rule(
    identifier="not-yet-valid",
    scope=Scope.ANY,
    requirement="is valid already at the time that is asked about",
    consequence="Until then every handshake fails.",
    fix="Wait, or check the clock of whoever issued it.",
    source="[5280] 4.1.2.5",
)
EXPIRED = Rule(
    identifier="expired",
    scope=Scope.ANY,
    requirement="is still valid at the time that is asked about",
    consequence="Every handshake fails; an authority's end ends all that it issued.",
    fix="Renew it.",
    source="[5280] 4.1.2.5",
)
EXTENDED_KEY_USAGE = Rule(
    identifier="extended-key-usage",
    scope=Scope.ANY,
    requirement="has clientAuth among its extended key usages, if it has any",
    consequence="Temporal's server does not take it, or what it issued, as a client's.",
    fix=f"{_ANEW} with clientAuth; an authority, without extended key usages.",
    source="[go], [5280] 4.2.1.12",
)
LEAF_NOT_AUTHORITY = Rule(
    identifier="leaf-not-authority",
    scope=Scope.CLIENT,
    requirement="has basic constraints with CA:FALSE",
    consequence=_REJECTED,
    fix=f"{_ANEW} with CA:FALSE; in a file with a chain, the client's own comes first.",
    source="[cloud]",
)
DIGITAL_SIGNATURE = Rule(
    identifier="digital-signature",
    scope=Scope.CLIENT,
    requirement="has digitalSignature in its key usage",
    consequence="It is outside what Temporal Cloud documents: it may be rejected, now or later.",
    fix=f"{_ANEW} with the key usage digitalSignature. `tcld gen leaf` sets none.",
    source="[cloud]",
)
AUTHORITY = Rule(
    identifier="authority",
    scope=Scope.AUTHORITY,
    requirement="has basic constraints with CA:TRUE",
    consequence="What it issued is worth nothing: every verifier refuses it.",
    fix="Leave out of the bundle what is no authority; have clients issued by one.",
    source="[cloud], [5280] 4.2.1.9",
)
AUTHORITY_KEY_USAGE = Rule(
    identifier="authority-key-usage",
    scope=Scope.AUTHORITY,
    requirement="has keyCertSign in its key usage, if it has one",
    consequence="What it issued is refused: its key may not sign certificates.",
    fix="Issue the authority's certificate anew, for the same key, with keyCertSign and cRLSign.",
    source="[5280] 4.2.1.3",
)
PATH_LENGTH = Rule(
    identifier="path-length",
    scope=Scope.AUTHORITY,
    requirement="has no more authorities below it than its path length allows",
    consequence="Everything that is issued below is refused.",
    fix="Raise the path length, or issue from the authority itself.",
    source="[5280] 4.2.1.9",
)
NAME_CONSTRAINTS = Rule(
    identifier="name-constraints",
    scope=Scope.CHAIN,
    requirement="has no name that the name constraints of an authority above it exclude",
    consequence="It is refused, whatever it is used for: one such name is enough.",
    fix="Leave the name out, or have an authority issue it whose constraints permit the name.",
    source="[5280] 4.2.1.10, [go]",
)
CERTIFICATE_POLICIES = Rule(
    identifier="certificate-policies",
    scope=Scope.CHAIN,
    requirement="has certificate policies from the root to the client, if a certificate in it requires one",
    consequence="Temporal's server refuses the chain.",
    fix=f"{_ANEW} with the policies of those above it, or without policy constraints in the whole chain.",
    source="[5280] 6.1, [go]",
)
CHAIN_COMPLETE = Rule(
    identifier="chain-complete",
    scope=Scope.CHAIN,
    requirement="leads, by verified signatures, to an authority that is trusted",
    consequence="The client is refused as issued by an unknown authority.",
    fix="Append the missing authorities to the client's file, or add its root to the CA bundle.",
    source="[cloud], [5280] 6.1",
)
UNIQUE_NAMES = Rule(
    identifier="unique-names",
    scope=Scope.CHAIN,
    requirement="has no distinguished name twice, whatever case and blanks, from the client to the root",
    consequence="Temporal Cloud refuses the chain.",
    fix=f"{_ANEW} under a name of its own.",
    source="[cloud], [5280] 7.1",
)
NO_PRIVATE_KEY = Rule(
    identifier="no-private-key",
    scope=Scope.BUNDLE,
    requirement="holds no private key",
    consequence="Uploaded, it gives the authority away: whoever reads it can issue clients.",
    fix="Take the key out of the file. If the file was uploaded or shared, roll the authority over.",
    source="[cloud]",
)
BUNDLE_CLOSED = Rule(
    identifier="bundle-closed",
    scope=Scope.BUNDLE,
    requirement="has roots, and what others in it issued, by verified signatures",
    consequence=_REJECTED,
    fix="Add its issuer's certificate to the bundle.",
    source="[cloud]",
)
BUNDLE_COUNT = Rule(
    identifier="bundle-count",
    scope=Scope.BUNDLE,
    requirement=f"holds at most {MOST_IN_A_BUNDLE} certificates",
    consequence="Temporal Cloud rejects the bundle.",
    fix="Take out what is no longer used, or put one root above several.",
    source="[cloud]",
)
BUNDLE_SIZE = Rule(
    identifier="bundle-size",
    scope=Scope.BUNDLE,
    requirement=f"has at most {LARGEST_BUNDLE_BYTES // 1024} KB ({LARGEST_BUNDLE_BYTES} bytes) of PEM",
    consequence="Temporal Cloud rejects the bundle.",
    fix="Take out comments and what is no longer used; EC certificates are a third of the size.",
    source="[cloud]",
)
BUNDLE_DUPLICATES = Rule(
    identifier="bundle-duplicates",
    scope=Scope.BUNDLE,
    requirement="holds no certificate twice",
    consequence="It counts twice towards the limits, and removed once it is still trusted.",
    fix="Take it out.",
    source="[cloud]",
)
WELL_KNOWN_AUTHORITY = Rule(
    identifier="well-known-authority",
    scope=Scope.BUNDLE,
    requirement="holds no public authority, unless there are certificate filters",
    consequence="Temporal Cloud rejects it: anybody could buy a certificate that gets in.",
    fix="Use an authority of your own, or set certificate filters (and check with --filters).",
    source="[cloud]",
)

RULES = (
    CERTIFICATE_PRESENT,
    CERTIFICATE_READABLE,
    NO_TRAILING_DATA,
    KEY_MATCHES,
    KEY_WITHOUT_PASSPHRASE,
    EXTENSIONS_READABLE,
    X509V3,
    SIGNATURE_ALGORITHM,
    SIGNATURE_HASH,
    SIGNATURE_PADDING,
    KEY_ALGORITHM,
    KEY_SIZE,
    CRITICAL_EXTENSIONS,
    NOT_CRITICAL,
    SERIAL_NUMBER,
    NAME_ENCODING,
    URI_READABLE,
    NOT_YET_VALID,
    EXPIRED,
    EXTENDED_KEY_USAGE,
    LEAF_NOT_AUTHORITY,
    DIGITAL_SIGNATURE,
    AUTHORITY,
    AUTHORITY_KEY_USAGE,
    PATH_LENGTH,
    NAME_CONSTRAINTS,
    CERTIFICATE_POLICIES,
    CHAIN_COMPLETE,
    UNIQUE_NAMES,
    NO_PRIVATE_KEY,
    BUNDLE_CLOSED,
    BUNDLE_COUNT,
    BUNDLE_SIZE,
    BUNDLE_DUPLICATES,
    WELL_KNOWN_AUTHORITY,
)


def table(rules: Iterable[Rule] = RULES) -> Iterator[str]:
    """Return the rules as lines of a Markdown table."""
    yield "| rule | what | requirement | otherwise | source |"
    yield "|---|---|---|---|---|"
    for rule in rules:
        cells = (f"`{rule.identifier}`", rule.scope, rule.requirement, rule.consequence, rule.source)
        yield f"| {' | '.join(cells)} |"


def joined(findings: Iterable[Finding]) -> str:
    """Return findings as one text, without a full stop at its end, for a message about something else."""
    return " ".join(map(str, findings)).removesuffix(".")
