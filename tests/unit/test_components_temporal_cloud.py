"""The output `temporalCloud`: what is known before certificates are, what follows from them, and nothing secret."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pulumi
import pytest

from components.temporal_cloud import cloud_accesses, temporal_cloud
from pki import CaBundle, CertificateFilter, file_commands, to_pem
from tests.certificates import authority_policy, issue
from tests.unit.declared import declare

PAYMENTS, SHOP = "payments.a1b2c", "shop.a1b2c"
OF_CERTIFICATES = ("caBundlePem", "caBundleBase64", "fingerprints")


@dataclass(frozen=True)
class Namespace:
    authorities: tuple[str, ...]
    filters: tuple[CertificateFilter, ...]
    certificates: tuple[str, ...] = ()
    apply: bool = False
    exclusive: bool = False
    timeout_seconds: int | None = None


NAMESPACES = {
    PAYMENTS: Namespace(("clients",), (CertificateFilter(common_name="orders", organization="Contoso"),)),
    SHOP: Namespace(("shop", "clients"), (CertificateFilter(organizational_unit="Shop*"),)),
}


@pytest.fixture(scope="module")
def bundles() -> dict[str, list[str]]:
    """The certificates of two authorities, of which one has two generations."""
    pems = {name: to_pem(issue(authority_policy(name)).certificate) for name in ("clients 2", "clients 1", "shop 1")}
    return {"clients": [pems["clients 2"], pems["clients 1"]], "shop": [pems["shop 1"]]}


def outputs_of(bundles: Mapping[str, list[str]]) -> dict[str, pulumi.Output[list[str]]]:
    return {name: pulumi.Output.from_input(pems) for name, pems in bundles.items()}


def declared(bundles: Mapping[str, list[str]]) -> Any:
    """The output, resolved, for a stack whose certificates exist."""

    def program() -> Any:
        return temporal_cloud(NAMESPACES, outputs_of(bundles), {})

    found = declare(program)
    assert found.resources == (), "it is an output, and no resource"
    return found.outputs


def test_each_namespace_has_its_authorities_filters_and_commands(bundles: dict[str, list[str]]) -> None:
    """A namespace trusts another one's authority, or lacks a generation that still issues."""
    found = declared(bundles)

    assert found.keys() == {PAYMENTS, SHOP}
    for name, trusted in {PAYMENTS: bundles["clients"], SHOP: [*bundles["shop"], *bundles["clients"]]}.items():
        bundle = CaBundle.of(trusted)
        assert found[name] == {
            "caBundlePem": bundle.pem,
            "caBundleBase64": bundle.base64,
            "fingerprints": bundle.fingerprints,
            "filters": {"filters": [dict(entry.given) for entry in NAMESPACES[name].filters]},
            "applied": False,
            "unmanaged": [],
            "commands": {**file_commands(name), "addCa": bundle.add_commands(name)},
        }
        assert "PRIVATE" not in repr(found[name])


def test_a_stack_without_temporal_cloud_has_nothing_to_tell() -> None:
    """An output of a form of its own, which those who read it have to know."""
    assert temporal_cloud({}, {}, {}) == {}


def test_only_what_comes_from_certificates_is_unknown_before_them() -> None:
    """A preview shows no filter before the first `up`, or an output is read that is not there."""

    def program() -> Any:
        unsettled: Any = pulumi.UNKNOWN
        unknown: pulumi.Output[list[str]] = pulumi.Output.from_input(unsettled)
        output = temporal_cloud(NAMESPACES, {"clients": unknown, "shop": unknown}, {})[PAYMENTS]
        known = {key: value.is_known() for key, value in output.items() if isinstance(value, pulumi.Output)}
        add = output["commands"]["addCa"]
        assert not isinstance(output["filters"], pulumi.Output)
        assert {key for key, value in output["commands"].items() if isinstance(value, pulumi.Output)} == {"addCa"}
        return {"known": pulumi.Output.all(**known), "addCa": pulumi.Output.from_input(add.is_known())}

    assert declare(program, preview=True).outputs == {"known": dict.fromkeys(OF_CERTIFICATES, False), "addCa": False}


def test_nothing_is_secret(bundles: dict[str, list[str]]) -> None:
    """`pulumi stack output` hides what is public, and the commands in the documentation write [secret] into files."""

    def program() -> Any:
        output = temporal_cloud(NAMESPACES, outputs_of(bundles), {})
        values = (*(output[PAYMENTS][key] for key in OF_CERTIFICATES), output[PAYMENTS]["commands"]["addCa"])
        return pulumi.Output.all(*(value.is_secret() for value in values))

    assert declare(program).outputs == [False] * 4


def test_a_root_that_authorities_have_in_common_is_there_once(bundles: dict[str, list[str]]) -> None:
    """Twice in a bundle it counts twice, and Temporal Cloud takes no more than sixteen."""
    root = to_pem(issue(authority_policy("root")).certificate)
    found = declared({name: [*pems, root] for name, pems in bundles.items()})

    assert found[SHOP]["caBundlePem"].count(root) == 1
    assert found[SHOP]["caBundlePem"] == "".join([*bundles["shop"], root, *bundles["clients"]])


def test_only_what_is_to_be_applied_is_a_resource(bundles: dict[str, list[str]]) -> None:
    """`up` changes a namespace that nobody asked it to change, or none of those that it was asked to."""
    namespaces = {**NAMESPACES, SHOP: replace(NAMESPACES[SHOP], apply=True)}

    def program() -> Any:
        accesses = cloud_accesses(namespaces, outputs_of(bundles), pulumi.ResourceOptions())
        return temporal_cloud(namespaces, outputs_of(bundles), accesses)

    found = declare(program)
    [access] = found.resources
    assert (access.type, access.name) == ("temporalazure:cloud:NamespaceAccess", SHOP)
    assert access.inputs == {
        "namespace": SHOP,
        "certificateAuthoritiesPem": [*bundles["shop"], *bundles["clients"]],
        "filters": [{"organizationalUnit": "Shop*"}],
        "exclusive": False,
    }
    assert {name: facts["applied"] for name, facts in found.outputs.items()} == {PAYMENTS: False, SHOP: True}
