"""Makes an exchange with a vault fit to be shown: what differs from run to run, or tells who asked, is a placeholder.

Placeholders are numbered by first appearance, and say what a replay must know: `<certificate-2 of key-1>` is made for
the key of `<csr-1 of key-1>`. So two recordings of the same exchanges, from two clouds, can be compared as text, and
`Redactor.known` leads from a placeholder back to what stands for it in this cloud. Private keys are looked at for their
public half, and go nowhere; headers pass by name only, and a last search (`leaks`) is independent of all rules.
"""

import base64
import binascii
import re
from collections.abc import Hashable, Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tools.verify_azure.exchanges import Exchange, RawExchange

_SECONDS_A_DAY = 86_400
_LONGEST_COUNTED_BYTES = 512

_TIMES = frozenset({"nbf", "exp", "created", "updated", "deletedDate", "scheduledPurgeDate"})
_CERTIFICATES = frozenset({"cer", "x5c"})
_BYTES = frozenset({"n", "x", "y", "x5t", "value", "digest"})
_PRIVATE = frozenset({"d", "dp", "dq", "p", "q", "qi", "k", "key_hsm", "pwd"})
_SHOWN_HEADERS = frozenset({"content-type", "location", "retry-after", "x-ms-keyvault-service-version"})

_UNREADABLE = (TypeError, UnsupportedAlgorithm, ValueError)

_TOKEN = re.compile(r"\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?")
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_GUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_ID = re.compile(r"\b[0-9a-f]{32}\b")
_BASE64 = "[A-Za-z0-9+/_=-]"
_OPAQUE = re.compile(
    rf"(?={_BASE64}*\d)(?={_BASE64}*[A-Z])(?={_BASE64}*[a-z]){_BASE64}{{40,}}|(?<![0-9a-fA-F])[0-9a-fA-F]{{40,}}"
)
_WORDS = (
    (re.compile(r"(?i)(?<=/resourcegroups/)[^/'\s]+"), "<group>"),
    (re.compile(r"(?<=location=)[\w-]+"), "<location>"),
    (re.compile(r"(?<=Client address: )\S+"), "<address>"),
    (re.compile(r"(?<=Caller: )[^\r\n]+"), "<caller>"),
    (re.compile(r"(?<=application ')[^']*"), "<caller>"),
    (re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])"), "<address>"),
    (re.compile(r"[\w.+#-]+@[\w-]+\.[\w.-]+"), "<mail>"),
)
_LEAKS = {
    "a token": _TOKEN,
    "PEM": re.compile(r"-----BEGIN"),
    "a bearer header": re.compile(r"(?i)\bbearer\s+[\w.-]{20,}"),
    "something long and opaque": _OPAQUE,
}


