"""What is handed out to be presented again: authorization codes, refresh tokens, and sign-in sessions.

Each is a random word; kept is only its hash, with what it stands for. They outlive a restart, as Entra's do.
"""

import hashlib
import secrets
from dataclasses import asdict, dataclass
from typing import Any

from localazure.entra.errors import Refusal
from localazure.store import Document, Store

_KIND = "entra"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a person lets a client do; times are in seconds since the epoch."""

    tenant_id: str
    client_id: str
    person_id: str
    scope: str
    """As the client spelt it."""
    confidential: bool
    """Whether the client is one that has to prove to be itself."""
    issued_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Code(Grant):
    """A grant that is to be redeemed once, with what binds it to the sign-in it came from."""

    redirect_uri: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None


class Codes:
    def __init__(self, store: Store) -> None:
        self._store = store

    def issue_code(self, code: Code) -> str:
        return self._keep("code", asdict(code), prefix="1.")

    def code(self, presented: str, now: float, lifetime_seconds: float) -> Code:
        """What the code stands for; Refusal unless it is one, is young enough and has not been redeemed."""
        kept = self._find("code", presented)
        if kept is None:
            raise Refusal("invalid_grant", 9002313, "Invalid request. Request is malformed or invalid.")
        if kept.pop("redeemed", False):
            raise Refusal(
                "invalid_grant",
                54005,
                "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing "
                "refresh token.",
            )
        code = Code(**kept)
        if now >= code.issued_at + lifetime_seconds:
            raise _expired()
        return code

    def redeem(self, presented: str) -> None:
        """From now on the code is refused."""
        key = _key("code", presented)
        kept = self._store.get(_KIND, key) or {}
        self._store.put(_KIND, key, kept | {"redeemed": True})

    def issue_refresh_token(self, grant: Grant) -> str:
        return self._keep("refresh-token", asdict(grant), prefix="1.A")

    def refresh_token(self, presented: str, now: float, lifetime_seconds: float) -> Grant:
        """What the refresh token stands for, any number of times; Refusal unless it is one and is young enough."""
        kept = self._find("refresh-token", presented)
        if kept is None:
            raise Refusal("invalid_grant", 9002313, "Invalid request. Request is malformed or invalid.")
        grant = Grant(**kept)
        if now >= grant.issued_at + lifetime_seconds:
            raise _expired()
        return grant

    def start_session(self, tenant_id: str, person_id: str) -> str:
        return self._keep("session", {"tenantId": tenant_id, "personId": person_id, "id": secrets.token_hex(16)})

    def session(self, presented: str, tenant_id: str) -> Document | None:
        """Who is signed in to the tenant: `personId`, and `id`, which may be shown."""
        kept = self._find("session", presented)
        return kept if kept is not None and kept["tenantId"] == tenant_id else None

    def end_session(self, presented: str) -> None:
        self._store.delete(_KIND, _key("session", presented))

    def _keep(self, what: str, document: dict[str, Any], prefix: str = "") -> str:
        word = prefix + secrets.token_urlsafe(48)
        self._store.put(_KIND, _key(what, word), document)
        return word

    def _find(self, what: str, presented: str) -> Document | None:
        return self._store.get(_KIND, _key(what, presented))


def _key(what: str, word: str) -> str:
    return f"{what}/{hashlib.sha256(word.encode()).hexdigest()}"


def _expired() -> Refusal:
    return Refusal(
        "invalid_grant",
        70008,
        "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive "
        "authorization request for this user and resource.",
    )
