"""No private key and no client secret leaves its place: not for the state, outputs, previews, diffs or logs.

Everything that a stack's life leaves behind is searched, with secrets shown, for the keys themselves, which are taken
from under the local vaults. The search is tried first on what it must find.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from localazure.client import LocalAzure
from localazure.keyvault.material import PrivateKey, load
from tests.engine.stacks import ProgramStack, stored

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("secrets")]

_PKCS8, _TRADITIONAL = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
_CLEAR = serialization.NoEncryption()
KINDS = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)
_MARKERS = re.compile(rb"PRIVATE KEY|Bearer eyJ|client_assertion=|client_secret=|\"(?:d|p|q|dp|dq|qi)\":")


def numbers(key: PrivateKey) -> list[bytes]:
    """The numbers of which any one gives the key away, as they stand in DER and in a JSON Web Key."""
    private = key.private_numbers()
    if isinstance(private, rsa.RSAPrivateNumbers):
        found = [private.d, private.p, private.q, private.dmp1, private.dmq1, private.iqmp]
    else:
        found = [private.private_value]
    return [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in found]


def pem_lines(key: PrivateKey) -> list[bytes]:
    """The lines of the key in PEM that hold enough of a private number: what to look for where PEM is encoded again."""
    found = []
    for form in (_PKCS8, _TRADITIONAL):
        der = key.private_bytes(serialization.Encoding.DER, form, _CLEAR)
        for number in numbers(key):
            begin = der.index(number)
            for line in range(0, len(der), 48):
                if min(line + 48, begin + len(number), len(der)) - max(line, begin) >= 20:
                    found.append(base64.b64encode(der[line : line + 48]))
    return found


def traces(secret: bytes) -> list[bytes]:
    """How a secret looks in anything: as it is, as text in JSON, in hex, in base64 at each of three offsets."""
    text = secret.decode("latin-1")
    encoded = [secret, text.encode(), json.dumps(text)[1:-1].encode(), secret.hex().encode()]
    for offset in range(3):
        whole = base64.b64encode(bytes(offset) + secret)
        encoded.append(whole[-(-offset * 4 // 3) + (offset > 0) : len(whole) // 4 * 4 - 4])
    return encoded


def flat(text: bytes) -> bytes:
    """Text without what stands between the digits of an encoding, which PEM, JSON and hex dumps put there."""
    joined = re.sub(rb"\\+[nr]|[\s:]", b"", text)
    return joined.translate(bytes.maketrans(b"-_", b"+/"))


def leaks(text: bytes, secrets: Iterable[bytes]) -> list[bytes]:
    """The secrets that a text gives away."""
    flattened = flat(text)
    haystacks = (text, flattened, flattened.lower())
    return [
        secret
        for secret in secrets
        if any(flat(trace) in haystack or trace in haystack for trace in traces(secret) for haystack in haystacks)
    ]


def every_secret(keys: Iterable[PrivateKey], client_secrets: Iterable[str]) -> list[bytes]:
    of_keys = [secret for key in keys for secret in (*numbers(key), *pem_lines(key))]
    return [*of_keys, *(secret.encode() for secret in client_secrets)]


def encodings(key: PrivateKey) -> dict[str, bytes]:
    """Ways in which a key gets out."""
    der = key.private_bytes(serialization.Encoding.DER, _PKCS8, _CLEAR)
    pem = key.private_bytes(serialization.Encoding.PEM, _TRADITIONAL, _CLEAR)
    jwk = RSAAlgorithm.to_jwk(key) if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm.to_jwk(key)
    return {
        "DER": der,
        "PEM": pem,
        "PEM in JSON": json.dumps({"key": pem.decode()}).encode(),
        "PEM in JSON in JSON": json.dumps(json.dumps({"key": pem.decode()})).encode(),
        "base64 of DER": b"x" + base64.b64encode(der),
        "base64url of DER": base64.urlsafe_b64encode(b"x" + der).rstrip(b"="),
        "base64 of PEM": base64.b64encode(pem),
        "hex": der.hex().encode(),
        "hex with colons": der.hex(":").upper().encode(),
        "JSON Web Key": jwk.encode(),
        "one number": numbers(key)[-1],
    }


@dataclass(frozen=True, kw_only=True)
class Life:
    """What a stack wrote and said, by file or command, and the private keys that its vaults held."""

    left_behind: Mapping[str, bytes]
    keys: list[PrivateKey]


@pytest.fixture(scope="module")
def keys() -> Mapping[str, PrivateKey]:
    return {"RSA": rsa.generate_private_key(65537, 2048), "EC": ec.generate_private_key(ec.SECP256R1())}


@pytest.mark.parametrize("family", ["RSA", "EC"])
@pytest.mark.parametrize("encoding", encodings(ec.generate_private_key(ec.SECP256R1())))
def test_search_finds_what_is_there_and_nothing_else(
    keys: Mapping[str, PrivateKey], family: str, encoding: str
) -> None:
    """Prevents a search that finds nothing because it cannot."""
    for offset in range(3):
        planted = b'{"before": "' + b"x" * offset + encodings(keys[family])[encoding] + b'", "after": "y"}'
        assert leaks(planted, every_secret([keys[family]], []))
        assert not leaks(
            planted, every_secret([key for name, key in keys.items() if name != family], ["s3cr3t-s3cr3t"])
        )


@pytest.fixture(scope="module")
def life(new_stack: Callable[[], ProgramStack], azure: LocalAzure) -> Life:
    """A stack with RSA and EC keys, from its first preview to its end."""
    stack = new_stack()
    authorities = {"internode": {"keyType": "RSA-2048"}, "clients": {"keyType": "EC-P256"}}
    workers = {"orders": {"keyType": "EC-P384"}}
    stack.set(certificateAuthorities=authorities, certificates=workers)
    said: dict[str, bytes] = {}

    def run(operation: str, *arguments: str) -> None:
        unasked = [] if operation == "preview" else ["--yes", "--skip-preview"]
        outcome = stack.start(operation, *unasked, *arguments).wait().check()
        said[f"{operation} {' '.join(arguments)}"] = outcome.output.encode()

    run("preview", "--json")
    run("up", "--json")
    stack.set(tags={"team": "payments"}, certificates=workers | {"billing": {"keyType": "RSA-3072"}})
    run("preview", "--diff")
    run("up", "--diff")
    run("refresh", "--diff")
    said["outputs"] = json.dumps(stack.outputs()).encode()
    said["state"] = json.dumps(stack.export(show_secrets=True)).encode()
    vaults = [stack.vault(purpose)["name"] for purpose in ("authorities", "leaves")]
    documents = [document for name in vaults for document in stored(azure, name).values()]
    kept = {version["material"]["pkcs8"] for document in documents for version in document["versions"]}
    run("destroy")
    for file in (path for path in stack.root.rglob("*") if path.is_file() and path.name != "passphrase"):
        said[str(file.relative_to(stack.root))] = file.read_bytes()
    return Life(left_behind=said, keys=[load(pkcs8) for pkcs8 in kept])


def test_no_key_and_no_client_secret_is_in_anything_that_a_stack_leaves_behind(life: Life, azure: LocalAzure) -> None:
    """Prevents that a state, an output, a diff or a pipeline's log has to be guarded like the vault itself."""
    assert len(life.keys) == 2 + 5, "a key for each authority and for each leaf"
    client_secrets = [known["clientSecret"] for known in azure.identities.values() if "clientSecret" in known]
    secrets = every_secret(life.keys, client_secrets)
    assert [name for name, text in life.left_behind.items() if leaks(text, secrets)] == []
    marked = {name: _MARKERS.findall(text) for name, text in life.left_behind.items()}
    assert {name: markers for name, markers in marked.items() if markers} == {}


