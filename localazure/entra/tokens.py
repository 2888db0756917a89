"""Access tokens: RS256, signed with a key that is kept with the state, so that tokens and JWKS outlive a restart."""

import time
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from localazure.access import Principal
from localazure.entra import directory
from localazure.store import Document, Store

_KIND, _KEY = "entra", "signing-key"


class TokenRefused(Exception):
    """The token is not one that this resource takes: `reason` is expired, audience or invalid."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Tokens:
    """Issues and checks the tenant's access tokens. `origin` is `https://127.0.0.1:PORT`."""

    def __init__(self, store: Store, origin: str, tenant_id: str) -> None:
        self._store = store
        self._tenant_id = tenant_id
        kept = store.get(_KIND, _KEY)
        if kept is None:
            kept = _new_key()
            store.put(_KIND, _KEY, kept)
        key = serialization.load_pem_private_key(kept["pem"].encode(), password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key
        self._key_id: str = kept["kid"]
        self.issuer = f"{origin}/{tenant_id}/"
        """Of v1 tokens, which ARM and Key Vault take."""
        self.issuer_v2 = f"{origin}/{tenant_id}/v2.0"

    @property
    def jwks(self) -> dict[str, Any]:
        public = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [public | {"use": "sig", "alg": "RS256", "kid": self._key_id, "issuer": self.issuer_v2}]}

    def issue(self, principal: Document, audience: str, lifetime_seconds: int) -> str:
        """An app-only v1 token of the service principal for the audience."""
        now = int(time.time())
        claims = {
            "aud": audience,
            "iss": self.issuer,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime_seconds,
            "tid": self._tenant_id,
            "oid": principal["objectId"],
            "sub": principal["objectId"],
            "appid": principal["clientId"],
            "appidacr": "1",
            "idp": self.issuer,
            "idtyp": "app",
            "uti": uuid.uuid4().hex,
            "ver": "1.0",
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._key_id, "x5t": self._key_id})

    def caller(self, token: str, audiences: tuple[str, ...]) -> Principal:
        """Who presents the token; TokenRefused unless it is valid now, ours, and for one of the audiences.

        Audiences are compared without a trailing slash, as the services do.
        """
        try:
            claims = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                issuer=self.issuer,
                options={"verify_aud": False, "require": ["exp", "iat", "aud", "iss", "oid", "appid", "tid"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise TokenRefused("expired", "The access token has expired.") from error
        except jwt.InvalidTokenError as error:
            raise TokenRefused("invalid", f"The access token is invalid: {error}") from error
        if str(claims["aud"]).rstrip("/") not in {audience.rstrip("/") for audience in audiences}:
            raise TokenRefused("audience", f"The access token is for '{claims['aud']}', not for '{audiences[0]}'.")
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


def _new_key() -> Document:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {"kid": uuid.uuid4().hex, "pem": pem.decode()}
