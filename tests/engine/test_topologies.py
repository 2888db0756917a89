"""Every topology from settings alone: intermediates, an authority that is in a vault already, an offline root.

One stack goes through them. Who signs what is asked of openssl, and of the vaults.
"""

import base64
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from azure.keyvault.certificates import CertificateContentType, CertificatePolicy
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.engine.killing import finished, killed_at
from tests.engine.site import ONE_AT_A_TIME
from tests.engine.stacks import PROJECT, Hand, ProgramStack, Watch, loaded, stored
from tests.offline_root import EXTENSION, OfflineRoot

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("topologies")]

EC = {"keyType": "EC-P256"}
TREE: Mapping[str, Any] = {
    "payments": EC | {"issuer": "clients"},
    "clients": EC | {"issuer": "root"},
    "internode": EC | {"issuer": "root"},
    "root": EC,
}
EVERY_ADDRESS = [x509.IPAddress(ip_network(every)) for every in ("0.0.0.0/0", "::/0")]
PAYER: Mapping[str, Any] = {"payer": {"issuer": "payments", "dnsNames": ["payer.internal"]}}


@pytest.fixture(scope="module")
def tree(new_stack: Callable[[], ProgramStack]) -> ProgramStack:
    """A root, intermediates for nodes and clients, and one below for a namespace; named before those above them."""
    stack = new_stack()
    stack.set(certificateAuthorities=TREE, certificates=PAYER)
    stack.run("up").check()
    return stack


def verified(folder: Path, facts: Mapping[str, Any], anchors: Sequence[str], *options: str) -> str:
    """What openssl says of a certificate with its chain, when these are trusted; empty if nothing is wrong."""
    folder.mkdir(exist_ok=True)
    leaf, chain, trusted = (folder / name for name in ("leaf.pem", "chain.pem", "trusted.pem"))
    leaf.write_text(facts["certificatePem"])
    chain.write_text("".join(facts["chainPem"]))
    trusted.write_text("".join(anchors))
    asked = ["openssl", "verify", "-x509_strict", "-partial_chain", *options, "-CAfile", trusted, "-untrusted", chain]
    finished = subprocess.run([*map(str, asked), str(leaf)], capture_output=True, text=True, check=False)
    return "" if finished.returncode == 0 else finished.stderr


def constraints(certificate: x509.Certificate) -> x509.NameConstraints:
    return certificate.extensions.get_extension_for_class(x509.NameConstraints).value


def path_length(certificate: x509.Certificate) -> int | None:
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length


def test_path_lengths_and_names_follow_from_the_tree(tree: ProgramStack) -> None:
    """An intermediate that may do more than it needs does it for whoever gets hold of its key."""
    found = {name: loaded(facts) for name, facts in tree.facts().items()}

    assert {name: path_length(found[name]) for name in ("root-1", "clients-1", "internode-1", "payments-1")} == {
        "root-1": 2,
        "clients-1": 1,
        "internode-1": 0,
        "payments-1": 0,
    }
    assert constraints(found["internode-1"]) == x509.NameConstraints([x509.DNSName("temporal.internal")], EVERY_ADDRESS)
    assert constraints(found["payments-1"]) == x509.NameConstraints([x509.DNSName("payer.internal")], EVERY_ADDRESS)
    with pytest.raises(x509.ExtensionNotFound):
        constraints(found["root-1"])


def test_a_bundle_trusts_its_authority_and_no_other(tree: ProgramStack, tmp_path: Path) -> None:
    """Were the root in a bundle, clients would be let in to the internode listeners."""
    outputs = tree.outputs()
    facts, bundles = outputs["certificates"], outputs["caBundles"]

    assert {name: len(bundle) for name, bundle in bundles.items()} == dict.fromkeys(TREE, 1)
    assert verified(tmp_path, facts["cluster"], bundles["internode"], "-purpose", "sslserver") == ""
    assert verified(tmp_path, facts["ui"], bundles["clients"], "-purpose", "sslclient") == ""
    assert verified(tmp_path, facts["payer"], bundles["payments"], "-purpose", "sslclient") == ""
    for leaf, other in (("ui", "internode"), ("cluster", "clients")):
        assert "self-signed certificate in certificate chain" in verified(tmp_path, facts[leaf], bundles[other])


