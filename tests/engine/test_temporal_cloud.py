"""Two namespaces in Temporal Cloud from one stack: what each is given, and that none of it is a resource."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localazure.client import LocalAzure
from tests.engine.stacks import ProgramStack, Watch

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("temporal-cloud")]

PAYMENTS, SHOP = "payments.a1b2c", "shop.a1b2c"
EC = {"keyType": "EC-P256"}
SETTINGS: dict[str, Any] = {
    "certificateAuthorities": {
        "internode": EC,
        "clients": {**EC, "generations": {"1": {}, "2": {}}, "signing": 2},
        "shop": EC,
    },
    "certificates": {"orders": {}, "billing": {}, "stock": {"issuer": "shop"}},
}


def namespaces(*payments_filters: dict[str, str]) -> dict[str, Any]:
    return {
        "namespaces": {
            PAYMENTS: {"certificates": ["orders", "billing"], "filters": list(payments_filters)},
            SHOP: {"certificates": ["stock"]},
        }
    }


@pytest.fixture(scope="module")
def stack(new_stack: Callable[[], ProgramStack]) -> ProgramStack:
    """A stack whose two namespaces have what nobody wrote."""
    stack = new_stack()
    stack.set(**SETTINGS, temporalCloud=namespaces())
    stack.run("up").check()
    return stack


def shown_by_openssl(pem: str) -> str:
    """A certificate's fingerprint, in tcld's spelling."""
    command = ["openssl", "x509", "-noout", "-fingerprint", "-sha1"]
    line = subprocess.run(command, input=pem, capture_output=True, text=True, check=True).stdout
    return line.strip().partition("=")[2].replace(":", "").lower()


def test_each_namespace_has_its_bundle_fingerprints_and_filters(stack: ProgramStack) -> None:
    """A namespace trusts another one's authority, or a fingerprint is of another certificate than the bundle's."""
    outputs = stack.outputs()
    bundles, found = outputs["caBundles"], outputs["temporalCloud"]

    assert found.keys() == {PAYMENTS, SHOP}
    for name, authority in {PAYMENTS: "clients", SHOP: "shop"}.items():
        assert found[name]["caBundlePem"] == "".join(bundles[authority])
        assert found[name]["fingerprints"] == [shown_by_openssl(pem) for pem in bundles[authority]]
        assert len(found[name]["commands"]["addCa"]) == len(bundles[authority])
    assert len(found[PAYMENTS]["fingerprints"]) == 2
    assert found[PAYMENTS]["filters"] == {
        "filters": [
            {"commonName": "orders", "organization": "temporal-azure"},
            {"commonName": "billing", "organization": "temporal-azure"},
        ]
    }
    assert found[SHOP]["filters"] == {"filters": [{"commonName": "stock", "organization": "temporal-azure"}]}
    assert "PRIVATE" not in json.dumps(found)


def test_commands_write_the_files_from_the_stack(stack: ProgramStack, tmp_path: Path) -> None:
    """The real `pulumi stack output` prints something else than the commands expect."""
    found = stack.outputs()["temporalCloud"][PAYMENTS]
    commands, environment = found["commands"], {**os.environ, **stack.environment()}
    # Whoever runs them is in the program's folder, with the stack selected.
    for name in ("writeCaBundle", "writeFilters"):
        command = commands[name].replace("temporalCloud --json", f"temporalCloud --json --stack {stack.name}")
        command = command.replace(" > ", f" > {tmp_path}/")
        subprocess.run(["sh", "-euc", command], cwd=stack.root, env=environment, check=True)

    assert (tmp_path / f"{PAYMENTS}-ca.pem").read_text() == found["caBundlePem"]
    assert json.loads((tmp_path / f"{PAYMENTS}-filters.json").read_text()) == found["filters"]


def test_second_up_changes_nothing(stack: ProgramStack, azure: LocalAzure) -> None:
    """An output that is never the same makes every `up` look like a change."""
    before, watch = stack.outputs(), Watch(azure)

    run = stack.run("up").check()

    assert run.changes.keys() == {"same"}
    assert stack.outputs() == before
    assert watch.writes() == []


def test_changed_filter_is_an_output_and_no_resource(stack: ProgramStack, azure: LocalAzure) -> None:
    """Somebody who narrows a filter gets new certificates, or sees no change before `up`."""
    before = stack.outputs()
    narrower = {"filters": [{"commonName": "orders"}, {"commonName": "bill*", "organization": "temporal-azure"}]}
    stack.set(temporalCloud=namespaces(*narrower["filters"]))
    watch = Watch(azure)

    preview = stack.run("preview").check()

    assert preview.changes.keys() == {"same"}
    assert preview.stack_outputs["temporalCloud"][PAYMENTS]["filters"] == narrower
    assert stack.outputs() == before
    assert stack.run("up").check().changes.keys() == {"same"}
    assert watch.writes() == []
    after = stack.outputs()
    assert after["temporalCloud"][PAYMENTS].pop("filters") == narrower
    before["temporalCloud"][PAYMENTS].pop("filters")
    assert after == before


def test_a_certificate_that_leaks_is_told_before_anything_is_made(stack: ProgramStack, azure: LocalAzure) -> None:
    """The holder of another namespace's certificate is let in."""
    stack.set(temporalCloud=namespaces({"organization": "temporal-azure"}))
    watch = Watch(azure)

    shown = stack.run("up").refused().shown

    stack.set(temporalCloud=namespaces())
    for certificate in ("stock of shop.a1b2c", "ui under clients", "cli under clients"):
        assert f"filters[0] matches certificate {certificate}" in shown
    assert watch.requests() == []
