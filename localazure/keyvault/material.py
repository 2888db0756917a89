"""Private keys: made, kept as PKCS #8, described as JSON Web Keys, and asked to sign."""

import asyncio
import base64
import binascii
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
_CURVE_NAMES = {curve.name: name for name, curve in _CURVES.items()}
_PUBLIC_EXPONENT = 65537


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """`curve` is None for RSA; `pss` tells RSASSA-PSS from PKCS #1 v1.5."""

    digest: hashes.HashAlgorithm
    curve: str | None = None
    pss: bool = False

    @property
    def padding(self) -> padding.AsymmetricPadding:
        if self.pss:
            return padding.PSS(mgf=padding.MGF1(self.digest), salt_length=self.digest.digest_size)
        return padding.PKCS1v15()


ALGORITHMS = {
    "RS256": SignatureAlgorithm(hashes.SHA256()),
    "RS384": SignatureAlgorithm(hashes.SHA384()),
    "RS512": SignatureAlgorithm(hashes.SHA512()),
    "PS256": SignatureAlgorithm(hashes.SHA256(), pss=True),
    "PS384": SignatureAlgorithm(hashes.SHA384(), pss=True),
    "PS512": SignatureAlgorithm(hashes.SHA512(), pss=True),
    "ES256": SignatureAlgorithm(hashes.SHA256(), curve="P-256"),
    "ES384": SignatureAlgorithm(hashes.SHA384(), curve="P-384"),
    "ES512": SignatureAlgorithm(hashes.SHA512(), curve="P-521"),
}


async def generate(*, curve: str | None, bits: int) -> str:
    """A new key as PKCS #8. Made in a thread, so that the event loop goes on: RSA 4096 can take seconds."""
    return await asyncio.to_thread(_generate, curve, bits)


def _generate(curve: str | None, bits: int) -> str:
    if curve is not None:
        return dump(ec.generate_private_key(_CURVES[curve]))
    return dump(rsa.generate_private_key(_PUBLIC_EXPONENT, bits))


def dump(key: PrivateKey) -> str:
    """PKCS #8, DER, base64, unencrypted."""
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return base64.b64encode(der).decode()


def load(pkcs8: str) -> PrivateKey:
    """The inverse of `dump`. Skips the primality checks, which block for a third of a second: the key is our own."""
    key = serialization.load_der_private_key(base64.b64decode(pkcs8), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, PrivateKey)
    return key


def curve_of(key: PrivateKey | PublicKey) -> str | None:
    """The JSON Web Key name of an elliptic curve, None for RSA; ValueError for a curve that is not served."""
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        return None
    try:
        return _CURVE_NAMES[key.curve.name]
    except KeyError:
        raise ValueError(f"Unsupported curve {key.curve.name}") from None


def public_bytes(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo, by which two keys are compared."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_jwk(key: PublicKey) -> dict[str, Any]:
    """The public members of the JSON Web Key (RFC 7518, section 6)."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"n": _integer(numbers.n), "e": _integer(numbers.e)}
    point = key.public_numbers()
    size = _coordinate_bytes(key.curve)
    return {"crv": curve_of(key), "x": _integer(point.x, size), "y": _integer(point.y, size)}


def sign(key: PrivateKey, algorithm: SignatureAlgorithm, digest: bytes) -> bytes:
    """The signature over a digest; for elliptic curves r and s side by side (RFC 7518, section 3.4)."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(digest, algorithm.padding, Prehashed(algorithm.digest))
    r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(algorithm.digest))))
    size = _coordinate_bytes(key.curve)
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def verify(key: PublicKey, algorithm: SignatureAlgorithm, digest: bytes, signature: bytes) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, digest, algorithm.padding, Prehashed(algorithm.digest))
        else:
            half = len(signature) // 2
            r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
            key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(algorithm.digest)))
    except InvalidSignature:
        return False
    return True


def base64url(data: bytes) -> str:
    """Without padding, as in JSON Web Keys and thumbprints."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """ValueError if it is none."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def _integer(value: int, size: int | None = None) -> str:
    return base64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def _coordinate_bytes(curve: ec.EllipticCurve) -> int:
    return (curve.key_size + 7) // 8
