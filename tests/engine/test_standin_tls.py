"""The stand-in for tls between the real engine and a program of its own: one stack, step after step."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from localazure.client import LocalAzure
from localazure.plugins.package import version_of
from plugin.clock import VARIABLE
from tests.engine.standins import configure, standin_stack
from tools.stack import LocalStack, Preview

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("standin-tls")]

PROGRAM = """
    import pulumi
    import pulumi_tls as tls

    config = pulumi.Config()
    root = tls.PrivateKey("root", algorithm="ECDSA", ecdsa_curve="P256")
    authority = tls.SelfSignedCert(
        "root",
        private_key_pem=root.private_key_pem,
        subject=tls.SelfSignedCertSubjectArgs(common_name="root", organization="shop"),
        validity_period_hours=1000,
        allowed_uses=["cert_signing"],
        is_ca_certificate=True,
    )
    key = tls.PrivateKey("leaf", algorithm="ECDSA", ecdsa_curve="P256")
    request = tls.CertRequest(
        "leaf",
        private_key_pem=key.private_key_pem,
        subject=tls.CertRequestSubjectArgs(common_name=config.get("name") or "leaf"),
        dns_names=["leaf.example"],
    )
    leaf = tls.LocallySignedCert(
        "leaf",
        ca_cert_pem=authority.cert_pem,
        ca_private_key_pem=root.private_key_pem,
        cert_request_pem=request.cert_request_pem,
        validity_period_hours=100,
        early_renewal_hours=config.get_int("window") or 30,
        allowed_uses=[config.get("use") or "client_auth"],
    )
    pulumi.export("authority", authority.cert_pem)
    pulumi.export("leaf", leaf.cert_pem)
    pulumi.export("key", key.private_key_pem)
"""


NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)
KEYS = {"privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh", "caPrivateKeyPem"}
_SECRET = "4dabf18193072939515e22adb298388d"
"""What marks a secret in a state."""

Times = Callable[..., LocalStack]


@pytest.fixture(scope="module")
def at(azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path) -> Times:
    """The module's stack, so many hours after its first `up`, with these settings."""
    folder = tmp_path_factory.mktemp("tls")
    first = standin_stack(folder, PROGRAM, {}, azure=azure, pulumi_home=pulumi_home)

    def stack(hours: float = 0, **settings: Any) -> LocalStack:
        now = (NOW + timedelta(hours=hours)).isoformat()
        later = LocalStack(
            first.root, azure=azure, project=first.project, pulumi_home=pulumi_home, environment={VARIABLE: now}
        )
        configure(later, settings)
        return later

    stack().up().check()
    return stack


def steps(preview: Preview) -> dict[str, str]:
    """What a preview would do to which resource; what stays is left out."""
    return {
        f"{step['urn'].split('::')[2].rpartition(':')[2]} {step['urn'].rpartition('::')[2]}": step["op"]
        for step in preview.steps
        if step["op"] in ("create", "update", "replace", "delete")
    }


def certificate(stack: LocalStack, name: str = "leaf") -> x509.Certificate:
    return x509.load_pem_x509_certificate(str(stack.outputs()[name]).encode())


def test_state_is_that_of_the_official_plugin(at: Times) -> None:
    """Prevents a key in the clear, a certificate that is none of the authority's, and a stand-in of another version."""
    stack = at()
    certificate(stack).verify_directly_issued_by(certificate(stack, "authority"))
    state = stack.export()
    resources = [item for item in state["deployment"]["resources"] if item["type"].startswith("tls:")]
    assert {item["type"].rpartition(":")[2] for item in resources} == {
        "PrivateKey",
        "SelfSignedCert",
        "CertRequest",
        "LocallySignedCert",
    }
    for item in resources:
        for name, value in (*item["inputs"].items(), *item["outputs"].items()):
            assert (isinstance(value, dict) and _SECRET in value) is (name in KEYS), name
    providers = [item for item in state["deployment"]["resources"] if item["type"] == "pulumi:providers:tls"]
    assert [item["inputs"]["version"] for item in providers] == [version_of("tls")]


def test_preview_says_what_a_change_replaces(at: Times) -> None:
    """Prevents that a leaf is issued anew without a word, and that anything is without a change."""
    assert steps(at(69.9).preview().check()) == {}
    replaced = {"CertRequest leaf": "replace", "LocallySignedCert leaf": "replace"}
    assert steps(at(name="other").preview().check()) == replaced


def test_wrong_input_is_refused_beside_its_resource(at: Times) -> None:
    refused = at(use="client").preview()
    assert refused.exit_status
    assert "Attribute allowedUses[0] value must be one of: [" in refused.output


def test_leaf_is_renewed_inside_its_window_and_then_left_alone(at: Times) -> None:
    """Prevents a certificate that ends between two runs, and one that is new at each."""
    before, authority = certificate(at()), certificate(at(), "authority")
    due = at(70)
    outcome = due.up().check()
    assert outcome.changes["replace"] == 1
    after = certificate(due)
    assert (after.serial_number != before.serial_number, after.public_key()) == (True, before.public_key())
    assert after.not_valid_before_utc == NOW + timedelta(hours=70)
    assert certificate(due, "authority") == authority
    assert steps(due.preview().check()) == {}
