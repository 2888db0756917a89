"""What a killed run had begun, taken up from a state: what is asked for, imported and struck off."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from localazure.plugins.azure_native.specs import SPECS
from localazure.plugins.azuread.specs import SPECS as OF_THE_DIRECTORY
from tools import REPOSITORY, ToolError, unfinished
from tools.unfinished import identifier_of, take_up
from tools.unfinished_directory import DIRECTORY_TYPES

SUBSCRIPTION = "6f0fbb2c-6f3c-5f0e-9d0a-6d1f6f1d2a51"
PREFIX = "urn:pulumi:dev::temporal-azure::"
STACK = f"{PREFIX}pulumi:pulumi:Stack::temporal-azure-dev"
COMPONENT = f"{PREFIX}temporal-azure:components:KeyVault::leaves"

GROUP: dict[str, Any] = {
    "type": "azure-native:resources:ResourceGroup",
    "urn": f"{PREFIX}azure-native:resources:ResourceGroup::temporal",
    "parent": STACK,
    "inputs": {"resourceGroupName": "temporal-azure-dev"},
}
VAULT: dict[str, Any] = {
    "type": "azure-native:keyvault:Vault",
    "urn": f"{PREFIX}temporal-azure:components:KeyVault$azure-native:keyvault:Vault::leaves",
    "parent": COMPONENT,
    "inputs": {"resourceGroupName": "temporal-azure-dev", "vaultName": "temporal-leaf-abc"},
}
CERTIFICATE: dict[str, Any] = {
    "type": "temporalazure:keyvault:Certificate",
    "urn": f"{PREFIX}temporal-azure:components:Certificate$temporalazure:keyvault:Certificate::ui",
    "parent": f"{PREFIX}temporal-azure:components:Certificate::ui",
    "inputs": {"name": "ui"},
}


def state_with(
    *begun: Mapping[str, Any], kind: str = "creating", resources: Sequence[str] = (STACK,)
) -> dict[str, Any]:
    """A state with these operations pending, and resources of these URNs."""
    deployment: dict[str, Any] = {"pending_operations": [{"type": kind, "resource": resource} for resource in begun]}
    if resources:
        deployment["resources"] = [{"urn": urn} for urn in resources]
    return {"version": 3, "deployment": deployment}


@dataclass
class Pulumi:
    """Takes down the command lines, and what the import's file says while it is there."""

    commands: list[Sequence[str]] = field(default_factory=list)
    imported: dict[str, Any] = field(default_factory=dict)

    def __call__(self, *command: str) -> str:
        self.commands.append(command)
        if command[0] == "import":
            self.imported = json.loads(Path(command[command.index("--file") + 1]).read_text())
        return ""


@dataclass
class Azure:
    """Has the resources of these URNs, under their URNs with `/id` before."""

    has: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def __call__(
        self, begun: list[Mapping[str, Any]], resources: list[Mapping[str, Any]], environment: Mapping[str, str]
    ) -> dict[str, str]:
        self.asked += [resource["urn"] for resource in begun]
        return {urn: f"/id/{urn}" for urn in self.asked if urn in self.has}


@pytest.fixture
def pulumi() -> Pulumi:
    return Pulumi()


@pytest.fixture
def azure_with(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Azure]:
    def make(*has: Mapping[str, Any]) -> Azure:
        azure = Azure({resource["urn"] for resource in has})
        monkeypatch.setattr(unfinished, "_ask_azure", azure)
        return azure

    return make


@pytest.mark.parametrize(
    "state",
    [
        {"version": 3},
        {"version": 3, "deployment": None},
        {"version": 3, "deployment": {"resources": [{"urn": STACK}]}},
        state_with(),
        state_with(VAULT, kind="updating"),
        state_with(VAULT, kind="deleting"),
    ],
    ids=["empty", "null", "finished", "no operations", "updating", "deleting"],
)
def test_nothing_begun_is_nothing_done(
    pulumi: Pulumi, azure_with: Callable[..., Azure], state: Mapping[str, Any]
) -> None:
    """Prevents every `up` from paying for a kill that did not happen; updates and deletions are simply done again."""
    azure = azure_with(VAULT)
    assert take_up(pulumi, state, {}) == []
    assert azure.asked == []
    assert pulumi.commands == []


def test_what_azure_has_is_imported_under_its_parent_and_struck_off(
    pulumi: Pulumi, azure_with: Callable[..., Azure]
) -> None:
    """Prevents "cannot create already existing resource", for ever, and an import that moves the resource's URN."""
    azure_with(GROUP, VAULT)
    assert take_up(pulumi, state_with(VAULT, GROUP), {}) == sorted([GROUP["urn"], VAULT["urn"]])
    assert [command[0] for command in pulumi.commands] == ["import", "refresh"]
    assert set(pulumi.commands[0]) >= {"--yes", "--skip-preview", "--protect=false", "--generate-code=false"}
    (parent,) = pulumi.imported["nameTable"]
    assert pulumi.imported["nameTable"] == {parent: COMPONENT}
    assert pulumi.imported["resources"] == [
        {"type": VAULT["type"], "name": "leaves", "id": f"/id/{VAULT['urn']}", "parent": parent},
        {"type": GROUP["type"], "name": "temporal", "id": f"/id/{GROUP['urn']}"},
    ]


