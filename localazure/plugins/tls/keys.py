"""Private keys: made, encoded and read as Go does."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat

from plugin import PluginError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

ALGORITHMS: Final = ("RSA", "ECDSA", "ED25519")
CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "P224": ec.SECP224R1(),
    "P256": ec.SECP256R1(),
    "P384": ec.SECP384R1(),
    "P521": ec.SECP521R1(),
}
_GENERATORS: Final[Mapping[str, Callable[[Mapping[str, Any]], PrivateKey]]] = {
    "RSA": lambda given: rsa.generate_private_key(65537, given["rsaBits"]),
    "ECDSA": lambda given: ec.generate_private_key(CURVES[given["ecdsaCurve"]]),
    "ED25519": lambda _: ed25519.Ed25519PrivateKey.generate(),
}
_KINDS: Final[Mapping[str, type]] = {
    "RSA": rsa.RSAPrivateKey,
    "ECDSA": ec.EllipticCurvePrivateKey,
    "ED25519": ed25519.Ed25519PrivateKey,
}
_PREAMBLE = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")
_READABLE: Final = ("RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY")
_CLEAR: Final = serialization.NoEncryption()


def make(given: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Make a key, and return its id and what is kept of it.

    Args:
        given: `algorithm`, and `rsaBits` or `ecdsaCurve`.

    Raises:
        PluginError: if no such key can be made.
    """
    try:
        key = _GENERATORS[given["algorithm"]](given)
    except ValueError as error:
        raise PluginError(f"Unable to generate Key from configuration: {error}. Nothing was made.") from error
    traditional = (
        PrivateFormat.PKCS8 if isinstance(key, ed25519.Ed25519PrivateKey) else PrivateFormat.TraditionalOpenSSL
    )
    public_key = key.public_key()
    return identifier(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)), {
        "privateKeyPem": key.private_bytes(Encoding.PEM, traditional, _CLEAR).decode(),
        "privateKeyPemPkcs8": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _CLEAR).decode(),
        "publicKeyPem": public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        **_for_openssh(key, public_key),
    }


def load(pem: str) -> PrivateKey:
    """Read a private key from PEM. Raises PluginError, which quotes nothing of it, if it holds none."""
    preamble = _PREAMBLE.search(pem)
    if preamble is None:
        raise PluginError("Failed to parse private key PEM: failed to decode PEM block.")
    if preamble[1] not in _READABLE:
        raise PluginError(f"Failed to parse private key PEM: unsupported PEM preamble/type: {preamble[1]}.")
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, PrivateKey):
        raise PluginError(
            f"Failed to parse private key PEM: failed to parse private key given PEM preamble '{preamble[1]}'."
        )
    return key


def algorithm_of(key: PrivateKey) -> str:
    """Return the official plugin's word for a key's algorithm."""
    return next(name for name, kind in _KINDS.items() if isinstance(key, kind))


def identifier(der: bytes) -> str:
    """Return the id of what is encoded so."""
    return hashlib.sha1(der.strip(), usedforsecurity=False).hexdigest()


def _for_openssh(key: PrivateKey, public_key: PublicKey) -> dict[str, str]:
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP224R1):
        # OpenSSH knows no such curve.
        names = ("privateKeyOpenssh", "publicKeyOpenssh", "publicKeyFingerprintMd5", "publicKeyFingerprintSha256")
        return dict.fromkeys(names, "")
    line = public_key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    blob = base64.b64decode(line.split()[1])
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return {
        "privateKeyOpenssh": key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, _CLEAR).decode(),
        "publicKeyOpenssh": f"{line.decode()}\n",
        "publicKeyFingerprintMd5": hashlib.md5(blob, usedforsecurity=False).digest().hex(":"),
        "publicKeyFingerprintSha256": f"SHA256:{digest}",
    }
