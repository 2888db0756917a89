"""What the components declare where private keys are in the state: keys, requests and certificates of pulumi-tls."""

from functools import cache
from typing import Any

import pulumi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from components import Access, MutualTls, MutualTlsArgs, VaultPolicy, held_in_state
from components.held_in_state import as_asked, without_obstacles
from pki import IssuancePolicy, KeyType, Role, deviations, load_certificate
from provider.resources import KeyVaultProvider
from tests.certificates import authority_policy, leaf_policy
from tests.unit.declared import SUBSCRIPTION, TENANT, Declared, declare
from tests.unit.test_components import CALLER, Authority, Generation, Leaf, Protection

KINDS = "temporal-azure:components:"
AUTHORITIES = {
    "internode": Authority("internode", {1: Generation("internode-1")}),
    "clients": Authority("clients", {2: Generation("clients-2", renewal=3), 1: Generation("clients-1")}, signing=2),
}
LEAVES = {
    "cluster": Leaf(leaf_policy("temporal.internal", role=Role.NODE, key_type=KeyType.RSA_2048), "internode"),
    "ui": Leaf(leaf_policy("ui", key_type=KeyType.EC_P384), "clients"),
}


def mutual_tls(
    *,
    preview: bool = False,
) -> Declared:
    """Declare everything, in the state."""

    def program() -> dict[str, Any]:
        policy = VaultPolicy(
            resource_group_name="temporal",
            location="westeurope",
            tenant_id=TENANT,
            subscription_id=SUBSCRIPTION,
            protection=Protection(),
            access=Access((CALLER,), {"*": (CALLER,)}),
            tags={},
            provider=KeyVaultProvider("temporalazure", {}),
        )
        declared = MutualTls(
            "mutual-tls",
            MutualTlsArgs(
                vault_names={},
                recovered_vaults=(),
                vault_policy=policy,
                authorities=AUTHORITIES,
                leaves=LEAVES,
                client_authorities=("clients",),
                cloud_namespaces={},
            ),
        )
        assert declared.leaves_vault is None
        secret = {
            name: pulumi.Output.from_input(value).is_secret()
            for name, value in (*declared.private_keys.items(), ("certificate", declared.certificates["ui"]["subject"]))
        }
        return {
            "certificates": declared.certificates,
            "caBundles": declared.ca_bundles,
            "keyVaults": declared.key_vaults,
            "privateKeys": declared.private_keys,
            "secret": secret,
        }

    return declare(program, preview=preview)


@cache
def everything() -> Declared:
    return mutual_tls()


def names(declared: Declared) -> set[str]:
    return {
        item.urn.partition("::temporal-azure::")[2].removeprefix("pulumi:pulumi:Stack$") for item in declared.resources
    }


def test_names_and_types_do_not_change_by_accident() -> None:
    """They live in the state: another name is another key. There is no vault, and nobody gets a role."""
    mine = f"{KINDS}MutualTls"
    authority, leaf = f"{KINDS}StateCertificateAuthority", f"{KINDS}StateLeaf"
    generations = ("internode-1", "clients-1", "clients-2")
    assert names(everything()) == {
        "pulumi:providers:temporalazure::temporalazure",
        f"{mine}::mutual-tls",
        *(f"{mine}${authority}::{name}" for name in AUTHORITIES),
        *(f"{authority}$tls:index/privateKey:PrivateKey::{name}" for name in generations),
        *(f"{authority}$temporalazure:state:Authority::{name}" for name in generations),
        *(f"{mine}${leaf}::{name}" for name in LEAVES),
        *(f"{leaf}$temporalazure:state:{record}::{name}" for record in ("Step", "Standing") for name in LEAVES),
        *(f"{leaf}$tls:index/privateKey:PrivateKey::{name}" for name in LEAVES),
        *(f"{leaf}$tls:index/certRequest:CertRequest::{name}" for name in LEAVES),
        *(f"{leaf}$tls:index/locallySignedCert:LocallySignedCert::{name}" for name in LEAVES),
    }