def test_search_looked_where_keys_would_be(life: Life) -> None:
    """Prevents a search of empty files: the public halves of the same keys are found, and the engine's own files are
    among what was searched.
    """
    halves = []
    for key in life.keys:
        public = key.public_key().public_numbers()
        number = public.n if isinstance(public, rsa.RSAPublicNumbers) else public.x
        halves.append(number.to_bytes((number.bit_length() + 7) // 8, "big"))
    for place in ("outputs", "state"):
        assert leaks(life.left_behind[place], halves) == halves
    assert len(leaks(life.left_behind["up --json"], halves)) == len(halves) - 1, "one leaf came later"
    files = [name for name in life.left_behind if name.startswith("backend/")]
    assert any("/stacks/" in name for name in files)
    assert any("/history/" in name for name in files)


def test_planted_key_is_found_in_a_real_state(life: Life, azure: LocalAzure) -> None:
    """Prevents a search that real files are too large or too strange for."""
    state = json.loads(life.left_behind["state"])
    resource = next(each for each in state["deployment"]["resources"] if "certificatePem" in each.get("outputs", {}))
    one_of_each = [next(key for key in life.keys if isinstance(key, kind)) for kind in KINDS]
    for text in (value.decode("latin-1") for key in one_of_each for value in encodings(key).values()):
        resource["outputs"]["certificatePem"] = text
        assert leaks(json.dumps(state).encode(), every_secret(one_of_each, []))
    secret = azure.identities["deployer"]["clientSecret"]
    resource["outputs"]["certificatePem"] = base64.b64encode(f"id:{secret}".encode()).decode()
    assert leaks(json.dumps(state).encode(), [secret.encode()])