def test_what_azure_lacks_is_only_struck_off(pulumi: Pulumi, azure_with: Callable[..., Azure]) -> None:
    """Prevents the import of something that is not there, which fails, and then every `up` after it."""
    azure_with(GROUP)
    assert take_up(pulumi, state_with(GROUP, VAULT), {}) == [GROUP["urn"]]
    assert [resource["name"] for resource in pulumi.imported["resources"]] == ["temporal"]
    pulumi.commands.clear()
    azure_with()
    assert take_up(pulumi, state_with(VAULT), {}) == []
    assert [command[0] for command in pulumi.commands] == ["refresh"]


def test_certificates_and_components_are_not_looked_for(pulumi: Pulumi, azure_with: Callable[..., Azure]) -> None:
    """Prevents an import of what its own provider takes up, and a request to Azure that nothing needs."""
    azure = azure_with()
    component = {"type": "temporal-azure:components:KeyVault", "urn": COMPONENT, "parent": STACK}
    assert take_up(pulumi, state_with(CERTIFICATE, component), {}) == []
    assert azure.asked == []
    assert [command[0] for command in pulumi.commands] == ["refresh"]


@pytest.mark.parametrize(
    ("resources", "targets"),
    [((STACK, COMPONENT, GROUP["urn"]), ["--target", STACK]), ((), [])],
    ids=["a stack", "a stack without resources"],
)
def test_striking_off_reads_nothing_back(
    pulumi: Pulumi, azure_with: Callable[..., Azure], resources: Sequence[str], targets: list[str]
) -> None:
    """Prevents a refresh of the whole stack as a side effect, and a crash where a `destroy` followed the kill."""
    azure_with()
    take_up(pulumi, state_with(VAULT, resources=resources), {})
    (command,) = pulumi.commands
    assert list(command) == ["refresh", "--yes", "--skip-preview", "--clear-pending-creates", *targets]


def test_azure_that_does_not_answer_leaves_everything_as_it_is(pulumi: Pulumi) -> None:
    """Prevents a note from being struck off although nobody knows whether the resource is there."""
    with pytest.raises(ToolError, match=r"keyvault:Vault::leaves, .* nothing was done: The metadata host") as refused:
        take_up(pulumi, state_with(VAULT), {"ARM_METADATA_HOSTNAME": "127.0.0.1:1"})
    assert len(str(refused.value).splitlines()) == 1
    assert pulumi.commands == []


@pytest.mark.parametrize("token", SPECS)
def test_resources_are_looked_for_where_azure_native_puts_them(token: str) -> None:
    """Prevents a resource from being taken for missing because it was asked for at another address."""
    spec = SPECS[token]
    group = f"subscriptions/{SUBSCRIPTION}/resourceGroups/group"
    inputs = {name: group if name == "scope" else f"the-{name}" for name in spec.path_parameters}
    inputs |= {"resourceUri": f"/{group}"} if "resourceUri" in inputs else {}
    identifier, api_version = identifier_of({"type": token, "inputs": inputs}, SUBSCRIPTION)
    assert identifier.lower() == spec.id_of(inputs, SUBSCRIPTION).lower()
    assert api_version == spec.api_version


def test_everything_that_the_program_creates_can_be_looked_for() -> None:
    """Prevents a resource type that is added to the program and stays orphaned after a kill."""
    recorded = (REPOSITORY / "tests" / "engine" / "names_in_state.txt").read_text().splitlines()
    types = {name.partition("::")[0].rpartition("$")[2] for name in recorded}
    created = {token for token in types if token.startswith("azure-native:")}
    assert created
    assert created <= SPECS.keys()
    assert OF_THE_DIRECTORY.keys() == DIRECTORY_TYPES


def test_what_was_being_deleted_from_the_directory_is_read_back(
    pulumi: Pulumi, azure_with: Callable[..., Azure]
) -> None:
    """Prevents a run that fails for ever at something that is gone, which azuread refuses to delete."""
    azure = azure_with()
    assignment = VAULT | {"type": "azuread:index/appRoleAssignment:AppRoleAssignment"}
    assert take_up(pulumi, state_with(assignment, kind="deleting"), {}) == []
    assert azure.asked == []
    assert pulumi.commands == [("refresh", "--yes", "--skip-preview", "--target", VAULT["urn"])]


def test_a_resource_is_imported_with_the_provider_that_the_program_declares(
    pulumi: Pulumi, azure_with: Callable[..., Azure]
) -> None:
    """Prevents an application that the next run replaces, because it was imported with another provider's settings."""
    declared = f"{PREFIX}pulumi:providers:azuread::directory"
    application = GROUP | {
        "type": "azuread:index/application:Application",
        "urn": f"{PREFIX}temporal-azure:components:SignOn$azuread:index/application:Application::sign-on",
        "provider": f"{declared}::04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    }
    group = GROUP | {"provider": f"{PREFIX}pulumi:providers:azure-native::default_3_29_0::{SUBSCRIPTION}"}
    azure_with(application, group)
    take_up(pulumi, state_with(application, group), {})
    (name,) = pulumi.imported["nameTable"]
    assert pulumi.imported["nameTable"] == {name: declared}
    assert [each.get("provider") for each in pulumi.imported["resources"]] == [name, None]
