"""The program with private keys in its state: one stack from its first preview to its end, and its twin in Key Vault.

The stack was made sixty-one days ago, as far as the program knows, so that its leaves are due today.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from localazure.client import LocalAzure
from tests.engine.stacks import ProgramStack, Run, Watch, loaded
from tests.engine.test_secrets_stay import every_secret, leaks
from tools import REPOSITORY

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("custody-state")]

TODAY = datetime.now(UTC)
START = TODAY - timedelta(days=61)
AUTHORITIES: dict[str, dict[str, Any]] = {
    "internode": {"keyType": "EC-P256", "country": "DE", "commonName": "internode"},
    "clients": {"keyType": "EC-P384", "organizationalUnit": "Käse & Co", "commonName": "clients"},
}
"""Their names are given: by default they hold the stack's, which tells it from its twin."""

CERTIFICATES: dict[str, dict[str, Any]] = {
    "cluster": {"dnsNames": ["temporal.internal", "*.example.org"], "ipAddresses": ["10.0.0.7", "2001:db8::7"]},
    "orders": {"keyType": "EC-P256", "uris": ["spiffe://example.org/orders"], "organizationalUnit": "shop"},
    "billing": {"keyType": "EC-P384", "dnsNames": ["billing.example.org"], "country": "DE"},
}
LEAVES = {"cluster", "ui", "cli", "orders", "billing"}


@dataclass(frozen=True, kw_only=True)
class Then:
    """The stack after a run: what was done to what, and what its outputs were."""

    run: Run
    outputs: Mapping[str, Any]

    def done(self, operation: str) -> set[str]:
        """The keys and certificates in the state that the operation was done to, as `type name`."""
        return {
            f"{urn.split('::')[2].rpartition(':')[2]} {urn.rpartition('::')[2]}"
            for op, urn in self.run.steps
            if op == operation and ("$tls:" in urn or "$temporalazure:state:" in urn)
        }

    def certificate(self, name: str) -> x509.Certificate:
        return loaded(self.outputs["certificates"][name])


@dataclass(frozen=True, kw_only=True)
class Life:
    """What there was after each run, what the stack said and wrote, and what it asked of Azure."""

    first: Then
    again: Then
    due: Then
    signed: Then
    said: Mapping[str, bytes]
    writes: list[str]
    files: Path


@pytest.fixture(scope="module")
def life(
    new_stack: Callable[[], ProgramStack], azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Life]:
    stack, said, watch = new_stack(), {}, Watch(azure)
    stack.set(custody="state", certificateAuthorities=AUTHORITIES, certificates=CERTIFICATES)

    def run(name: str, operation: str = "up") -> Then:
        unasked = [] if operation == "preview" else ["--yes", "--skip-preview"]
        with stack.start(operation, *unasked, "--json") as engine:
            outcome = engine.wait().check()
        said[name] = outcome.output.encode()
        return Then(run=Run(outcome), outputs=stack.outputs())

    stack.today = START
    run("preview of the first", "preview")
    first, again = run("first"), run("again")
    # On the day on which the leaves are due: one authority renewed by hand, the other about to be rolled over.
    stack.today = TODAY
    internode = {**AUTHORITIES["internode"], "generations": {1: {}, 2: {}}}
    renewed = {"clients": {**AUTHORITIES["clients"], "generations": {1: {"renewal": 1}}}, "internode": internode}
    stack.set(certificateAuthorities=renewed)
    due = run("due")
    certificates = {name: value for name, value in CERTIFICATES.items() if name != "billing"}
    stack.set(certificateAuthorities={**renewed, "internode": {**internode, "signing": 2}}, certificates=certificates)
    signed = run("signed")
    files = tmp_path_factory.mktemp("deploy")
    for options in ([], ["--inline", "--only", "workers/orders", "--directory", str(files / "inline")]):
        command = ["-m", "deploy", "write", "--stack", stack.name, "--directory", str(files), *options]
        written = subprocess.run(
            [sys.executable, *command], cwd=REPOSITORY, env=stack.environment(), capture_output=True, check=True
        )
        said[f"deploy write {' '.join(options)}"] = written.stdout + written.stderr
    said["state"] = json.dumps(stack.export()).encode()
    for file in (path for path in stack.root.rglob("*") if path.is_file() and path.name != "passphrase"):
        said[str(file.relative_to(stack.root))] = file.read_bytes()
    yield Life(
        first=first,
        again=again,
        due=due,
        signed=signed,
        said=said,
        writes=watch.writes("vault"),
        files=files / stack.name,
    )
    stack.run("destroy").check()