def test_an_intermediate_is_issued_anew_with_its_key_and_name_even_if_killed(tree: ProgramStack) -> None:
    """With another key all that it issued would be refused at once."""
    before = tree.facts()
    tree.set(certificates={"payer": PAYER["payer"] | {"dnsNames": ["payer.internal", "paying.internal"]}})

    killed_at(tree, "up", "POST /certificates/payments-1/create", "after", *ONE_AT_A_TIME)
    finished(tree, "up")

    after = tree.facts()
    for name in ("clients-1", "payments-1"):
        old, new = loaded(before[name]), loaded(after[name])
        assert old.serial_number != new.serial_number
        assert (old.public_key(), old.subject) == (new.public_key(), new.subject)
    assert x509.DNSName("paying.internal") in (constraints(loaded(after["payments-1"])).permitted_subtrees or ())
    assert after["ui"]["certificateId"] == before["ui"]["certificateId"]
    assert tree.run("up").check().changes.keys() == {"same"}


def test_a_foreign_version_of_an_intermediate_is_passed_over(tree: ProgramStack, hand: Hand) -> None:
    """The key of a version that somebody else made may have been exported: it must sign nothing."""
    vault = tree.vault("authorities")["uri"]
    before = tree.facts()["payments-1"]
    policy = CertificatePolicy(issuer_name="Self", subject="CN=payments-1", key_type="EC", key_curve_name="P-256")
    foreign = hand.create(vault, "payments-1", policy)

    run = tree.run("refresh").check()

    assert "Somebody made the version" in run.said_of("payments-1")
    assert tree.facts()["payments-1"]["certificateId"] == before["certificateId"] != foreign.id
    hand.certificates(vault).update_certificate_properties(
        "payments-1", str(foreign.properties and foreign.properties.version), enabled=False
    )


# An offline root


@dataclass(frozen=True)
class Offline:
    """A stack whose clients' authority is issued by a root that is elsewhere, and what its warning asks for."""

    stack: ProgramStack
    root: OfflineRoot
    extensions: Sequence[str]
    subject: str

    def settings(self, issued_pem: str | None = None, **intermediate: Any) -> dict[str, Any]:
        """The authorities, with what was signed for `clients`."""
        generations = {"generations": {1: {"issuedPem": issued_pem}}} if issued_pem else {}
        return {
            "corporate": {"generations": {1: {"certificatePem": self.root.pem}}},
            "clients": EC | {"issuer": "corporate"} | generations | intermediate,
            "internode": EC,
        }

    def request(self) -> str:
        return str(self.stack.outputs()["certificateSigningRequests"]["clients-1"])

    def signed(self) -> str:
        return self.root.sign(self.request(), self.subject, self.extensions)


@pytest.fixture(scope="module")
def offline(new_stack: Callable[[], ProgramStack], tmp_path_factory: pytest.TempPathFactory) -> Offline:
    """The first step: everything but what is below the authority that waits."""
    stack = new_stack()
    root = OfflineRoot(tmp_path_factory.mktemp("offline"), "Contoso Root")
    stack.set(certificateAuthorities=Offline(stack, root, (), "").settings())
    run = stack.run("up").check()
    (warning,) = [each.text for each in run.messages if "waits for its certificate" in each.text]
    return Offline(stack, root, EXTENSION.findall(warning), f"/O={PROJECT}/CN={PROJECT} {stack.name} clients 1")


def _vault_name(stack: ProgramStack, purpose: str) -> str:
    return stack.vault(purpose)["name"]


def test_what_waits_holds_up_nothing_else(offline: Offline) -> None:
    """A stack that must wait for somebody with a safe would have no server until then."""
    outputs = offline.stack.outputs()

    assert outputs["certificates"].keys() == {"cluster", "internode-1", "corporate-1"}
    assert outputs["caBundles"]["clients"] == []
    assert outputs["caBundles"]["corporate"] == [offline.root.pem]
    assert outputs["certificates"]["corporate-1"]["subject"] == "CN=Contoso Root,O=Contoso"
    assert outputs["certificates"]["corporate-1"]["keyId"] is None
    assert offline.stack.run("up").check().changes.keys() == {"same"}


