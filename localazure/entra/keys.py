"""The signing keys of all tenants: one signs, the next is published ahead, old ones stay. Entra's tenants share theirs.

Resources read the keys now and then, not for every token. So a key is published from the rollover before the one that
lets it sign, and an old one for as long as tokens may still be under it. They are kept with the state, so that tokens
and published keys outlive a restart.
"""

import base64
import secrets
from collections.abc import Iterator
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from localazure.store import Document, Store

_KIND, _KEY = "entra", "signing-keys"
_NEXT, _SIGNING = 0, 1


class SigningKeys:
    """RSA keys by key id, newest first: the next one, the one that signs, and the old ones."""

    def __init__(self, store: Store) -> None:
        self._store = store
        if store.get(_KIND, _KEY) is None:
            store.put(_KIND, _KEY, {"keys": [_new_key(), _new_key()]})

    @property
    def signing(self) -> tuple[str, rsa.RSAPrivateKey]:
        """The id and the key that tokens are signed with now."""
        key = self._keys[_SIGNING]
        return key["kid"], _load(key["pem"])

    def published(self) -> Iterator[dict[str, Any]]:
        """Every key that resources may find a token under, as JSON Web Keys."""
        for key in self._keys:
            public = RSAAlgorithm.to_jwk(_load(key["pem"]).public_key(), as_dict=True)
            yield {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": key["kid"], "n": public["n"], "e": public["e"]}

    def public(self, key_id: str) -> rsa.RSAPublicKey | None:
        """The published key of that id."""
        return next((_load(key["pem"]).public_key() for key in self._keys if key["kid"] == key_id), None)

    def roll_over(self, keep: int | None) -> None:
        """Let the next key sign and publish a new next one. Of the old keys the newest `keep` stay published, by
        default all.
        """
        upcoming, *old = self._keys
        kept = old if keep is None else old[:keep]
        self._store.put(_KIND, _KEY, {"keys": [_new_key(), upcoming, *kept]})

    @property
    def _keys(self) -> list[Document]:
        kept = self._store.get(_KIND, _KEY)
        assert kept is not None, "the keys are made with the object"
        keys: list[Document] = kept["keys"]
        return keys


@cache
def _load(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _new_key() -> Document:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    # Entra names keys by SHA-1 thumbprints (RFC 7515, 4.1.7): of another length, verifiers refuse the whole set.
    return {"kid": base64.urlsafe_b64encode(secrets.token_bytes(20)).rstrip(b"=").decode(), "pem": pem.decode()}
