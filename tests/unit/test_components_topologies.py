"""What is declared of a tree of authorities, in whatever order they are named, and while some of them wait."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from components import Access, MutualTls, MutualTlsArgs, find_authorities
from pki import to_pem
from provider.resources import KeyVaultProvider
from tests.certificates import authority_policy, issue, leaf_policy
from tests.unit.declared import EXISTING_AUTHORITY, Declared, declare
from tests.unit.test_components import VAULTS, Authority, Generation, Leaf, _policy

ROOT_PEM = to_pem(issue(authority_policy("Contoso Root")).certificate)
CERTIFICATE = "temporalazure:keyvault:Certificate"


def tree(**authorities: Authority) -> Declared:
    """Declare leaves of the first two authorities."""
    internode, clients, *_ = authorities
    leaves = {"cluster": Leaf(leaf_policy("cluster"), internode), "ui": Leaf(leaf_policy("ui"), clients)}

    def program() -> dict[str, Any]:
        provider = KeyVaultProvider("temporalazure", {})
        declared = MutualTls(
            "mutual-tls",
            MutualTlsArgs(
                vault_names=VAULTS,
                recovered_vaults=(),
                vault_policy=_policy(provider, Access((), {}), None),
                authorities=authorities,
                existing=find_authorities(authorities, _options(provider)),
                leaves=leaves,
                client_authorities=(clients,),
                cloud_namespaces={},
            ),
        )
        return {
            "certificates": declared.certificates,
            "requests": declared.signing_requests,
            "bundles": declared.ca_bundles,
            "closed": declared.closed_bundles,
        }

    return declare(program)


def _options(provider: KeyVaultProvider) -> Any:
    return pulumi.InvokeOptions(provider=provider)


def made(name: str, issuer: str | None = None, **generation: Any) -> Authority:
    return Authority(name, {1: Generation(f"{name}-1", **generation)}, issuer=issuer)


def inputs(declared: Declared) -> Mapping[str, dict[str, Any]]:
    return {item.name: dict(item.inputs) for item in declared.resources if item.type == CERTIFICATE}


def test_authorities_are_declared_from_the_root_on() -> None:
    """An issuer that is not there yet cannot be waited for."""
    declared = tree(
        internode=made("internode", "root"),
        payments=made("payments", "clients"),
        clients=made("clients", "root"),
        root=made("root"),
    )
    found = inputs(declared)
    assert "issuer" not in found["root-1"]
    assert found["clients-1"]["issuer"]["certificatePem"] == "certificate of root-1\n"
    assert found["payments-1"]["issuer"]["chainPem"] == ["certificate of root-1\n"]
    assert found["ui"]["issuer"]["chainPem"] == ["certificate of clients-1\n", "certificate of root-1\n"]
    assert declared.outputs["bundles"]["payments"] == ["certificate of payments-1\n"]
    assert declared.outputs["closed"]["payments"] == [
        "certificate of payments-1\n",
        "certificate of clients-1\n",
        "certificate of root-1\n",
    ]
    assert declared.outputs["requests"] == {}


@pytest.mark.parametrize("below", [{}, {"issued_pem": None}])
def test_below_what_waits_nothing_is_declared(below: dict[str, Any]) -> None:
    """A leaf would be asked of an authority that has no certificate."""
    declared = tree(
        internode=made("internode"),
        payments=made("payments", "clients"),
        clients=made("clients", "corporate", **below),
        corporate=made("corporate", certificate_pem=ROOT_PEM),
    )
    found = inputs(declared)
    assert found.keys() == {"internode-1", "cluster", "clients-1"}
    assert found["clients-1"]["issuer"] == {"certificatePem": ROOT_PEM, "chainPem": []}
    outputs = declared.outputs
    assert outputs["requests"] == {"clients-1": "signing request of clients-1\n"}
    assert outputs["certificates"].keys() == {"cluster", "internode-1", "corporate-1"}
    assert (outputs["bundles"]["clients"], outputs["bundles"]["payments"]) == ([], [])
    assert outputs["bundles"]["corporate"] == [ROOT_PEM]


def test_what_was_signed_elsewhere_issues() -> None:
    declared = tree(
        internode=made("internode"),
        clients=made("clients", "corporate", issued_pem=ROOT_PEM),
        corporate=made("corporate", certificate_pem=ROOT_PEM),
    )
    found = inputs(declared)
    assert found["clients-1"]["issuedPem"] == ROOT_PEM
    assert found["ui"]["issuer"]["keyId"].endswith("/keys/clients-1/0123456789abcdef0123456789abcdef")
    assert declared.outputs["requests"].keys() == {"clients-1"}


def test_an_authority_in_another_vault_signs_there() -> None:
    """It is no resource: nothing of it is made, changed or deleted."""
    declared = tree(
        internode=made("internode"), corporate=made("corporate", vault_certificate="https://v/certificates/c")
    )
    found = inputs(declared)
    assert found.keys() == {"internode-1", "cluster", "ui"}
    assert found["ui"]["issuer"] == {
        "certificatePem": EXISTING_AUTHORITY.certificate_pem,
        "keyId": EXISTING_AUTHORITY.key_id,
        "chainPem": [],
    }
    facts = declared.outputs["certificates"]["corporate-1"]
    assert (facts["role"], facts["certificateId"]) == ("authority", EXISTING_AUTHORITY.certificate_id)
    assert facts["subject"] == "CN=corporate,O=Contoso"
    assert declared.outputs["bundles"]["corporate"] == [EXISTING_AUTHORITY.certificate_pem]