def test_every_resource_has_its_parent() -> None:
    """A child without its parent is deleted and created when somebody mends that."""
    by_urn = {item.urn: item for item in everything().resources}
    for item in everything().resources:
        if item.type.startswith("tls:"):
            assert by_urn[item.parent].type.rpartition(":")[2] in ("StateCertificateAuthority", "StateLeaf")
        elif item.type.startswith(KINDS) and item.name != "mutual-tls":
            assert by_urn[item.parent].name == "mutual-tls"


def test_what_is_made_is_what_its_policy_says() -> None:
    """The same policy gives the same certificate in Key Vault."""
    certificates = everything().outputs["certificates"]
    policies: dict[str, tuple[IssuancePolicy, str | None]] = {
        **{name: (leaf.policy, f"{leaf.issuer}-{AUTHORITIES[leaf.issuer].signing}") for name, leaf in LEAVES.items()},
        **{
            item.certificate_name: (authority.policy(number), None)
            for authority in AUTHORITIES.values()
            for number, item in authority.generations.items()
        },
    }
    assert certificates.keys() == policies.keys()
    for name, (policy, issuer) in policies.items():
        above = load_certificate(certificates[issuer]["certificatePem"]) if issuer else None
        assert deviations(load_certificate(certificates[name]["certificatePem"]), policy, above) == []


def test_outputs_are_those_of_key_vault() -> None:
    """What reads them need not know where the keys are; what only a vault has is null."""
    outputs = everything().outputs
    pems = {name: facts["certificatePem"] for name, facts in outputs["certificates"].items()}
    assert outputs["keyVaults"] == {}
    assert outputs["caBundles"] == {
        "internode": [pems["internode-1"]],
        "clients": [pems["clients-2"], pems["clients-1"]],
    }
    ui = load_certificate(pems["ui"])
    assert outputs["certificates"]["ui"] == {
        "role": "client",
        "subject": ui.subject.rfc4514_string(),
        "subjectAlternativeNames": {"dnsNames": ["ui.example.com"], "ipAddresses": [], "uris": [], "emails": []},
        "issuer": ui.issuer.rfc4514_string(),
        "serialNumber": f"{ui.serial_number:x}",
        "notBefore": ui.not_valid_before_utc.isoformat(),
        "notAfter": ui.not_valid_after_utc.isoformat(),
        "renewBeforeDays": LEAVES["ui"].policy.renew_before_days,
        "certificateId": None,
        "keyId": None,
        "secretId": None,
        "vaultUri": None,
        "certificatePem": pems["ui"],
        "chainPem": [pems["clients-2"]],
    }


def test_private_keys_are_secrets_and_belong_to_the_leaves() -> None:
    """Prevents a key in the clear, a key of an authority in an output, and a certificate that no output can show."""
    outputs = everything().outputs
    assert outputs["secret"] == {"cluster": True, "ui": True, "certificate": False}
    assert outputs["privateKeys"].keys() == LEAVES.keys()
    for name, pem in outputs["privateKeys"].items():
        assert pem.startswith("-----BEGIN PRIVATE KEY-----\n")
        key = serialization.load_pem_private_key(pem.encode(), None)
        certificate = load_certificate(outputs["certificates"][name]["certificatePem"])
        assert key.public_key() == certificate.public_key()


def test_leaves_are_renewed_in_their_window_and_authorities_by_hand() -> None:
    """Prevents an authority that the clock replaces while it lasts, and a leaf that nothing renews.

    A leaf stays as it is when its authority's certificate is renewed, under the same key and name, and is issued anew
    when the name changes.
    """
    declared = everything()
    assert declared.one(":Authority", "clients-2").inputs["renewal"] == 3
    assert declared.one(":Authority", "clients-1").inputs["renewal"] == 0
    for name in ("clients-1", "clients-2"):
        assert declared.one(":PrivateKey", name).ignore_changes == ("algorithm", "rsaBits", "ecdsaCurve")
    leaf = declared.one(":LocallySignedCert", "ui")
    assert leaf.inputs["earlyRenewalHours"] == LEAVES["ui"].policy.renew_before_days * 24
    assert leaf.ignore_changes == ("caCertPem",)
    assert leaf.replacement_trigger["common_name"] == "clients 2"