def test_a_request_outlives_a_killed_run_and_is_missed_when_it_is_gone(
    offline: Offline, new_stack: Callable[[], ProgramStack], hand: Hand
) -> None:
    """What somebody took to a safe would be worth nothing: its certificate would fit no key."""
    stack = new_stack()
    stack.set(certificateAuthorities=offline.settings())
    watch = Watch(stack.azure)
    stack.prepare()
    killed_at(stack, "up", "POST /certificates/clients-1/create", "after", *ONE_AT_A_TIME)
    finished(stack, "up")

    request = x509.load_pem_x509_csr(stack.outputs()["certificateSigningRequests"]["clients-1"].encode())
    made = stored(stack.azure, _vault_name(stack, "authorities"))["clients-1"]["operation"]["csr"]
    assert base64.b64encode(request.public_bytes(Encoding.DER)).decode() == made
    assert watch.answered(202).count("POST /certificates/clients-1/create") == 1

    hand.certificates(stack.vault("authorities")["uri"]).delete_certificate_operation("clients-1")
    run = stack.run("up", "--refresh").check()

    assert run.certificates("update") == {"clients-1"}
    another = x509.load_pem_x509_csr(stack.outputs()["certificateSigningRequests"]["clients-1"].encode())
    assert another.public_key() != request.public_key()


def test_a_certificate_for_another_key_is_not_taken(offline: Offline) -> None:
    """Merged, it would be an authority of whoever has that key; and the stack's own could never be used."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    foreign = request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    issued = offline.root.sign(foreign, offline.subject, offline.extensions)
    offline.stack.set(certificateAuthorities=offline.settings(issued))
    watch = Watch(offline.stack.azure)

    error = offline.stack.run("up").refused().errors()["clients-1"]

    assert "its key is not that of the signing request of this authority" in error
    assert "It was not taken" in error
    assert [write for write in watch.writes("vault") if "merge" in write] == []


def test_what_is_handed_in_is_taken_and_signs(offline: Offline, tmp_path: Path) -> None:
    """The second step, and all that waited for it."""
    request = offline.request()
    issued = offline.signed()
    offline.stack.set(certificateAuthorities=offline.settings(issued))

    run = offline.stack.run("up").check()

    assert run.certificates("create") == {"ui", "cli", "default"}
    outputs = offline.stack.outputs()
    assert outputs["caBundles"]["clients"] == [outputs["certificates"]["clients-1"]["certificatePem"]]
    assert verified(tmp_path, outputs["certificates"]["ui"], [offline.root.pem], "-purpose", "sslclient") == ""
    assert offline.request() == request
    watch = Watch(offline.stack.azure)
    assert offline.stack.run("up", "--refresh").check().changes.keys() == {"same"}
    assert watch.writes("vault") == []


def test_an_intermediate_is_renewed_from_the_same_request(offline: Offline) -> None:
    """Whoever renews an authority under an offline root would have to replace all that it issued."""
    before = offline.stack.facts()
    offline.stack.set(certificateAuthorities=offline.settings(offline.signed()))

    run = offline.stack.run("up").check()

    after = offline.stack.facts()
    assert before["clients-1"]["serialNumber"] != after["clients-1"]["serialNumber"]
    assert loaded(before["clients-1"]).public_key() == loaded(after["clients-1"]).public_key()
    assert before["ui"]["certificateId"] == after["ui"]["certificateId"]
    assert "clients-1" in run.certificates("update")


def test_a_certificate_that_was_taken_cannot_get_lost(offline: Offline) -> None:
    """A line that went from the settings would delete all that the authority has issued."""
    has = offline.stack.facts()["clients-1"]["certificatePem"]
    offline.stack.set(certificateAuthorities=offline.settings())
    watch = Watch(offline.stack.azure)
    for operation in ("preview", "up"):
        error = offline.stack.run(operation).refused().errors()["clients-1"]
        assert "if it signs, every certificate below it would be deleted. Nothing was changed." in error
        assert "Set certificateAuthorities.clients.generations.1.issuedPem again" in error
        assert "it is the output certificates.clients-1.certificatePem" in error
    assert watch.writes() == []

    offline.stack.set(certificateAuthorities=offline.settings(has))
    assert offline.stack.run("up").check().changes.keys() == {"same"}


# An authority that is in a vault already


@pytest.fixture(scope="module")
def corporate(tree: ProgramStack, hand: Hand, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The identifier of an authority that somebody keeps in a vault of another stack."""
    root = OfflineRoot(tmp_path_factory.mktemp("corporate"), "Corporate CA", path_length=0)
    return imported(tree, hand, "corporate", root.private_key.read_text() + root.pem)


