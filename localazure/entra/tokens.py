"""Signing tokens, and telling who presents one. What a token says is decided in claims.py."""

from typing import Any

import jwt

from localazure.access import Principal
from localazure.entra import directory
from localazure.entra.keys import SigningKeys
from localazure.store import Store


class TokenRefused(Exception):
    """The token is not one that this resource takes: `reason` is expired, audience or invalid."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Tokens:
    """Signs tokens of every tenant and checks those of one, `tenant_id`. `origin` is `https://127.0.0.1:PORT`."""

    def __init__(self, store: Store, origin: str, tenant_id: str) -> None:
        self._store = store
        self._origin = origin
        self._tenant_id = tenant_id
        self.keys = SigningKeys(store)

    def issuer(self, tenant_id: str, version: int) -> str:
        """Of the tenant's tokens: version 1 is what ARM, Key Vault and Graph take."""
        return f"{self._origin}/{tenant_id}/" if version == 1 else f"{self._origin}/{tenant_id}/v2.0"

    def jwks(self, tenant_id: str) -> dict[str, Any]:
        """The published keys, as the tenant shows them: every tenant has the same."""
        return {"keys": [key | {"issuer": self.issuer(tenant_id, 2)} for key in self.keys.published()]}

    def sign(self, claims: dict[str, Any]) -> str:
        key_id, key = self.keys.signing
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": key_id})

    def caller(self, token: str, audiences: tuple[str, ...]) -> Principal:
        """Who presents the token; TokenRefused as `claims` does, or if the directory does not know them any more."""
        claims = self.claims(token, audiences)
        known = directory.by_object_id(self._store, claims["oid"])
        if known is None:
            raise TokenRefused("invalid", "The access token's principal is not in the directory any more.")
        return Principal(
            name=known["name"],
            object_id=known["objectId"],
            client_id=claims["appid"],
            tenant_id=claims["tid"],
            issuer=claims["iss"],
            issued_at=int(claims["iat"]),
            groups=tuple(known["memberOf"]),
        )

    def claims(self, token: str, audiences: tuple[str, ...]) -> dict[str, Any]:
        """What the token says; TokenRefused unless it is valid now, of version 1, ours, and for one of the audiences.

        Audiences are compared without a trailing slash, as the services do.
        """
        try:
            key = self.keys.public(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                raise jwt.InvalidKeyError("it is signed with a key that is not published")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                issuer=self.issuer(self._tenant_id, 1),
                options={"verify_aud": False, "require": ["exp", "iat", "aud", "iss", "oid", "appid", "tid"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenRefused("expired", "The access token has expired.") from error
        except jwt.PyJWTError as error:
            raise TokenRefused("invalid", f"The access token is invalid: {error}") from error
        if str(claims["aud"]).rstrip("/") not in {audience.rstrip("/") for audience in audiences}:
            raise TokenRefused("audience", f"The access token is for '{claims['aud']}', not for '{audiences[0]}'.")
        return claims
