"""Preview writes nothing and says what `up` then does; the second `up` changes nothing, whoever runs it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localazure.client import LocalAzure
from tests.engine.cloudservice import CloudService
from tests.engine.stacks import ProgramStack, Run, Watch

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("idempotence")]

GROUP = "Temporal Operators"
RECORDED_NAMES = Path(__file__).with_name("names_in_state.txt")
OUTPUTS = {
    "serverEnv",
    "internalFrontendEnv",
    "serverConfig",
    "dynamicConfig",
    "uiEnv",
    "cliEnv",
    "workerEnvs",
    "certificates",
    "caBundles",
    "certificateSigningRequests",
    "keyVaults",
    "privateKeys",
    "signOn",
    "temporalCloud",
}
FACTS = {
    "role",
    "subject",
    "subjectAlternativeNames",
    "issuer",
    "serialNumber",
    "notBefore",
    "notAfter",
    "renewBeforeDays",
    "certificateId",
    "keyId",
    "secretId",
    "vaultUri",
    "certificatePem",
    "chainPem",
}


def everything(azure: LocalAzure) -> dict[str, Any]:
    """Settings that declare a resource of every kind that there is."""
    providers = f"/subscriptions/{azure.subscription_id}/resourceGroups/hub/providers"
    ec = {"keyType": "EC-P256"}
    return {
        "certificateAuthorities": {
            "internode": {**ec, "generations": {"1": {}, "2": {}}, "signing": 2},
            "clients": ec,
        },
        "certificates": {"orders": {}, "shipping": {}},
        "vaults": {
            "network": {"privateEndpointSubnet": f"{providers}/Microsoft.Network/virtualNetworks/hub/subnets/vaults"},
            "diagnosticsWorkspace": f"{providers}/Microsoft.OperationalInsights/workspaces/hub",
        },
        "access": {
            "readers": {
                "*": [{"id": "11111111-0000-4000-8000-000000000000", "kind": "Group"}],
                "orders": [{"id": "22222222-0000-4000-8000-000000000000", "kind": "ServicePrincipal"}],
            }
        },
        "temporalCloud": {"namespaces": {"payments.a1b2c": {"certificates": ["orders"], "apply": True}}},
        "authorization": None,
        "signOn": {
            "roles": {"default:write": [{"group": GROUP}]},
            "workers": {"shipping": {"federatedCredentials": [{"issuer": "https://issuer.example", "subject": "it"}]}},
        },
    }


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """A stack after its first `up`, with the preview before it, and what that preview asked Azure."""

    stack: ProgramStack
    preview: Run
    asked: list[dict[str, Any]]
    writes: list[str]
    up: Run


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudService]:
    with CloudService(tmp_path_factory.mktemp("cloud"), api_key="of-temporal-cloud") as service:
        service.create("payments.a1b2c", api_keys=True)
        yield service


@pytest.fixture(scope="module")
def beginning(new_stack: Callable[[], ProgramStack], azure: LocalAzure, service: CloudService) -> Beginning:
    stack = new_stack()
    stack.set(**everything(azure), elsewhere={"temporalazure:temporalCloudAddress": service.address})
    stack.variables["TEMPORAL_CLOUD_API_KEY"] = service.api_key
    watch = Watch(azure)
    preview = stack.run("preview", identity="nobody").check()
    asked, writes = watch.requests(), watch.writes()
    return Beginning(stack=stack, preview=preview, asked=asked, writes=writes, up=stack.run("up").check())


def test_first_preview_writes_nothing_and_needs_no_right_beyond_reading(beginning: Beginning) -> None:
    """Prevents a preview that makes something, or that only the deployer can run."""
    assert beginning.writes == []
    assert [request for request in beginning.asked if request["host"] == "vault"] == []
    assert [request for request in beginning.asked if request["status"] in (401, 403)] == []
    assert beginning.stack.exists()
    assert beginning.preview.changes.keys() == {"create"}


def test_first_up_does_exactly_what_preview_announced(beginning: Beginning) -> None:
    """Prevents a surprise after the question whether to go on."""
    assert beginning.up.steps == beginning.preview.steps
    assert beginning.up.changes == beginning.preview.changes


@pytest.mark.parametrize(
    ("operation", "identity"),
    [
        ("up", "deployer"),
        ("up", "deployer2"),
        ("preview", "previewer"),
        ("preview", "nobody"),
        ("refresh", "previewer"),
        ("refresh", "deployer"),
    ],
)
def test_nothing_is_left_to_do_whoever_looks(
    beginning: Beginning, azure: LocalAzure, operation: str, identity: str
) -> None:
    """Prevents resources that never settle, and a caller who is a hidden input: each `up` would undo the last."""
    watch = Watch(azure)
    run = beginning.stack.run(operation, identity=identity).check()
    assert run.changes == {"same": sum(beginning.up.changes.values())}
    assert watch.writes() == []
    assert watch.signatures() == []


def test_change_is_previewed_as_it_is_then_made(beginning: Beginning) -> None:
    """Prevents a preview that is right about the beginning alone."""
    stack = beginning.stack
    workers = {"orders": {"dnsNames": ["orders.internal"]}, "shipping": {}, "billing": {}}
    stack.set(tags={"team": "payments"}, certificates=workers)
    preview = stack.run("preview", identity="nobody").check()
    assert preview.certificates("create") == {"billing"}
    up = stack.run("up").check()
    assert up.steps == preview.steps
    stack.set(**everything(stack.azure), tags=None)
    preview = stack.run("preview", identity="nobody").check()
    assert preview.certificates("delete") == {"billing"}
    assert stack.run("up").check().steps == preview.steps


def test_outputs_are_those_of_the_contract(beginning: Beginning) -> None:
    """Prevents an output that changes its name under those who read it."""
    outputs = beginning.stack.outputs()
    assert outputs.keys() == OUTPUTS
    assert outputs["certificates"].keys() == {
        "internode-1",
        "internode-2",
        "clients-1",
        "cluster",
        "ui",
        "cli",
        "orders",
        "shipping",
    }
    assert {frozenset(facts) for facts in outputs["certificates"].values()} == {frozenset(FACTS)}
    assert outputs["workerEnvs"].keys() == {"orders", "shipping"}
    assert {purpose: set(vault) for purpose, vault in outputs["keyVaults"].items()} == {
        "authorities": {"name", "id", "uri"},
        "leaves": {"name", "id", "uri"},
    }
    assert {name: len(bundle) for name, bundle in outputs["caBundles"].items()} == {"internode": 2, "clients": 1}
    assert outputs["caBundles"]["internode"][0] == outputs["certificates"]["internode-2"]["certificatePem"]


def test_names_in_the_state_are_the_recorded_ones(beginning: Beginning) -> None:
    """Prevents a rename by accident: to the engine it is a deletion, and a new resource of the same name in Azure."""
    stack = beginning.stack
    prefix = stack.urn("")
    urns = [resource["urn"] for resource in stack.export()["deployment"]["resources"]]
    assert len(urns) == len(set(urns))
    group = stack.azure.identities[GROUP]["objectId"]
    found = [
        urn.removeprefix(prefix).replace(stack.name, "STACK").replace(group, "GROUP")
        for urn in urns
        if "::default_" not in urn
    ]
    assert sorted(found) == RECORDED_NAMES.read_text().splitlines()