def test_a_leaf_stands_between_its_records() -> None:
    """Prevents a leaf that is issued before its step was judged, and a standing that tells what is not issued yet."""
    declared = everything()
    for name, issued_by, trusted in (
        ("cluster", "internode-1", ["internode-1"]),
        ("ui", "clients-2", ["clients-1", "clients-2"]),
    ):
        step, standing = declared.one("state:Step", name), declared.one("state:Standing", name)
        leaf = declared.one(":LocallySignedCert", name)
        assert step.urn in leaf.dependencies
        assert leaf.urn in standing.dependencies
        assert not step.dependencies
        asked = {"name": name, "role": LEAVES[name].policy.role, "issuedBy": issued_by, "trusted": trusted}
        assert step.inputs == asked
        assert standing.inputs == asked | {"certificatePem": _pem(name)}
        assert step.provider == standing.provider == declared.one("state:Authority", issued_by).provider


def test_a_preview_of_the_first_up_knows_no_certificate_and_fails_for_none() -> None:
    assert names(mutual_tls(preview=True)) == names(everything())


def test_whatever_is_made_is_checked_before_anything_else_is_made_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a check that nobody calls: here each leaves its mark, in text that PEM has no use for."""
    monkeypatch.setattr(held_in_state, "as_asked", lambda name, policy, pem, chain: f"as asked\n{pem}")
    monkeypatch.setattr(held_in_state, "without_obstacles", lambda pem, policy: f"without obstacles\n{pem}")
    declared = mutual_tls()
    certificates = declared.outputs["certificates"]
    assert all(facts["certificatePem"].startswith("as asked\n-----BEGIN") for facts in certificates.values())
    for leaf in declared.of_type(":LocallySignedCert"):
        assert leaf.inputs["caCertPem"].startswith("without obstacles\nas asked\n-----BEGIN")


def _pem(name: str) -> str:
    return str(everything().outputs["certificates"][name]["certificatePem"])


def test_what_is_made_otherwise_than_asked_goes_no_further() -> None:
    """Prevents an authority without its path length: what pulumi-tls cannot express is never dropped in silence.

    So it would be: terraform-provider-tls 4.2.1 leaves a path length of 0 out.
    """
    authority, leaf = AUTHORITIES["clients"].policy(2), LEAVES["ui"].policy
    assert as_asked("clients-2", authority, _pem("clients-2"), []) == _pem("clients-2")
    assert as_asked("ui", leaf, _pem("ui"), [_pem("clients-2")]) == _pem("ui")
    unlimited = authority.model_copy(update={"path_length": None})
    with pytest.raises(pulumi.RunError, match=r"clients-2: pulumi-tls made another .*: its extension basicConstraints"):
        as_asked("clients-2", unlimited, _pem("clients-2"), [])
    with pytest.raises(pulumi.RunError, match=r"ui: pulumi-tls made another certificate .*: it was not issued by "):
        as_asked("ui", leaf, _pem("ui"), [_pem("clients-1")])


def test_what_temporal_would_refuse_is_refused_before_it_is_issued() -> None:
    """Prevents a leaf whose name is its authority's: Temporal Cloud takes no such chain."""
    leaf = LEAVES["ui"].policy
    assert without_obstacles(_pem("clients-2"), leaf) == _pem("clients-2")
    namesake = leaf.model_copy(update={"subject": AUTHORITIES["clients"].policy(2).subject})
    with pytest.raises(pulumi.RunError, match=r"clients 2: of its issuers, .* has the name of what it is to issue"):
        without_obstacles(_pem("clients-2"), namesake)


def test_the_checks_here_see_a_difference() -> None:
    """A comparison that finds nothing proves nothing."""
    certificate: x509.Certificate = load_certificate(everything().outputs["certificates"]["ui"]["certificatePem"])
    assert deviations(certificate, authority_policy("clients 2"), None) != []