class Redactor:
    """Redacts the exchanges of one check with one vault, in the order in which they happened.

    `prefix` is what every name of the check begins with; entries of lists under other names are left out.
    """

    def __init__(self, *, vault_uri: str, vault_name: str, prefix: str) -> None:
        self._origin = vault_uri.rstrip("/")
        self._vault_name = re.compile(rf"(?i)(?<![\w-]){re.escape(vault_name)}(?![\w-])")
        self._prefix = prefix
        self._labels: dict[str, dict[Hashable, str]] = {}
        self._known: dict[str, str] = {"prefix": prefix}
        self._public_keys: dict[str, bytes] = {}
        self._now = datetime.now(UTC).timestamp()

    def exchange(self, raw: RawExchange) -> Exchange:
        """Return the exchange with placeholders."""
        url = urlsplit(raw.url)
        return Exchange(
            caller=raw.caller,
            method=raw.method,
            path=self.text(url.path),
            query={name: self.text(value) for name, value in parse_qsl(url.query)},
            request=self._value(raw.request),
            status=raw.status,
            headers={name: self.text(value) for name, value in raw.headers.items() if name.lower() in _SHOWN_HEADERS},
            response=self._value(raw.response),
        )

    def text(self, text: str) -> str:
        """Return free text with placeholders for whatever tells where it comes from."""
        text = _TOKEN.sub("<token>", _PEM.sub("<pem>", text))
        text = text.replace(self._origin, "https://<vault>").replace(self._prefix, "<prefix>")
        text = self._vault_name.sub("<vault>", text)
        text = _GUID.sub(lambda found: self._label("guid", found[0].lower(), found[0]), text)
        text = _ID.sub(lambda found: self._label("id", found[0], found[0]), text)
        for pattern, placeholder in _WORDS:
            text = pattern.sub(placeholder, text)
        return _OPAQUE.sub("<opaque>", text)

    def known(self, placeholder: str) -> str | None:
        """Return what a placeholder, without its brackets, stands for here; None if it has not appeared yet."""
        return self._known.get(placeholder)

    def public_key(self, key: str) -> bytes | None:
        """Return the SubjectPublicKeyInfo of `key-N`, None if it has not appeared yet."""
        return self._public_keys.get(key)

    def _label(self, kind: str, identity: Hashable, actual: str, detail: str = "") -> str:
        known = self._labels.setdefault(kind, {})
        name = known.setdefault(identity, f"{kind}-{len(known) + 1}{detail}")
        self._known.setdefault(name, actual)
        return f"<{name}>"

    def _value(self, value: Any, member: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self._value(child, name) for name, child in value.items() if child is not None}
        if isinstance(value, list):
            entries = [self._value(child, member) for child in value if self._is_ours(child)]
            # A vault lists in no order that says anything.
            return sorted(entries, key=str) if member == "value" else entries
        if isinstance(value, str):
            return self._string(value, member)
        if member in _TIMES and isinstance(value, int):
            return f"<time{round((value - self._now) / _SECONDS_A_DAY):+d}d>"
        return value

    def _is_ours(self, entry: Any) -> bool:
        if not isinstance(entry, dict):
            return True
        name = entry.get("id") or entry.get("kid")
        return name is None or f"/{self._prefix}" in str(name)

    def _string(self, text: str, member: str) -> str:
        if member in _PRIVATE:
            return "<removed>"
        if member == "csr":
            return self._signing_request(text)
        if member in _CERTIFICATES:
            return self._certificate(text)
        if member in _BYTES:
            return self._pem(text) if "-----BEGIN" in text else self._bytes(text)
        return self.text(text)

    def _bytes(self, text: str) -> str:
        data = _decoded(text)
        if data is None:
            return "<text>"
        detail = f" of {len(data)} bytes" if len(data) <= _LONGEST_COUNTED_BYTES else ""
        return self._label("value", data, text, detail)

    def _signing_request(self, text: str) -> str:
        data = _decoded(text) or b""
        try:
            key = self._key(x509.load_der_x509_csr(data).public_key())
        except _UNREADABLE:
            return self._bytes(text)
        return self._label("csr", data, text, f" of {key}")

    def _certificate(self, text: str) -> str:
        data = _decoded(text) or b""
        try:
            return f"<{self._certificate_name(x509.load_der_x509_certificate(data))}>"
        except _UNREADABLE:
            return self._bytes(text)

    def _certificate_name(self, certificate: x509.Certificate) -> str:
        data = certificate.public_bytes(Encoding.DER)
        detail = f" of {self._key(certificate.public_key())}"
        if certificate.not_valid_after_utc.timestamp() < self._now:
            detail += ", ended"
        return self._label("certificate", data, base64.b64encode(data).decode(), detail)[1:-1]

    def _pem(self, text: str) -> str:
        """Say which blocks there are, in which order, and for which keys."""
        return f"<pem: {'; '.join(self._block(found[1], found[0].encode()) for found in _PEM.finditer(text))}>"

    def _block(self, kind: str, block: bytes) -> str:
        try:
            if kind == "CERTIFICATE":
                return self._certificate_name(x509.load_pem_x509_certificate(block))
            if kind.endswith("PRIVATE KEY"):
                return f"{kind} of {self._key(load_pem_private_key(block, None).public_key())}"
        except _UNREADABLE:
            pass
        return kind

    def _key(self, public_key: Any) -> str:
        data: bytes = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        name = self._label("key", data, "")[1:-1]
        self._public_keys[name] = data
        return name


def leaks(text: str, secrets: Iterable[str] = ()) -> list[str]:
    """Say what `text` must not hold and does, without repeating it: tokens, keys, and the given `secrets`."""
    found = [what for what, pattern in _LEAKS.items() if pattern.search(text)]
    if any(secret.lower() in text.lower() for secret in secrets if secret):
        found.append("a name, an id or a secret of this account")
    return found


def _decoded(text: str) -> bytes | None:
    """The bytes of base64 or base64url, padded or not."""
    try:
        standard = text.replace("-", "+").replace("_", "/")
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
