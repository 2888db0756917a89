"""Signs a certificate with a private key that is at hand, in memory."""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pki.issuance import Draft
from pki.policy import KeyType

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def load_private_key(pem: str) -> PrivateKey:
    """Return an unencrypted private key of a type that can be issued for. Raises ValueError for anything else."""
    key = load_pem_private_key(pem.encode("ascii"), password=None)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) or KeyType.of(key.public_key()) is None:
        raise ValueError("the private key is of none of the types that can be issued for")
    return key


def signed_with(key: PrivateKey, unsigned: Draft) -> x509.Certificate:
    """Return the certificate of a draft. Raises ValueError if the key is not its issuer's."""
    prehashed = Prehashed(unsigned.algorithm.hash_algorithm)
    if isinstance(key, rsa.RSAPrivateKey):
        return unsigned.signed(key.sign(unsigned.digest, PKCS1v15(), prehashed))
    size = (key.key_size + 7) // 8
    r, s = decode_dss_signature(key.sign(unsigned.digest, ec.ECDSA(prehashed)))
    return unsigned.signed(r.to_bytes(size, "big") + s.to_bytes(size, "big"))
