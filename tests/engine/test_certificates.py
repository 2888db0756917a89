"""Every certificate is what its policy says, its authority's key signs and does nothing else, and whose key it is may
be read by its readers alone.

One stack has every type of key for authorities and for leaves, each leaf under each authority.
"""

import itertools
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localazure.client import LocalAzure
from pki import KeyType
from tests.engine.localazure.vault_clients import refusal
from tests.engine.stacks import Hand, ProgramStack, Run, Watch, dialled, loaded

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("certificates")]

KEY_TYPES = tuple(KeyType)
LEAVES = {
    f"{leaf.lower()}-of-{authority.lower()}": (leaf, authority)
    for leaf, authority in itertools.product(KEY_TYPES, KEY_TYPES)
}
NAMED = "rsa-2048-of-ec-p256"
READERS = {"cluster": "reader-server", "ui": "reader-ui", "cli": "reader-cli", NAMED: "reader-worker"}
AZURE_LIMIT = 20


def settings(azure: LocalAzure) -> dict[str, Any]:
    names = {
        "organization": "Orders Ltd",
        "organizationalUnit": "Fulfilment",
        "country": "DE",
        "dnsNames": ["orders.internal", "*.orders.internal"],
        "ipAddresses": ["192.0.2.7", "2001:db8::7"],
        "uris": ["spiffe://example.org/orders"],
        "emails": ["orders@example.org"],
    }
    return {
        "certificateAuthorities": {authority.lower(): {"keyType": str(authority)} for authority in KEY_TYPES},
        "certificates": {
            "cluster": {"issuer": "ec-p384"},
            "ui": {"issuer": "ec-p256"},
            "cli": {"issuer": "ec-p256"},
            **{
                name: {"keyType": str(leaf), "issuer": authority.lower(), **(names if name == NAMED else {})}
                for name, (leaf, authority) in LEAVES.items()
            },
        },
        "access": {
            "readers": {
                name: [{"id": azure.identities[reader]["objectId"], "kind": "ServicePrincipal"}]
                for name, reader in READERS.items()
            }
        },
    }


@dataclass(frozen=True, kw_only=True)
class Issued:
    """The stack, its outputs, and how it came to be."""

    stack: ProgramStack
    up: Run
    throttled: list[str]
    facts: Mapping[str, Mapping[str, Any]]
    bundles: Mapping[str, list[str]]
    vaults: Mapping[str, Mapping[str, str]]


@pytest.fixture(scope="module")
def issued(new_stack: Callable[[], ProgramStack], azure: LocalAzure) -> Issued:
    stack = new_stack()
    stack.set(**settings(azure))
    watch = Watch(azure)
    with dialled(azure, keyCreationsPer10s=AZURE_LIMIT, certificatePendingPolls=2):
        up = stack.run("up").check()
    outputs = stack.outputs()
    return Issued(
        stack=stack,
        up=up,
        throttled=watch.answered(429),
        facts=outputs["certificates"],
        bundles=outputs["caBundles"],
        vaults=outputs["keyVaults"],
    )


