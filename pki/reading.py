"""Takes certificates and private keys out of whatever file somebody has: PEM, DER or PKCS#12.

What cannot be read is a finding, never a traceback; and nothing said here quotes what was read, since that may be a
private key.
"""

from __future__ import annotations

import binascii
import codecs
import re
import warnings
from base64 import b64decode
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs12

from pki import rules
from pki.held import Held
from pki.rules import Finding, Place

_LABEL_OF_OLD = b"X509 CERTIFICATE"
"""What OpenSSL takes for the same, and Go's AppendCertsFromPEM passes over in silence."""
_CERTIFICATE_LABELS = {b"CERTIFICATE", _LABEL_OF_OLD}
_HARMLESS_LABELS = {b"EC PARAMETERS", b"DH PARAMETERS", b"PUBLIC KEY"}
_PKCS7_LABELS = {b"PKCS7", b"CMS"}
_PKCS7 = "is PKCS#7, which Temporal does not read: `openssl pkcs7 -print_certs` makes PEM of it"
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
"""The object identifier that PKCS#7 begins with (RFC 2315, 14)."""
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_REST_OF_LINE = re.compile(rb"[ \t\r]*(?:\n|\Z)")
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)


class PasswordNeeded(Exception):
    """A PKCS#12 file does not open with the password given, or without one."""


@dataclass(frozen=True, kw_only=True)
class PrivateKey:
    """That there is a private key, and whose: `public_key` is DER, or None where it could not be found out.

    The key itself is not kept.
    """

    public_key: bytes | None
    has_passphrase: bool = False

    def belongs_to(self, each: Held) -> bool | None:
        """Tell whether a certificate is for this key; None if that could not be found out."""
        if self.public_key is None or each.public_key is None:
            return None
        return self.public_key == each.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass(kw_only=True)
class Contents:
    """What a file holds, in its order."""

    certificates: list[Held] = field(default_factory=list)
    private_keys: list[PrivateKey] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def read(data: bytes, *, file: str = "", password: bytes | None = None) -> Contents:
    """Return what a file holds. The password is for PKCS#12 alone; of other formats, the format is recognised.

    Raises PasswordNeeded, and nothing else.
    """
    with warnings.catch_warnings():
        # Of values that are outside the standards but in use; the rules judge what matters.
        warnings.simplefilter("ignore")
        reader = _Reader(file)
        if _BEGIN.search(data):
            reader.pem(data)
        elif _is_pkcs12(data):
            reader.pkcs12(data, password)
        elif _content(data).startswith(_SIGNED_DATA):
            reader.find(rules.CERTIFICATE_READABLE, _PKCS7)
        elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            reader.find(rules.CERTIFICATE_READABLE, "is text in UTF-16, which Temporal does not read: save it as ASCII")
        elif data[:1] == b"\x30":
            reader.der(data)
        if not (reader.contents.certificates or reader.contents.private_keys or reader.contents.findings):
            reader.find(rules.CERTIFICATE_PRESENT, "holds no certificate")
        return reader.contents