@pytest.fixture(scope="module")
def in_key_vault(new_stack: Callable[[], ProgramStack], life: Life) -> Then:
    """The same settings, in the other custody."""
    stack = new_stack()
    stack.set(certificateAuthorities=AUTHORITIES, certificates=CERTIFICATES)
    return Then(run=stack.run("up").check(), outputs=stack.outputs())


def test_there_is_no_vault_and_nobody_gets_a_role(life: Life) -> None:
    """Prevents a vault that somebody pays for and nobody uses."""
    assert life.writes == []
    assert not [urn for _, urn in life.first.run.steps if "keyvault" in urn or "RoleAssignment" in urn]
    assert life.first.outputs["keyVaults"] == {}


def test_second_up_changes_nothing(life: Life) -> None:
    assert {op for op, _ in life.again.run.steps} == {"same"}
    assert life.again.outputs == life.first.outputs


def test_leaves_are_renewed_in_their_window_and_authorities_are_not(life: Life) -> None:
    """Prevents a certificate that ends between two runs, and an authority that the clock replaces."""
    assert life.due.done("create") == {"PrivateKey internode-2", "Authority internode-2"}
    standings = {f"Standing {name}" for name in LEAVES}
    assert life.due.done("update") == {"Authority clients-1", "Step cluster"} | standings
    assert life.due.done("replace") == {f"LocallySignedCert {name}" for name in LEAVES}
    for name in LEAVES:
        assert life.due.certificate(name) != life.first.certificate(name)
        assert life.due.outputs["privateKeys"][name] == life.first.outputs["privateKeys"][name]
    assert life.due.certificate("internode-1") == life.first.certificate("internode-1")


def test_authority_renewed_by_hand_keeps_key_and_name(life: Life) -> None:
    """Prevents that every certificate that it issued is refused at once."""
    before, after = life.first.certificate("clients-1"), life.due.certificate("clients-1")
    assert (before.serial_number == after.serial_number, before.public_key()) == (False, after.public_key())
    assert before.subject.public_bytes() == after.subject.public_bytes()
    for leaf in (life.first.certificate("ui"), life.due.certificate("ui")):
        leaf.verify_directly_issued_by(after)


def test_rollover_is_trusted_first_then_signed_with(life: Life) -> None:
    """Prevents a new key that signs before anybody trusts it; what else there is stays as it is."""
    pems = {name: facts["certificatePem"] for name, facts in life.due.outputs["certificates"].items()}
    assert life.due.outputs["caBundles"]["internode"] == [pems["internode-1"], pems["internode-2"]]
    life.due.certificate("cluster").verify_directly_issued_by(life.due.certificate("internode-1"))
    assert life.signed.outputs["caBundles"]["internode"] == [pems["internode-2"], pems["internode-1"]]
    life.signed.certificate("cluster").verify_directly_issued_by(life.due.certificate("internode-2"))
    assert life.signed.done("replace") == {"LocallySignedCert cluster"}


def test_a_certificate_that_is_taken_out_is_gone_with_its_key(life: Life) -> None:
    kinds = ("Step", "PrivateKey", "CertRequest", "LocallySignedCert", "Standing")
    assert life.signed.done("delete") == {f"{kind} billing" for kind in kinds}
    assert "billing" not in {*life.signed.outputs["certificates"], *life.signed.outputs["privateKeys"]}


