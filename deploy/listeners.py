"""What listeners really present, asked by a TLS handshake, all at once.

What is issued may not be delivered, and what is delivered may not be loaded: only the handshake tells. Under TLS 1.3 a
server shows its certificate before it has judged the client's, so even one that admits others answers the question; who
is let in shows a moment later. A certificate that does not verify is fetched by a second handshake without
verification, over which nothing is said. Whether it has ended is not for OpenSSL to say: whoever judges has a clock.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Self

from cryptography import x509

from environment import Environment
from pki import to_pem

TIMEOUT_SECONDS = 5.0
"""How long a listener has to present something."""

_HANDSHAKE_SECONDS, _VERDICT_SECONDS = 4.0, 0.5
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which Python's ssl has no name for
_ADDRESS, _SERVER_NAME = "TEMPORAL_ADDRESS", "TEMPORAL_TLS_SERVER_NAME"
_WHERE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^\s:=\[\]]+):(?P<port>[0-9]{1,5})(?:=(?P<name>[^\s=]+))?")
_NOT_TLS = {
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "UNKNOWN_PROTOCOL",
    "RECORD_LAYER_FAILURE",
}


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Where to ask, and under which name. `named` says that somebody asked for exactly this one."""

    host: str
    port: int
    server_name: str
    named: bool = True

    @classmethod
    def parse(cls, text: str, server_name: str) -> Self:
        """Return what HOST:PORT or HOST:PORT=NAME means, the name being `server_name` unless said.

        Raises ValueError, which says what would be right.
        """
        found = _WHERE.fullmatch(text.strip())
        if not found or not 0 < int(found["port"]) < 65536:
            raise ValueError(
                f"{text!r} is not HOST:PORT or HOST:PORT=NAME, such as 10.0.0.4:7236 or [::1]:7233=temporal.internal."
            )
        return cls(host=found["host"].strip("[]"), port=int(found["port"]), server_name=found["name"] or server_name)

    @classmethod
    def frontend(cls, environment: Environment) -> Self | None:
        """Return where the CLI finds the frontend, by its environment; None if that does not say."""
        try:
            named = cls.parse(environment[_ADDRESS], environment[_SERVER_NAME])
        except (KeyError, ValueError):
            return None
        return replace(named, named=False)

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Outcome(StrEnum):
    """How far it came: `presented` a certificate, said `no-tls`, ended the handshake (`failed`), or `unreachable`."""

    PRESENTED = "presented"
    NO_TLS = "no-tls"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, kw_only=True)
class Handshake:
    """What a listener did. `detail` is why it came no further, or why the certificate does not verify.

    `admitted` tells whether the certificate that was shown was let in, None where that does not show.
    """

    listener: Listener
    outcome: Outcome
    detail: str = ""
    certificate: x509.Certificate | None = None
    verifies: bool = False
    admitted: bool | None = None
    refusal: str = ""


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and of its private key."""

    certificate: Path
    private_key: Path

    @classmethod
    def below(cls, folder: Path, name: str) -> Self | None:
        """Return the pair `name` of a consumer's directory, both of one generation; None if there is none to show.

        Python's ssl takes keys from files alone, so one that was inlined is not shown: it goes into no other file.
        """
        generation = folder.resolve() / "..data"
        pair = cls(generation.resolve() / f"{name}.pem", generation.resolve() / f"{name}.key")
        try:
            _context(None, pair)
        except OSError:  # and so ssl.SSLError: they do not belong together
            return None
        return pair


def handshakes(
    listeners: Iterable[Listener], authorities: Iterable[x509.Certificate], pair: Pair | None
) -> list[Handshake]:
    """Ask each listener, verifying what it presents with `authorities` and showing `pair`, if there is one."""
    verifying, believing = _context("".join(map(to_pem, authorities)), pair), _context(None, pair)

    async def all_at_once() -> list[Handshake]:
        return list(await asyncio.gather(*(_asked(listener, verifying, believing) for listener in listeners)))

    return asyncio.run(all_at_once())


async def _asked(listener: Listener, verifying: ssl.SSLContext, believing: ssl.SSLContext) -> Handshake:
    try:
        try:
            return await _shaken(listener, verifying)
        except ssl.SSLCertVerificationError as error:
            return replace(await _shaken(listener, believing), verifies=False, detail=error.verify_message)
    except TimeoutError:
        return _ended(listener, Outcome.UNREACHABLE, f"no answer for {TIMEOUT_SECONDS:.0f} s")
    except ssl.SSLError as error:
        return _ended(listener, Outcome.NO_TLS if error.reason in _NOT_TLS else Outcome.FAILED, _reason(error))
    except ConnectionAbortedError:
        return _ended(listener, Outcome.FAILED, f"it does not answer a TLS greeting for {_HANDSHAKE_SECONDS:.0f} s")
    except (ConnectionResetError, BrokenPipeError):
        return _ended(listener, Outcome.FAILED, "it hangs up on a TLS greeting")
    except OSError as error:
        return _ended(listener, Outcome.UNREACHABLE, _why(error))
    except ValueError as error:
        return _ended(listener, Outcome.FAILED, f"{listener.server_name} is not a name to ask for: {error}")


def _context(trusted: str | None, pair: Pair | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    if trusted:
        context.load_verify_locations(cadata=trusted)
        # An intermediate may be what is trusted.
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
    elif trusted is None:
        context.verify_mode = ssl.CERT_NONE
    if pair:
        context.load_cert_chain(pair.certificate, pair.private_key)
    return context


async def _shaken(listener: Listener, context: ssl.SSLContext) -> Handshake:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        reader, writer = await asyncio.open_connection(
            listener.host,
            listener.port,
            ssl=context,
            server_hostname=listener.server_name,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS,
        )
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        found = Handshake(
            listener=listener,
            outcome=Outcome.PRESENTED,
            certificate=x509.load_der_x509_certificate(shown),
            verifies=True,
        )
        try:
            # gRPC greets whom it admits; an alert comes to whom it does not.
            async with asyncio.timeout(_VERDICT_SECONDS):
                greeted = await reader.read(1)
        except TimeoutError:
            return found
        except ssl.SSLError as error:
            return replace(found, admitted=False, refusal=_reason(error))
        except OSError:
            return found
        return replace(found, admitted=True) if greeted else found
    finally:
        await _closed(writer)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):  # it was closed with an alert
        await writer.wait_closed()


def _ended(listener: Listener, outcome: Outcome, detail: str) -> Handshake:
    return Handshake(listener=listener, outcome=outcome, detail=detail)


def _why(error: OSError) -> str:
    """In a few words, the first address's where a name has several."""
    found = re.search(r"\[Errno (\d+)\]", str(error))
    return os.strerror(int(found[1])) if found else error.strerror or str(error)


def _reason(error: ssl.SSLError) -> str:
    """In the words of the protocol: "certificate required" for TLSV13_ALERT_CERTIFICATE_REQUIRED."""
    words = re.sub(r"^(TLSV\d+|SSLV\d+)_(ALERT_)?", "", error.reason or "the handshake failed")
    return words.replace("_", " ").lower()