class _Reader:
    def __init__(self, file: str) -> None:
        self.contents = Contents()
        self._file = file
        self._count = 0

    def find(self, rule: rules.Rule, what: str, place: Place | None = None) -> None:
        self.contents.findings.append(Finding(rule=rule, what=what, place=place))

    def pem(self, text: bytes) -> None:
        """Read the blocks of a PEM file; text between them is a comment (RFC 7468, 5.2).

        A block stands on lines of its own: Go's encoding/pem does not see one that does not.
        """
        begins = [*_BEGIN.finditer(text)]
        for begin, following in zip(begins, [*begins[1:], None], strict=True):
            label = begin[1]
            rest = text[begin.end() : following.start() if following else len(text)]
            body, end, _ = rest.partition(b"-----END " + label + b"-----")
            ends = begin.end() + len(body)
            is_seen = _is_line(text, *begin.span()) and _is_line(text, ends, ends + len(end))
            if label.endswith(b"PRIVATE KEY"):
                self._private_key(begin[0] + body + end if is_seen else b"", pem=True)
            elif label in _CERTIFICATE_LABELS:
                self._pem_certificate(body if end else None)
                if label == _LABEL_OF_OLD:
                    what = "begins with BEGIN X509 CERTIFICATE, which Temporal passes over: write BEGIN CERTIFICATE"
                    self.find(rules.CERTIFICATE_READABLE, f"{what}, and END CERTIFICATE", self._place)
                if end and not is_seen:
                    what = "has something beside it on its first or last line, where a byte order mark counts, too"
                    self.find(rules.CERTIFICATE_READABLE, what, self._place)
            elif label in _PKCS7_LABELS:
                self.find(rules.CERTIFICATE_READABLE, _PKCS7)
            elif label not in _HARMLESS_LABELS:
                self.find(rules.CERTIFICATE_READABLE, "holds a block of PEM that is neither certificate nor key")

    def der(self, data: bytes) -> None:
        """Read one certificate, or one private key."""
        if _looks_like_a_certificate(data):
            self._certificate(data)
        else:
            self._private_key(data, pem=False)

    def pkcs12(self, data: bytes, password: bytes | None) -> None:
        try:
            opened = pkcs12.load_pkcs12(data, password)
        except _UNREADABLE:
            raise PasswordNeeded from None
        own = [opened.cert.certificate] if opened.cert else []
        for certificate in [*own, *(more.certificate for more in opened.additional_certs)]:
            self._certificate(certificate.public_bytes(Encoding.DER))
        if opened.key is not None:
            self.contents.private_keys.append(_known(opened.key))

    def _pem_certificate(self, body: bytes | None) -> None:
        try:
            if body is None:
                raise ValueError
            self._certificate(b64decode(b"".join(body.split()), validate=True))
        except (ValueError, binascii.Error):
            self._count += 1
            what = "begins, and has no end" if body is None else "is no base64"
            self.find(rules.CERTIFICATE_READABLE, what, self._place)

    def _certificate(self, data: bytes) -> None:
        self._count += 1
        length = _length_of(data)
        if length is not None and 0 < length < len(data):
            self.find(rules.NO_TRAILING_DATA, f"is followed by {len(data) - length} more bytes", self._place)
            data = data[:length]
        try:
            certificate = x509.load_der_x509_certificate(data)
            self.contents.certificates.append(Held.of(certificate, position=self._count, file=self._file))
        except x509.InvalidVersion:
            self.find(rules.X509V3, "is of another X.509 version", self._place)
        except _UNREADABLE:
            self.find(rules.CERTIFICATE_READABLE, "cannot be read as a certificate", self._place)

    @property
    def _place(self) -> Place:
        return Place(file=self._file, position=self._count)

    def _private_key(self, data: bytes, *, pem: bool) -> None:
        load = serialization.load_pem_private_key if pem else serialization.load_der_private_key
        try:
            self.contents.private_keys.append(_known(load(data, None)))
        except TypeError:
            self.contents.private_keys.append(PrivateKey(public_key=None, has_passphrase=True))
        except _UNREADABLE:
            if pem:
                self.contents.private_keys.append(PrivateKey(public_key=None))
            else:
                self.find(rules.CERTIFICATE_READABLE, "holds DER that is no certificate")


def _known(key: PrivateKeyTypes) -> PrivateKey:
    public_key = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PrivateKey(public_key=public_key)


def _is_line(text: bytes, begin: int, end: int) -> bool:
    """Tell whether a part of a text is a line of it, whatever blanks follow."""
    return (not begin or text[begin - 1 : begin] == b"\n") and _REST_OF_LINE.match(text, end) is not None


def _length_of(data: bytes) -> int | None:
    """Return how long the DER element is that `data` begins with, its header included; None if it has no header."""
    if len(data) < 2:
        return None
    if data[1] < 0x80:
        return 2 + data[1]
    size = data[1] & 0x7F
    if not size or len(data) < 2 + size:
        return None
    return 2 + size + int.from_bytes(data[2 : 2 + size], "big")


def _content(data: bytes) -> bytes:
    """Return what is inside the DER element that `data` begins with, and after it."""
    return data[2 + (data[1] & 0x7F if data[1] & 0x80 else 0) :] if len(data) > 1 else b""


def _is_pkcs12(data: bytes) -> bool:
    """Tell a PFX from a certificate: both are sequences, and a PFX begins with its version (RFC 7292, 4)."""
    return data[:1] == b"\x30" and _content(data)[:3] == b"\x02\x01\x03"


def _looks_like_a_certificate(data: bytes) -> bool:
    """Tell a certificate from a private key: its first part begins with a version or a serial number of its own."""
    inner = _content(data)
    return inner[:1] == b"\x30" and _content(inner)[:1] in (b"\xa0", b"\x02")