def assert_verifies(leaf: Path, authority: Path, *arguments: str) -> None:
    answer = openssl_verify(leaf, authority, *arguments)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def openssl_verify(leaf: Path, authority: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["openssl", "verify", "-x509_strict", *arguments, "-CAfile", str(authority), str(leaf)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def extensions(certificate: x509.Certificate) -> dict[str, tuple[bool, x509.ExtensionType]]:
    return {each.oid._name: (each.critical, each.value) for each in certificate.extensions}


def key_usage(*usages: str) -> x509.KeyUsage:
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{usage: usage in usages for usage in every})


def assert_is_key_of_type(certificate: x509.Certificate, key_type: KeyType) -> None:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        assert key_type == f"RSA-{key.key_size}"
    else:
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key_type == {"secp256r1": "EC-P256", "secp384r1": "EC-P384"}[key.curve.name]


def assert_identifies_keys(certificate: x509.Certificate, authority: x509.Certificate) -> None:
    """Subject and authority key identifiers are the keys' own, by which verifiers find the issuer (RFC 5280, 4.2.1)."""
    found = extensions(certificate)
    own = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    above = x509.SubjectKeyIdentifier.from_public_key(authority.public_key())
    assert found["subjectKeyIdentifier"] == (False, own)
    assert found["authorityKeyIdentifier"] == (False, x509.AuthorityKeyIdentifier(above.digest, None, None))


def assert_is_leaf(certificate: x509.Certificate, key_type: KeyType, *usages: x509.ObjectIdentifier) -> None:
    assert_is_key_of_type(certificate, key_type)
    found = extensions(certificate)
    encipherment = ["key_encipherment"] if key_type.startswith("RSA") else []
    assert found["basicConstraints"] == (True, x509.BasicConstraints(ca=False, path_length=None))
    assert found["keyUsage"] == (True, key_usage("digital_signature", *encipherment))
    assert found["extendedKeyUsage"] == (False, x509.ExtendedKeyUsage(usages))


def test_every_leaf_verifies_with_its_authority_and_for_its_purpose(issued: Issued, tmp_path: Path) -> None:
    """Prevents a certificate that only its maker believes in: OpenSSL is asked, strictly, for each use of each one."""
    for name, bundle in issued.bundles.items():
        (tmp_path / f"{name}.authority").write_text("".join(bundle))
    stranger = tmp_path / "rsa-2048.authority"
    for name, facts in issued.facts.items():
        leaf = tmp_path / f"{name}.pem"
        leaf.write_text(facts["certificatePem"])
        if facts["role"] == "authority":
            assert_verifies(leaf, leaf, "-check_ss_sig")
            continue
        issuer = LEAVES[name][1].lower() if name in LEAVES else "ec-p384" if name == "cluster" else "ec-p256"
        authority = tmp_path / f"{issuer}.authority"
        assert_verifies(leaf, authority, "-purpose", "sslclient")
        as_server = openssl_verify(leaf, authority, "-purpose", "sslserver")
        assert as_server.returncode == (0 if name == "cluster" else 2), as_server.stdout + as_server.stderr
        if issuer != "rsa-2048":
            assert "unable to get local issuer certificate" in openssl_verify(leaf, stranger).stderr
    assert_verifies(tmp_path / "cluster.pem", tmp_path / "ec-p384.authority", "-verify_hostname", "temporal.internal")


@pytest.mark.parametrize("authority", KEY_TYPES)
def test_authority_has_exactly_its_profile(issued: Issued, authority: KeyType) -> None:
    """Prevents an authority that may do more than sign certificates, or that others may stand below."""
    certificate = loaded(issued.facts[f"{authority.lower()}-1"])
    assert_is_key_of_type(certificate, authority)
    assert_identifies_keys(certificate, certificate)
    found = extensions(certificate)
    assert found.keys() == {"basicConstraints", "keyUsage", "subjectKeyIdentifier", "authorityKeyIdentifier"}
    assert found["basicConstraints"] == (True, x509.BasicConstraints(ca=True, path_length=0))
    assert found["keyUsage"] == (True, key_usage("digital_signature", "key_cert_sign", "crl_sign"))
    assert certificate.subject == certificate.issuer
    common_name = f"{issued.stack.project_name} {issued.stack.name} {authority.lower()} 1"
    assert certificate.subject.rfc4514_string() == f"CN={common_name},O={issued.stack.project_name}"
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert lifetime == timedelta(days=1825, hours=1)


@pytest.mark.parametrize("authority", KEY_TYPES)
def test_leaf_has_exactly_its_profile_under_every_authority(issued: Issued, authority: KeyType) -> None:
    """Prevents an all-purpose certificate, and one that says less under one type of key than under another."""
    above = loaded(issued.facts[f"{authority.lower()}-1"])
    digests: dict[KeyType, type[hashes.HashAlgorithm]] = {KeyType.EC_P384: hashes.SHA384}
    for name in (name for name, (_, issuer) in LEAVES.items() if issuer is authority):
        certificate = loaded(issued.facts[name])
        assert_is_leaf(certificate, LEAVES[name][0], ExtendedKeyUsageOID.CLIENT_AUTH)
        assert_identifies_keys(certificate, above)
        assert isinstance(certificate.signature_hash_algorithm, digests.get(authority, hashes.SHA256))
        names = {"subjectAltName"} if name == NAMED else set()
        assert extensions(certificate).keys() - names == {
            "basicConstraints",
            "keyUsage",
            "extendedKeyUsage",
            "subjectKeyIdentifier",
            "authorityKeyIdentifier",
        }
        assert certificate.issuer == above.subject
        assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(days=90, hours=1)
        assert certificate.not_valid_after_utc.time().isoformat() == "00:00:00"


def test_node_is_server_and_client_and_a_worker_has_the_names_of_its_settings(issued: Issued) -> None:
    """Prevents a server that other nodes refuse as a client, and names that get lost on the way."""
    cluster = loaded(issued.facts["cluster"])
    assert_is_leaf(cluster, KeyType.RSA_2048, ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    assert extensions(cluster)["subjectAltName"] == (
        False,
        x509.SubjectAlternativeName([x509.DNSName("temporal.internal")]),
    )
    worker = loaded(issued.facts[NAMED])
    assert [(attribute.oid, attribute.value) for attribute in worker.subject] == [
        (NameOID.COUNTRY_NAME, "DE"),
        (NameOID.ORGANIZATION_NAME, "Orders Ltd"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "Fulfilment"),
        (NameOID.COMMON_NAME, NAMED),
    ]
    assert extensions(worker)["subjectAltName"][1] == x509.SubjectAlternativeName(
        [
            x509.DNSName("orders.internal"),
            x509.DNSName("*.orders.internal"),
            x509.IPAddress(ip_address("192.0.2.7")),
            x509.IPAddress(ip_address("2001:db8::7")),
            x509.UniformResourceIdentifier("spiffe://example.org/orders"),
            x509.RFC822Name("orders@example.org"),
        ]
    )


def test_outputs_say_what_the_certificates_say(issued: Issued) -> None:
    """Prevents a status report that is about another certificate."""
    serial_numbers = set()
    for name, facts in issued.facts.items():
        certificate = loaded(facts)
        serial_numbers.add(certificate.serial_number)
        assert int(facts["serialNumber"], 16) == certificate.serial_number
        assert facts["notBefore"] == certificate.not_valid_before_utc.isoformat()
        assert facts["notAfter"] == certificate.not_valid_after_utc.isoformat()
        assert facts["subject"] == certificate.subject.rfc4514_string()
        assert facts["issuer"] == certificate.issuer.rfc4514_string()
        is_authority = facts["role"] == "authority"
        assert facts["role"] == ("authority" if is_authority else "node" if name == "cluster" else "client")
        assert (facts["secretId"] is None) == is_authority
        assert facts["vaultUri"] == issued.vaults["authorities" if is_authority else "leaves"]["uri"]
        above = [] if is_authority else [issued.facts[f"{issuer_of(name)}-1"]["certificatePem"]]
        assert facts["chainPem"] == above
    assert len(serial_numbers) == len(issued.facts)


def issuer_of(leaf: str) -> str:
    return LEAVES[leaf][1].lower() if leaf in LEAVES else "ec-p384" if leaf == "cluster" else "ec-p256"


@pytest.mark.parametrize("authority", KEY_TYPES)
def test_authoritys_key_signs_and_never_leaves(issued: Issued, hand: Hand, authority: KeyType) -> None:
    """Prevents a copy of the key that signs everything: not even a vault's administrator can get one out."""
    name, vault = f"{authority.lower()}-1", issued.vaults["authorities"]["uri"]
    newest, *older = sorted(
        hand.certificates(vault).list_properties_of_certificate_versions(name),
        key=lambda version: version.version != issued.facts[name]["certificateId"].rpartition("/")[2],
    )
    assert newest.enabled
    assert [version.enabled for version in older] == [False]
    assert hand.certificates(vault).get_certificate_policy(name).exportable is False

    key = hand.keys(vault).get_key(name, newest.version)
    assert set(key.key_operations) == {"sign", "verify"}
    assert "d" not in {member for member, value in vars(key.key).items() if value is not None}
    public = loaded(issued.facts[name]).public_key()
    secret = hand.secrets(vault).get_secret(name, newest.version).value
    assert secret is not None
    assert "PRIVATE" not in secret
    assert x509.load_pem_x509_certificate(secret.encode()).public_key() == public
    with pytest.raises(ValueError, match=r"(?i)could not|no key|valid"):
        serialization.load_pem_private_key(secret.encode(), None)
    refusal(lambda: hand.secrets(vault).get_secret(name, older[0].version), 403, "Forbidden", "SecretDisabled")


def test_leafs_key_is_read_by_its_readers_alone(issued: Issued, hand: Hand) -> None:
    """Prevents that who runs one consumer can be another, or that the deployer needs to see a key."""
    vault = issued.vaults["leaves"]["uri"]
    readers = [*READERS.values(), "deployer", "previewer"]
    read = set()
    for name in issued.facts.keys() & {*READERS, "rsa-3072-of-ec-p256"}:
        for reader in readers:
            try:
                value = hand.secrets(vault, reader).get_secret(name).value
            except HttpResponseError as error:
                if error.status_code != 403:
                    raise
                continue
            assert value is not None
            key = serialization.load_pem_private_key(value.encode(), None)
            assert key.public_key() == loaded(issued.facts[name]).public_key()
            read.add((name, reader))
    assert read == set(READERS.items())
    authorities = issued.vaults["authorities"]["uri"]
    for reader in readers:
        with pytest.raises(HttpResponseError, match="ForbiddenByRbac"):
            hand.secrets(authorities, reader).get_secret("ec-p256-1")


def test_thirty_leaves_keep_to_the_pace_that_azure_allows(issued: Issued) -> None:
    """Prevents a large stack that is throttled: a vault makes 20 keys in 10 seconds, and refuses more."""
    assert len(issued.up.certificates("create")) == len(LEAVES) + 3 + len(KEY_TYPES)
    assert len(LEAVES) + 3 > AZURE_LIMIT
    assert issued.throttled == []