def fields(certificate: x509.Certificate, authority: x509.Certificate) -> dict[str, Any]:
    """Everything about a certificate but key, serial number, times and signature; keys are named by whose they are."""
    digest = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
    of_authority = x509.SubjectKeyIdentifier.from_public_key(authority.public_key()).digest
    owners = {digest: "own", of_authority: "authority's"} if digest != of_authority else {digest: "own"}
    found: dict[str, Any] = {}
    for extension in certificate.extensions:
        value: Any = extension.value
        if isinstance(value, x509.SubjectKeyIdentifier):
            value = owners[value.digest]
        elif isinstance(value, x509.AuthorityKeyIdentifier):
            value = (owners[value.key_identifier or b""], value.authority_cert_issuer)
        found[extension.oid.dotted_string] = (extension.critical, value)
    return {
        "version": certificate.version,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "key": (type(certificate.public_key()), getattr(certificate.public_key(), "key_size", None)),
        "signature": certificate.signature_algorithm_oid,
        "extensions": found,
    }


@pytest.mark.parametrize("name", sorted([*LEAVES, "internode-1", "clients-1"]))
def test_both_custodies_give_the_same_certificate(life: Life, in_key_vault: Then, name: str) -> None:
    """Prevents that the custody of the keys decides what a certificate is good for."""

    def described(then: Then, which: str) -> dict[str, Any]:
        certificate, chain = then.certificate(which), then.outputs["certificates"][which]["chainPem"]
        authority = x509.load_pem_x509_certificate(chain[0].encode()) if chain else certificate
        return fields(certificate, authority)

    assert described(life.first, name) == described(in_key_vault, name)
    others = [described(life.first, other) for other in LEAVES - {name}]
    assert described(life.first, name) not in others, "the comparison is blind"


def test_both_custodies_have_the_same_outputs(life: Life, in_key_vault: Then) -> None:
    """Prevents a consumer of outputs that works for one of them."""
    assert in_key_vault.outputs["privateKeys"] == {}
    assert life.first.outputs.keys() == in_key_vault.outputs.keys()
    of_a_vault = {"certificateId", "keyId", "secretId", "vaultUri"}
    for name, facts in in_key_vault.outputs["certificates"].items():
        here = life.first.outputs["certificates"][name]
        assert here.keys() == facts.keys()
        assert {key for key, value in here.items() if value is None} == of_a_vault
        same = ("role", "subject", "issuer", "subjectAlternativeNames", "renewBeforeDays")
        assert [here[key] for key in same] == [facts[key] for key in same]
    environments = [name for name in in_key_vault.outputs if name.endswith("Env") or name == "serverConfig"]
    assert [life.first.outputs[name] for name in environments] == [in_key_vault.outputs[name] for name in environments]


def test_no_key_is_in_the_clear(life: Life) -> None:
    """Prevents that a state, a preview or a pipeline's log has to be guarded like the keys: they are all encrypted.

    The search looks where keys would be: their public halves are found.
    """
    pems = {**life.first.outputs["privateKeys"], **life.signed.outputs["privateKeys"]}
    keys = [serialization.load_pem_private_key(pem.encode(), None) for pem in pems.values()]
    secrets = every_secret(keys, [])  # type: ignore[arg-type]
    assert len(keys) == len(LEAVES)
    assert [name for name, text in life.said.items() if leaks(text, secrets) or b"PRIVATE KEY" in text] == []
    assert leaks(json.dumps(pems).encode(), secrets), "the search is blind"
    for place in ("state", "signed"):
        assert format(life.signed.certificate("cluster").serial_number, "x").encode() in life.said[place]


def test_files_have_the_keys_that_belong_to_the_certificates(life: Life) -> None:
    """Prevents a consumer that starts with a pair that does not match; inlined, it has no file with a key."""
    for folder, name in (("server", "cluster"), ("ui", "ui"), ("cli", "cli"), ("workers/orders", "orders")):
        key = serialization.load_pem_private_key((life.files / folder / f"{name}.key").read_bytes(), None)
        pem = (life.files / folder / f"{name}.pem").read_bytes()
        certificate, *chain = x509.load_pem_x509_certificates(pem)
        assert key.public_key() == certificate.public_key()
        assert certificate == life.signed.certificate(name)
        certificate.verify_directly_issued_by(chain[0])
    inline = life.files.parent / "inline" / life.files.name / "workers/orders"
    assert "PRIVATE KEY" in (inline / "worker.env").read_text()
    assert not list(inline.glob("*.key"))