def imported(stack: ProgramStack, hand: Hand, name: str, pem: str) -> str:
    vault = stack.vault("authorities")["uri"]
    policy = CertificatePolicy(issuer_name="Unknown", content_type=CertificateContentType.pem, exportable=False)
    hand.certificates(vault).import_certificate(name, pem.encode(), policy=policy)
    return f"{vault}certificates/{name}"


def test_an_authority_in_another_vault_signs_there(
    corporate: str, new_stack: Callable[[], ProgramStack], hand: Hand, tmp_path: Path
) -> None:
    """Else its key would have to leave its vault."""
    stack = new_stack()
    vault = {"generations": {1: {"vaultCertificate": corporate}}}
    stack.set(
        certificateAuthorities={"corporate": vault, "internode": EC},
        certificates={
            "ui": {"issuer": "corporate"},
            "cli": {"issuer": "corporate"},
            "default": {"issuer": "corporate"},
        },
    )
    stack.azure.create_identity("auditor")
    hand.assign("auditor", "Reader", f"/subscriptions/{stack.azure.subscription_id}")
    unread = stack.run("preview", identity="auditor").refused().shown
    hand.assign("auditor", "Key Vault Reader", f"/subscriptions/{stack.azure.subscription_id}")
    watch = Watch(stack.azure)
    stack.run("preview", identity="auditor").check()
    assert watch.signatures() == []

    stack.run("up").check()

    assert "this identity may not read it (ForbiddenByRbac)" in unread
    assert 'Give it the role "Key Vault Reader" on that vault.' in unread
    signed = [line for line in watch.signatures() if "/keys/corporate/" in line]
    assert len(signed) == 3
    outputs = stack.outputs()
    assert "corporate-1" not in stored(stack.azure, _vault_name(stack, "authorities"))
    assert outputs["certificates"]["corporate-1"]["certificateId"].startswith(corporate)
    assert (
        verified(tmp_path, outputs["certificates"]["ui"], outputs["caBundles"]["corporate"], "-purpose", "sslclient")
        == ""
    )
    assert stack.run("up").check().changes.keys() == {"same"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "there is no such certificate in the vault"),
        ("a-leaf", "[authority]. "),
    ],
)
def test_what_is_no_authority_is_refused_at_preview(
    corporate: str,
    tree: ProgramStack,
    new_stack: Callable[[], ProgramStack],
    hand: Hand,
    name: str,
    said: str,
    tmp_path: Path,
) -> None:
    """It would be found out when the first leaf is to be issued, with half of the stack made."""
    if name == "a-leaf":
        OfflineRoot(tmp_path, "Corporate CA").issue(tmp_path / "leaf", "/CN=leaf")
        imported(tree, hand, name, (tmp_path / "leaf.key").read_text() + (tmp_path / "leaf.pem").read_text())
    stack = new_stack()
    there = corporate.replace("corporate", name)
    stack.set(certificateAuthorities={"internode": EC, "clients": {"generations": {1: {"vaultCertificate": there}}}})

    shown = stack.run("preview").refused().shown

    assert f"The authority {there} (vaultCertificate) cannot be used: " in shown
    assert said in shown
