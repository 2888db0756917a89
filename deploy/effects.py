"""What new files ask of a consumer that runs: a restart, or nothing. Pure.

When each program reads a file was tried on the real ones: the server reads its certificate and its clients' authorities
again at a handshake, the UI its certificate when it connects anew (2.55), and each run of the CLI reads everything.
Whatever else there is, they read at their start: variables, server.yaml, the authorities of those they connect to.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from deploy.outputs import Startup
from environment import (
    CLI,
    SERVER,
    UI,
    AuthorityBundle,
    AuthoritySlot,
    Certificate,
    Content,
    Document,
    PrivateKey,
    contents,
)

Files = Mapping[str, bytes]

_ROOT = re.compile(r"TEMPORAL_TLS_SERVER\d*_CA_CERT")
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Effect:
    """What a consumer's new files ask for. `reasons` to restart it are clauses; with none it needs nothing."""

    consumer: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        if self.reasons:
            return f"Restart {self.consumer}: {'; '.join(self.reasons)}."
        return f"{self.consumer} needs nothing: it reads what has changed again by itself."


def effect(name: str, startup: Startup, before: Files, after: Files, now: datetime) -> Effect:
    """Return what the change from `before` to `after`, by path below the consumer's directory, asks of it at `now`."""
    if startup.consumer == CLI:
        return Effect(name, ())
    return Effect(name, tuple(dict.fromkeys(_reasons(startup, before, after, now))))


def _reasons(startup: Startup, before: Files, after: Files, now: datetime) -> Iterator[str]:
    consumer = startup.consumer
    known = contents(*startup.environments.values())
    if _trusted(startup, before) != _trusted(startup, after):
        yield "it reads the authorities that it trusts once, at its start"
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) == after.get(path):
            continue
        where = f"{consumer.directory}/{path}"
        if path in startup.environments:
            yield f"the variables in {path} are others"
        elif where == consumer.https_trust_path:
            yield "it reads the authorities that it trusts for HTTPS once, at its start"
        elif (content := known.get(where)) and (reason := _reason(startup, content, path, before, now)):
            yield reason


def _reason(startup: Startup, content: Content, path: str, before: Files, now: datetime) -> str | None:
    match content:
        case Document.SERVER_CONFIG:
            return f"it reads {path} once, at its start"
        case Certificate() if startup.consumer == SERVER and _ended(before.get(path), now):
            return "its certificate had ended, and what runs inside the server does not come back by itself"
        case Certificate() | PrivateKey() if startup.consumer not in (SERVER, UI):
            return "it reads its certificate once, at its start"
        case Document.DYNAMIC_CONFIG | Certificate() | PrivateKey() | AuthoritySlot() | AuthorityBundle():
            return None


def _trusted(startup: Startup, files: Files) -> set[bytes]:
    """The authorities of those that the consumer connects to, in whichever order and file they are."""
    paths = {
        path.removeprefix(f"{startup.consumer.directory}/")
        for environment in startup.environments.values()
        for variable, path in environment.items()
        if _ROOT.fullmatch(variable) or isinstance(contents({variable: path}).get(path), AuthorityBundle)
    }
    return {found for path in paths for found in _CERTIFICATE.findall(files.get(path, b""))}


def _ended(pem: bytes | None, now: datetime) -> bool:
    return pem is not None and x509.load_pem_x509_certificate(pem).not_valid_after_utc <= now
