"""Does again, against local Azure, what a recording says was done to a vault, and says what comes out differently.

A replay redacts its own exchanges as the recording's were, so that the two can be compared as they are. What a request
needs and a recording does not hold (a version, a digest, a certificate for a pending request) is what stands for the
placeholder here, or is made.
"""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.rest import HttpRequest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.engine.localazure.vault_clients import OTHER, VaultClients, certificate_builder, der, fresh
from tools.verify_azure.exchanges import Exchange, RawExchange, Recording
from tools.verify_azure.redaction import Redactor

_PLACEHOLDER = re.compile(r"<([^<>]+)>")
_CERTIFICATE = re.compile(r"certificate-\d+ of (?P<key>key-\d+)(?P<ended>, ended)?")
_VALUE = re.compile(r"value-(?P<number>\d+)(?: of (?P<size>\d+) bytes)?")
_TIME = re.compile(r"<time(?P<days>[+-]\d+)d>")
_WORDS = frozenset({"message", "status_details"})
_MOST_POLLS = 50


class Replay:
    """One recording in one vault of local Azure that fits its conditions."""

    def __init__(self, recording: Recording, vault: VaultClients) -> None:
        self._recording = recording
        self._vault = vault
        self._redactor = Redactor(vault_uri=vault.uri, vault_name=vault.name, prefix=fresh())
        self._authority = ec.generate_private_key(ec.SECP256R1())

    def differences(self) -> Iterator[str]:
        """Say, exchange by exchange, what local Azure answers otherwise."""
        for number, recorded in enumerate(self._recording.exchanges, start=1):
            answered = self._exchanged(recorded)
            for found in compared(recorded, answered):
                yield f"{self._recording.file_name}, {number}. {recorded.method} {recorded.path}: {found}"

    def _exchanged(self, recorded: Exchange) -> Exchange:
        """Send what is recorded; a question again until it is answered alike, for the recorded answer may have taken
        time.
        """
        polls = _MOST_POLLS if recorded.method == "GET" else 1
        for _ in range(polls):
            answered = self._sent(recorded)
            if not compared(recorded, answered):
                break
        return answered

    def _sent(self, recorded: Exchange) -> Exchange:
        client = self._vault.certificates("deployer" if recorded.caller == "deployer" else OTHER)
        body = self._real(recorded.request)
        request = HttpRequest(
            recorded.method,
            str(self._real(recorded.path)),
            params={name: self._real(value) for name, value in recorded.query.items()},
            json=body,
        )
        response = client.send_request(request)
        return self._redactor.exchange(
            RawExchange(
                caller=recorded.caller,
                method=recorded.method,
                url=str(response.request.url),
                request=body,
                status=response.status_code,
                headers=dict(response.headers),
                response=response.json() if response.text() else None,
            )
        )

    def _real(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._real(child) for name, child in value.items()}
        if isinstance(value, list):
            return [self._real(child) for child in value]
        if not isinstance(value, str):
            return value
        if time := _TIME.fullmatch(value):
            return int((datetime.now(UTC) + timedelta(days=int(time["days"]))).timestamp())
        return _PLACEHOLDER.sub(lambda found: self._meant(found[1]), value)

    def _meant(self, placeholder: str) -> str:
        known = self._redactor.known(placeholder)
        if known is not None:
            return known
        if certificate := _CERTIFICATE.fullmatch(placeholder):
            return self._issued(certificate["key"], ended=certificate["ended"] is not None)
        if value := _VALUE.fullmatch(placeholder):
            return base64.b64encode(bytes([int(value["number"])]) * int(value["size"] or 1)).decode()
        return "text"

    def _issued(self, key: str, *, ended: bool) -> str:
        known = self._redactor.public_key(key)
        public_key: Any = load_der_public_key(known) if known else ec.generate_private_key(ec.SECP256R1()).public_key()
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "replay")])
        builder = certificate_builder(name, name, public_key)
        if ended:
            now = datetime.now(UTC)
            builder = x509.CertificateBuilder(
                name, name, public_key, x509.random_serial_number(), now - timedelta(days=60), now - timedelta(days=30)
            )
        return base64.b64encode(der(builder.sign(self._authority, hashes.SHA256()))).decode()


def compared(recorded: Exchange, answered: Exchange) -> list[str]:
    """Say how status, codes and body of an answer differ from the recorded ones; words and times may."""
    if recorded.status != answered.status:
        return [f"recorded {recorded.status} {_code(recorded)}, local Azure {answered.status} {_code(answered)}"]
    return list(_body_differences(recorded.response, answered.response, "body"))


def _body_differences(recorded: Any, answered: Any, place: str) -> Iterator[str]:
    if isinstance(recorded, dict) and isinstance(answered, dict):
        for name in sorted(recorded.keys() | answered.keys()):
            if name not in answered:
                yield f"{place}.{name} is not in local Azure's answer"
            elif name not in recorded:
                yield f"{place}.{name} is in local Azure's answer alone"
            elif name not in _WORDS:
                yield from _body_differences(recorded[name], answered[name], f"{place}.{name}")
    elif isinstance(recorded, list) and isinstance(answered, list) and len(recorded) == len(answered):
        for index, (one, other) in enumerate(zip(recorded, answered, strict=True)):
            yield from _body_differences(one, other, f"{place}[{index}]")
    elif _shape(recorded) != _shape(answered):
        yield f"{place}: recorded {recorded!r}, local Azure {answered!r}"


def _shape(value: Any) -> Any:
    """Times are all alike: a recording and its replay are of different days, and months differ in length."""
    return "<time>" if isinstance(value, str) and _TIME.fullmatch(value) else value


def _code(exchange: Exchange) -> str:
    error = exchange.response.get("error", {}) if isinstance(exchange.response, dict) else {}
    return " ".join(filter(None, [error.get("code"), error.get("innererror", {}).get("code")]))
