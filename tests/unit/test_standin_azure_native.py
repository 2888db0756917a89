"""The stand-in for azure-native: as strict as the SDK, the official plugin's decisions, and loopback only."""

import inspect
import os
import re
import subprocess
import tarfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from azure.core.rest import HttpRequest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import PropertyDiffKind

from localazure.plugins.azure_native.arm import ArmError
from localazure.plugins.azure_native.provider import AzureNative, Cloud
from localazure.plugins.azure_native.resource import Resource
from localazure.plugins.azure_native.shapes import from_body, shape_of, to_body
from localazure.plugins.azure_native.specs import REFERENCES, SPECS, Spec
from localazure.plugins.connection import Connection, require_loopback
from localazure.plugins.package import package, version_of
from localazure.plugins.shapes import Shape, Type
from plugin import UNKNOWN, PluginError, plain, property_values

SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-111122223333"
TENANT = "10000000-0000-0000-0000-000000000001"
PRINCIPAL = "20000000-0000-0000-0000-000000000002"

GROUP = "azure-native:resources:ResourceGroup"
VAULT = "azure-native:keyvault:Vault"
ROLE_ASSIGNMENT = "azure-native:authorization:RoleAssignment"
DIAGNOSTICS = "azure-native:monitor:DiagnosticSetting"
ENDPOINT = "azure-native:network:PrivateEndpoint"

GROUP_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/temporal"
VAULT_ID = f"{GROUP_ID}/providers/Microsoft.KeyVault/vaults/leaves"

INPUTS: dict[str, dict[str, Any]] = {
    GROUP: {"resourceGroupName": "temporal", "location": "westeurope", "tags": {"stack": "local"}},
    VAULT: {
        "resourceGroupName": "temporal",
        "vaultName": "leaves",
        "location": "westeurope",
        "properties": {
            "sku": {"family": "A", "name": "standard"},
            "tenantId": TENANT,
            "enablePurgeProtection": True,
            "softDeleteRetentionInDays": 90,
            "networkAcls": {"defaultAction": "Deny", "ipRules": [{"value": "203.0.113.7/32"}]},
        },
    },
    ROLE_ASSIGNMENT: {
        "scope": VAULT_ID,
        "roleAssignmentName": "30000000-0000-0000-0000-000000000003",
        "principalId": PRINCIPAL,
        "principalType": "ServicePrincipal",
        "roleDefinitionId": "/providers/Microsoft.Authorization/roleDefinitions/4633458b-17de-408a-b874-0445c86b69e6",
    },
    DIAGNOSTICS: {
        "resourceUri": VAULT_ID,
        "name": "audit",
        "workspaceId": f"{GROUP_ID}/providers/Microsoft.OperationalInsights/workspaces/logs",
        "logs": [{"categoryGroup": "audit", "enabled": True}],
    },
    ENDPOINT: {
        "resourceGroupName": "temporal",
        "privateEndpointName": "leaves",
        "location": "westeurope",
        "subnet": {"id": f"{GROUP_ID}/providers/Microsoft.Network/virtualNetworks/net/subnets/vaults"},
        "privateLinkServiceConnections": [
            {"name": "leaves", "privateLinkServiceId": VAULT_ID, "groupIds": ["vault"]},
        ],
    },
}
IDS = {
    GROUP: f"/subscriptions/{SUBSCRIPTION}/resourcegroups/temporal",
    VAULT: VAULT_ID,
    ROLE_ASSIGNMENT: (
        f"{VAULT_ID}/providers/Microsoft.Authorization/roleAssignments/30000000-0000-0000-0000-000000000003"
    ),
    DIAGNOSTICS: f"{VAULT_ID}/providers/Microsoft.Insights/diagnosticSettings/audit",
    ENDPOINT: f"{GROUP_ID}/providers/Microsoft.Network/privateEndpoints/leaves",
}
ALL = pytest.mark.parametrize("token", SPECS)


class Arm:
    """ARM as a dictionary: it answers a PUT's body with the id, and remembers what it was asked."""

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.refusal: ArmError | None = None

    async def get(self, resource_id: str, api_version: str) -> dict[str, Any] | None:
        self.asked.append(("GET", resource_id))
        if self.refusal:
            raise self.refusal
        return self.resources.get(resource_id)

    async def put(self, resource_id: str, spec: Spec, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(("PUT", resource_id))
        self.resources[resource_id] = {"id": resource_id, "name": resource_id.rpartition("/")[2], **body}
        return self.resources[resource_id]

    async def delete(self, resource_id: str, api_version: str) -> None:
        self.asked.append(("DELETE", resource_id))
        self.resources.pop(resource_id, None)

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [asked for asked in self.asked if asked[0] != "GET"]


class Engine:
    """Collects the warnings that a provider shows."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    async def warning(self, message: str, urn: str = "") -> None:
        self.warnings.append(message)


class Driver:
    """Sends the engine's requests to a provider, on plain data."""

    def __init__(self, configuration: Mapping[str, str]) -> None:
        self.arm = Arm()
        self.engine = Engine()
        self.configuration = {f"azure-native:config:{name}": value for name, value in configuration.items()}
        self.provider = AzureNative(self.engine, self._connect)  # type: ignore[arg-type]  # a part of Engine is enough

    async def _connect(self, _: Mapping[str, str]) -> Cloud:
        async def client_config() -> dict[str, str]:
            return {"tenantId": TENANT, "objectId": PRINCIPAL}

        return Cloud(SUBSCRIPTION, self.arm, client_config)

    async def configured(self) -> "Driver":
        await self.provider.configure(protocol.ConfigureRequest(self.configuration, {}, True, True))
        return self

    async def check(
        self,
        token: str,
        inputs: Mapping[str, Any],
        old: Mapping[str, PropertyValue] | None = None,
        seed: bytes = b"",
        name: str = "thing",
    ) -> protocol.CheckResponse:
        request = protocol.CheckRequest(urn(token, name), dict(old or {}), property_values(inputs), seed)
        return await self.provider.check(request)

    async def checked(self, token: str, inputs: Mapping[str, Any] | None = None) -> dict[str, PropertyValue]:
        response = await self.check(token, INPUTS[token] if inputs is None else inputs)
        assert [failure.reason for failure in response.failures or []] == []
        assert response.inputs is not None
        return response.inputs

    async def create(
        self, token: str, inputs: dict[str, PropertyValue], *, preview: bool = False
    ) -> protocol.CreateResponse:
        return await self.provider.create(protocol.CreateRequest(urn(token), inputs, 0, preview))

    async def created(self, token: str) -> protocol.CreateResponse:
        return await self.create(token, await self.checked(token))

    async def diff(
        self, token: str, created: protocol.CreateResponse, inputs: dict[str, PropertyValue]
    ) -> protocol.DiffResponse:
        assert created.resource_id is not None
        return await self.provider.diff(
            protocol.DiffRequest(urn(token), created.resource_id, created.properties, inputs, [])
        )

    async def read(
        self, token: str, resource_id: str, state: Mapping[str, PropertyValue], inputs: Mapping[str, PropertyValue]
    ) -> protocol.ReadResponse:
        return await self.provider.read(protocol.ReadRequest(urn(token), resource_id, dict(state), dict(inputs)))


def urn(token: str, name: str = "thing") -> str:
    return f"urn:pulumi:local::temporal-azure::temporal-azure:index:KeyVault${token}::{name}"


def changed(token: str, path: str, value: Any) -> dict[str, Any]:
    """Return the inputs of a resource with one of them, named by a dotted path, set or (None) left out."""

    def change(values: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
        first, *rest = names
        inner = change(values.get(first, {}), rest) if rest else value
        return {
            **{key: item for key, item in values.items() if key != first},
            **({} if inner is None else {first: inner}),
        }

    return change(INPUTS[token], path.split("."))


@pytest.fixture
async def driver() -> Driver:
    return await Driver({}).configured()


# What the SDK says


@ALL
def test_api_version_is_the_one_the_sdk_documents(token: str) -> None:
    """Prevents a stand-in that serves another API version than the official plugin after an update of the SDK."""
    spec = SPECS[token]
    sdk_class = getattr(import_module(f"pulumi_azure_native.{spec.module}"), spec.class_name)
    documented = re.search(r"Uses Azure REST API version (\S+)\.(?:\s|$)", inspect.getsource(sdk_class))
    assert documented is not None
    assert documented[1] == spec.api_version


@ALL
def test_path_parameters_are_inputs_and_the_name_may_be_left_out(token: str) -> None:
    """Prevents an id that is built from an input that the SDK does not have."""
    spec = SPECS[token]
    inputs = shape_of(spec).inputs
    assert set(spec.path_parameters) <= inputs.properties.keys()
    assert spec.path_parameters[-1] not in inputs.required
    assert (spec.replacing | spec.required) <= inputs.properties.keys()


def values_of(expected: Type) -> st.SearchStrategy[Any]:
    """Return values that a type allows, nested as deep as it is."""
    if expected.shape is not None:
        return inputs_of(expected.shape)
    if expected.kind == "array" and expected.item is not None:
        return st.lists(values_of(expected.item), max_size=2)
    if expected.kind == "object" and expected.item is not None:
        return st.dictionaries(st.text(min_size=1, max_size=3), values_of(expected.item), max_size=2)
    if expected.choices:
        return st.sampled_from(sorted(expected.choices))
    return {"string": st.text(max_size=5), "boolean": st.booleans(), "integer": st.integers(0, 100)}[expected.kind]


def inputs_of(shape: Shape, without: frozenset[str] = frozenset()) -> st.SearchStrategy[dict[str, Any]]:
    """Return inputs that a shape allows: what is required, and any part of the rest."""
    known = REFERENCES.get(shape.name, shape.properties.keys() - without)
    fields = {name: values_of(shape.properties[name]) for name in known}
    required = {name: fields[name] for name in known & shape.required}
    return st.fixed_dictionaries(required, optional={name: fields[name] for name in known - shape.required})


@ALL
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_allowed_inputs_have_no_problem_and_survive_the_way_through_a_body(token: str, data: st.DataObject) -> None:
    """Prevents a property that is accepted and then lost, or put where ARM does not look for it."""
    spec = SPECS[token]
    shape = shape_of(spec).inputs
    body_inputs = data.draw(inputs_of(shape, frozenset(spec.path_parameters)))
    located = {"location": "westeurope"} if "location" in shape.properties else {}
    inputs = located | dict.fromkeys(spec.path_parameters, "name") | body_inputs
    assert Resource(spec).problems(inputs) == []
    assert from_body(shape, to_body(shape, body_inputs)) == body_inputs


@pytest.mark.parametrize(
    ("token", "path", "value", "problem"),
    [
        (VAULT, "properties", None, "missing required property 'properties'"),
        (VAULT, "properties.tenantId", None, "missing required property 'properties.tenantId'"),
        (VAULT, "properties.sku.name", None, "missing required property 'properties.sku.name'"),
        (
            VAULT,
            "properties.sku.name",
            "gold",
            "'properties.sku.name' should be one of premium, standard but got 'gold'",
        ),
        (VAULT, "properties.createMode", "maybe", "'properties.createMode' should be one of default, recover but got"),
        (VAULT, "properties.enablePurgeProtection", "true", "should be of type 'boolean' but got a string"),
        (VAULT, "properties.softDeleteRetentionInDays", "90", "should be of type 'integer' but got a string"),
        (VAULT, "properties.softDeleteRetentionInDays", 7.5, "must be an integer but got 7.5"),
        (VAULT, "properties.networkAcls.ipRules", {}, "should be of type 'array' but got an object"),
        (VAULT, "properties.networkAcls.ipRules", [{}], "property 'properties.networkAcls.ipRules[0].value'"),
        (VAULT, "properties.networkAcls", [], "'properties.networkAcls' should be of type 'object' but got an array"),
        (VAULT, "properties.purgeProtection", True, "unknown property 'properties.purgeProtection'"),
        (DIAGNOSTICS, "logs", [None], "'logs[0]' should be of type 'object' but got a null"),
        (VAULT, "tags", {"a": 1}, "'tags.a' should be of type 'string' but got an integer"),
        (VAULT, "vaultName", "no_underscore", "'vaultName' does not match expression '^[a-zA-Z0-9-]{3,24}$'"),
        (VAULT, "sku", {"name": "standard"}, "unknown property 'sku': Vault takes location, properties,"),
        (
            GROUP,
            "location",
            None,
            "missing required property 'location'. Either set it explicitly or configure it with",
        ),
        (GROUP, "location", True, "'location' should be of type 'string' but got a boolean"),
        (ROLE_ASSIGNMENT, "principalId", None, "missing required property 'principalId'"),
        (ROLE_ASSIGNMENT, "scope", None, "missing required property 'scope'"),
        (DIAGNOSTICS, "logs", [{"categoryGroup": "audit"}], "missing required property 'logs[0].enabled'"),
        (ENDPOINT, "subnet", {"id": "x", "addressPrefix": "10.0.0.0/24"}, "'subnet.addressPrefix' is not known to the"),
    ],
)
async def test_wrong_inputs_are_refused(driver: Driver, token: str, path: str, value: Any, problem: str) -> None:
    """Prevents a program that runs against the stand-in and fails with the official plugin, or on Azure."""
    response = await driver.check(token, changed(token, path, value))
    assert [failure.reason for failure in response.failures or [] if problem in failure.reason] != []


@ALL
async def test_right_inputs_are_accepted_as_they_are(driver: Driver, token: str) -> None:
    """Prevents a check that refuses, or changes, what the program gives: the twin of the refusals."""
    inputs = plain(await driver.checked(token))
    assert inputs == INPUTS[token] | {"azureApiVersion": SPECS[token].api_version}


@pytest.mark.parametrize("path", ["properties", "properties.tenantId", "properties.sku", "vaultName", "location"])
async def test_values_that_are_not_yet_known_are_no_problem(driver: Driver, path: str) -> None:
    """Prevents a preview that fails because another resource does not exist yet."""
    inputs = plain(await driver.checked(VAULT, changed(VAULT, path, UNKNOWN)))
    assert inputs == changed(VAULT, path, UNKNOWN) | {"azureApiVersion": SPECS[VAULT].api_version}


async def test_nulls_count_as_left_out(driver: Driver) -> None:
    """Prevents a refusal of `None`, which the SDK sends for arguments that were not given."""
    inputs = {**INPUTS[VAULT], "tags": None, "properties": {**INPUTS[VAULT]["properties"], "accessPolicies": None}}
    assert plain(await driver.checked(VAULT, inputs)) == plain(await driver.checked(VAULT))


async def test_tokens_that_the_program_does_not_use_are_refused(driver: Driver) -> None:
    """Prevents a resource that seems to be made although the stand-in knows nothing of it."""
    with pytest.raises(
        PluginError, match="azure-native:keyvault:Secret not found: the stand-in for azure-native serves"
    ):
        await driver.check("azure-native:keyvault:Secret", {})
    with pytest.raises(PluginError, match="azure-native:keyvault:getVault not found"):
        await driver.provider.invoke(protocol.InvokeRequest("azure-native:keyvault:getVault", {}))


async def test_client_config_is_the_callers(driver: Driver) -> None:
    """Prevents a program that cannot learn its tenant: the twin of the refused function."""
    answer = await driver.provider.invoke(protocol.InvokeRequest("azure-native:authorization:getClientConfig", {}))
    assert plain(answer.return_value or {}) == {"tenantId": TENANT, "objectId": PRINCIPAL}


# Names and locations


@pytest.mark.parametrize(
    ("token", "pattern"),
    [
        (GROUP, r"thing[0-9a-f]{8}"),
        (DIAGNOSTICS, r"thing[0-9a-f]{8}"),
        (ROLE_ASSIGNMENT, r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    ],
)
async def test_names_that_are_left_out_are_made_once(driver: Driver, token: str, pattern: str) -> None:
    """Prevents a resource that is replaced at every `up` because its name is new each time."""
    name = SPECS[token].path_parameters[-1]
    inputs = {key: value for key, value in INPUTS[token].items() if key != name}
    first = await driver.check(token, inputs, seed=b"one")
    assert first.inputs is not None
    made = plain(first.inputs)[name]
    assert re.fullmatch(pattern, made)
    assert plain((await driver.check(token, inputs, seed=b"one")).inputs or {})[name] == made
    assert plain((await driver.check(token, inputs, seed=b"two")).inputs or {})[name] != made
    assert plain((await driver.check(token, inputs, first.inputs, seed=b"two")).inputs or {})[name] == made


@pytest.mark.parametrize(
    ("configuration", "old", "group", "expected"),
    [
        ({}, None, "temporal", "northeurope"),
        ({"location": "westus"}, None, "temporal", "westus"),
        ({"location": "westus"}, "eastus", "temporal", "eastus"),
        ({}, None, UNKNOWN, UNKNOWN),
        ({}, None, "elsewhere", None),
    ],
)
async def test_location_is_inherited(
    configuration: dict[str, str], old: str | None, group: str, expected: str | None
) -> None:
    """Prevents another location than the official plugin's: the old one, the configured one, or the group's."""
    driver = await Driver(configuration).configured()
    driver.arm.resources[GROUP_ID] = {"location": "northeurope"}
    inputs = {**changed(VAULT, "location", None), "resourceGroupName": group}
    response = await driver.check(VAULT, inputs, property_values({"location": old} if old else {}))
    assert plain(response.inputs or {}).get("location") == expected
    assert bool(response.failures) == (expected is None)


# Changes


@pytest.mark.parametrize(
    ("token", "path", "value", "replaces"),
    [
        (GROUP, "location", "northeurope", True),
        (GROUP, "resourceGroupName", "other", True),
        (GROUP, "tags.stack", "dev", False),
        (VAULT, "vaultName", "others", True),
        (VAULT, "resourceGroupName", "other", True),
        (VAULT, "location", "northeurope", False),
        (VAULT, "properties.tenantId", PRINCIPAL, False),
        (VAULT, "properties.networkAcls.defaultAction", "Allow", False),
        (VAULT, "properties.networkAcls.ipRules", [], False),
        (VAULT, "properties.networkAcls.ipRules", UNKNOWN, False),
        (VAULT, "properties.enablePurgeProtection", None, False),
        (VAULT, "tags", {"a": "b"}, False),
        (ROLE_ASSIGNMENT, "principalId", TENANT, True),
        (ROLE_ASSIGNMENT, "scope", GROUP_ID, True),
        (ROLE_ASSIGNMENT, "scope", UNKNOWN, True),
        (ROLE_ASSIGNMENT, "roleDefinitionId", "/providers/other", False),
        (ROLE_ASSIGNMENT, "description", "why", False),
        (DIAGNOSTICS, "resourceUri", GROUP_ID, True),
        (DIAGNOSTICS, "name", "other", True),
        (DIAGNOSTICS, "logs", [{"categoryGroup": "allLogs", "enabled": True}], False),
        (ENDPOINT, "subnet.id", "/other", True),
        (ENDPOINT, "subnet", None, True),
        (ENDPOINT, "privateLinkServiceConnections", [], False),
    ],
)
async def test_changes_replace_where_the_official_plugin_replaces(
    driver: Driver, token: str, path: str, value: Any, replaces: bool
) -> None:
    """Prevents a preview that promises an update where `up` on Azure deletes, or the other way round."""
    created = await driver.created(token)
    diff = await driver.diff(token, created, await driver.checked(token, changed(token, path, value)))
    assert diff.changes
    assert list(diff.detailed_diff) == [path]
    assert bool(diff.replaces) == replaces
    assert diff.delete_before_replace == replaces


@ALL
async def test_the_same_inputs_are_no_change(driver: Driver, token: str) -> None:
    """Prevents a second `up` that changes something: the twin of the changes."""
    created = await driver.created(token)
    diff = await driver.diff(token, created, await driver.checked(token))
    assert diff.changes is False
    assert diff.detailed_diff == {}


@pytest.mark.parametrize(("path", "value"), [("location", "West Europe"), ("resourceGroupName", "Temporal")])
async def test_spellings_that_azure_does_not_tell_apart_are_no_change(driver: Driver, path: str, value: str) -> None:
    """Prevents a replacement because of the case of a location or of a resource group's name."""
    created = await driver.created(VAULT)
    diff = await driver.diff(VAULT, created, await driver.checked(VAULT, changed(VAULT, path, value)))
    assert diff.changes is False


async def test_an_input_that_says_what_the_resource_has_anyway_replaces_nothing(driver: Driver) -> None:
    """Prevents the replacement of an imported resource group whose location was not among the inputs."""
    created = await driver.created(GROUP)
    kept = created.properties["__inputs"].value
    assert isinstance(kept, Mapping)
    without_location = {name: value for name, value in kept.items() if name != "location"}
    created.properties["__inputs"] = PropertyValue(without_location)
    diff = await driver.diff(GROUP, created, await driver.checked(GROUP))
    assert {path: change.kind for path, change in diff.detailed_diff.items()} == {"location": PropertyDiffKind.ADD}


async def test_what_was_named_by_the_plugin_is_replaced_before_it_is_deleted(driver: Driver) -> None:
    """Prevents a gap in service where the new resource can have another name than the old one."""
    inputs = changed(GROUP, "resourceGroupName", None)
    created = await driver.create(GROUP, await driver.checked(GROUP, inputs))
    kept = created.properties["__inputs"].value
    assert isinstance(kept, Mapping)
    moved = await driver.check(GROUP, inputs | {"location": "northeurope"}, kept)
    diff = await driver.diff(GROUP, created, moved.inputs or {})
    assert diff.replaces == ["location"]
    assert diff.delete_before_replace is False


# Requests to ARM


@ALL
async def test_preview_asks_nothing_of_arm_and_knows_what_the_inputs_say(driver: Driver, token: str) -> None:
    """Prevents a preview that writes, or that tells dependents a value that `up` does not confirm."""
    response = await driver.create(token, await driver.checked(token), preview=True)
    outputs = plain(response.properties)
    assert driver.arm.asked == []
    assert response.resource_id == ""
    assert outputs["id"] == outputs["type"] == UNKNOWN
    assert outputs["azureApiVersion"] == SPECS[token].api_version


async def test_preview_is_unknown_inside_of_known_properties(driver: Driver) -> None:
    """Prevents a vault's address that is missing, instead of unknown, before the vault exists."""
    outputs = plain((await driver.create(VAULT, await driver.checked(VAULT), preview=True)).properties)
    assert outputs["name"] == UNKNOWN
    assert outputs["properties"]["vaultUri"] == UNKNOWN
    assert outputs["properties"]["tenantId"] == TENANT
    assert outputs["properties"]["networkAcls"]["ipRules"] == [{"value": "203.0.113.7/32"}]


async def test_preview_of_an_update_knows_what_cannot_change(driver: Driver) -> None:
    """Prevents that every dependent of an updated vault shows as changed."""
    created = await driver.created(VAULT)
    driver.arm.asked.clear()
    news = await driver.checked(VAULT, changed(VAULT, "tags", {"a": "b"}))
    response = await driver.provider.update(
        protocol.UpdateRequest(urn(VAULT), VAULT_ID, created.properties, news, 0, [], True)
    )
    outputs = plain(response.properties)
    assert outputs["name"] == "leaves"
    assert outputs["tags"] == {"a": "b"}
    assert outputs["properties"]["vaultUri"] == UNKNOWN
    assert driver.arm.asked == []


@ALL
async def test_create_looks_writes_and_reads_back(driver: Driver, token: str) -> None:
    """Prevents other requests than the official plugin's, and a state that the first refresh would change."""
    response = await driver.created(token)
    assert response.resource_id == IDS[token]
    assert driver.arm.asked == [("GET", IDS[token]), ("PUT", IDS[token]), ("GET", IDS[token])]


@ALL
async def test_create_does_not_take_over_what_exists(driver: Driver, token: str) -> None:
    """Prevents that one stack writes over another's resource."""
    driver.arm.resources[IDS[token]] = {"id": IDS[token]}
    with pytest.raises(PluginError, match=f"^cannot create already existing resource '{re.escape(IDS[token])}'$"):
        await driver.created(token)
    assert driver.arm.writes == []


async def test_create_that_may_not_look_says_so(driver: Driver) -> None:
    """Prevents that a caller without rights reads of a failed write, where nothing was written."""
    driver.arm.refusal = ArmError(403, '{"error": {"code": "AuthorizationFailed", "message": "No."}}')
    with pytest.raises(
        PluginError, match=r"^cannot check existence of resource '.*': status code 403, .*Authorization"
    ):
        await driver.created(GROUP)
    assert driver.arm.writes == []


@pytest.mark.parametrize(
    ("token", "body"),
    [
        (GROUP, {"location": "westeurope", "tags": {"stack": "local"}}),
        (VAULT, {"location": "westeurope", "properties": {**INPUTS[VAULT]["properties"], "accessPolicies": []}}),
        (
            ROLE_ASSIGNMENT,
            {
                "properties": {
                    name: INPUTS[ROLE_ASSIGNMENT][name] for name in ("principalId", "principalType", "roleDefinitionId")
                }
            },
        ),
        (DIAGNOSTICS, {"properties": {name: INPUTS[DIAGNOSTICS][name] for name in ("workspaceId", "logs")}}),
        (
            ENDPOINT,
            {
                "location": "westeurope",
                "properties": {
                    "subnet": INPUTS[ENDPOINT]["subnet"],
                    "privateLinkServiceConnections": [
                        {
                            "name": "leaves",
                            "properties": {"privateLinkServiceId": VAULT_ID, "groupIds": ["vault"]},
                        }
                    ],
                },
            },
        ),
    ],
)
async def test_bodies_are_arms_and_come_back_as_outputs(driver: Driver, token: str, body: dict[str, Any]) -> None:
    """Prevents a body that Azure would not understand, and outputs that lose what it answers."""
    created = await driver.created(token)
    sent = {name: value for name, value in driver.arm.resources[IDS[token]].items() if name not in ("id", "name")}
    assert sent == body
    outputs = plain(created.properties)
    for name in INPUTS[token].keys() - set(SPECS[token].path_parameters) - {"properties"}:
        assert outputs[name] == INPUTS[token][name]
    assert outputs["azureApiVersion"] == SPECS[token].api_version


async def test_create_mode_is_sent_and_never_read_back(driver: Driver) -> None:
    """Prevents a diff for ever on a property that ARM does not answer."""
    inputs = await driver.checked(VAULT, changed(VAULT, "properties.createMode", "recover"))
    created = await driver.create(VAULT, inputs)
    assert driver.arm.resources[VAULT_ID]["properties"]["createMode"] == "recover"
    del driver.arm.resources[VAULT_ID]["properties"]["createMode"]
    read = await driver.read(VAULT, VAULT_ID, created.properties, inputs)
    assert "createMode" not in plain(read.properties)["properties"]
    assert plain(read.inputs) == plain(inputs)


async def test_update_leaves_access_policies_to_those_who_manage_them(driver: Driver) -> None:
    """Prevents an update of a tag that takes away the access that somebody else gave."""
    created = await driver.created(VAULT)
    policy = {"tenantId": TENANT, "objectId": PRINCIPAL, "permissions": {}}
    driver.arm.resources[VAULT_ID]["properties"]["accessPolicies"] = [policy]
    news = await driver.checked(VAULT, changed(VAULT, "tags", {"a": "b"}))
    await driver.provider.update(protocol.UpdateRequest(urn(VAULT), VAULT_ID, created.properties, news, 0, [], False))
    assert driver.arm.resources[VAULT_ID]["properties"]["accessPolicies"] == [policy]
    assert driver.arm.resources[VAULT_ID]["tags"] == {"a": "b"}


async def test_delete_goes_by_the_id(driver: Driver) -> None:
    """Prevents a delete that reaches another resource than the state's."""
    created = await driver.created(VAULT)
    driver.arm.asked.clear()
    await driver.provider.delete(protocol.DeleteRequest(urn(VAULT), VAULT_ID, created.properties, 0))
    assert driver.arm.asked == [("DELETE", VAULT_ID)]


async def test_a_write_that_cannot_be_read_back_is_kept_and_shown(driver: Driver) -> None:
    """Prevents that a resource that was made is forgotten, and then in its own way at the next `up`."""

    async def get_nothing(resource_id: str, api_version: str) -> None:
        driver.arm.asked.append(("GET", resource_id))

    driver.arm.get = get_nothing  # type: ignore[method-assign]  # a service that is not yet consistent
    created = await driver.created(VAULT)
    assert created.resource_id == VAULT_ID
    assert plain(created.properties)["name"] == "leaves"
    assert driver.engine.warnings == ["Failed to read the resource after it was written: kept what was answered."]


# Refresh and import


async def test_refresh_takes_over_what_changed_and_nothing_else(driver: Driver) -> None:
    """Prevents drift that no preview shows, and defaults of ARM that every preview shows."""
    inputs = await driver.checked(VAULT)
    created = await driver.create(VAULT, inputs)
    properties = driver.arm.resources[VAULT_ID]["properties"]
    properties |= {"vaultUri": "https://127.0.0.1:8443/", "enableSoftDelete": True}
    settled = await driver.read(VAULT, VAULT_ID, created.properties, inputs)
    properties["networkAcls"] = {
        "defaultAction": "Allow",
        "ipRules": [{"value": "203.0.113.7/32"}, {"value": "1.2.3.4"}],
    }
    properties["accessPolicies"] = [{"tenantId": TENANT, "objectId": PRINCIPAL, "permissions": {}}]
    drifted = await driver.read(VAULT, VAULT_ID, settled.properties, settled.inputs)
    before, after = plain(settled.inputs), plain(drifted.inputs)
    assert before["properties"] | {"networkAcls": properties["networkAcls"]} == after["properties"]
    assert plain(drifted.properties)["properties"]["vaultUri"] == "https://127.0.0.1:8443/"
    diff = await driver.diff(VAULT, protocol.CreateResponse(VAULT_ID, drifted.properties), inputs)
    assert set(diff.detailed_diff) >= {"properties.networkAcls.defaultAction", "properties.networkAcls.ipRules"}


async def test_refresh_of_what_was_deleted_says_that_it_is_gone(driver: Driver) -> None:
    """Prevents a refresh that fails, or keeps what somebody deleted."""
    created = await driver.created(VAULT)
    driver.arm.resources.clear()
    read = await driver.read(VAULT, VAULT_ID, created.properties, await driver.checked(VAULT))
    assert read.resource_id == ""


async def test_refresh_that_is_refused_is_not_taken_for_a_deletion(driver: Driver) -> None:
    """Prevents that a caller who may not read loses the whole stack's state: the twin of the deletion."""
    created = await driver.created(VAULT)
    driver.arm.refusal = ArmError(403, '{"error": {"code": "AuthorizationFailed", "message": "No."}}')
    with pytest.raises(ArmError, match="AuthorizationFailed"):
        await driver.read(VAULT, VAULT_ID, created.properties, await driver.checked(VAULT))


@pytest.mark.parametrize("token", [GROUP, VAULT, DIAGNOSTICS, ENDPOINT])
async def test_import_gives_the_inputs_that_would_have_made_it(driver: Driver, token: str) -> None:
    """Prevents an import after which the same program shows changes."""
    await driver.created(token)
    read = await driver.read(token, IDS[token], {}, {})
    expected = INPUTS[token]
    if token == DIAGNOSTICS:
        expected = expected | {"resourceUri": expected["resourceUri"].removeprefix("/")}
    assert plain(read.inputs) == expected
    assert read.resource_id == IDS[token]


async def test_import_of_another_types_id_is_refused(driver: Driver) -> None:
    """Prevents a state with a resource group under the type of a vault."""
    driver.arm.resources[IDS[GROUP]] = {"id": IDS[GROUP]}
    with pytest.raises(PluginError, match=r"failed to parse '/subscriptions/.*' against the path"):
        await driver.read(VAULT, IDS[GROUP], {}, {})


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (
            403,
            '{"error": {"code": "AuthorizationFailed", "message": "No."}}',
            'Status=403 Code="AuthorizationFailed" Message="No."',
        ),
        (409, '{"code": "Conflict", "message": "Taken."}', 'Status=409 Code="Conflict" Message="Taken."'),
        (502, "<html>", 'Status=502 Message="<html>"'),
        (400, "[]", 'Status=400 Message="[]"'),
    ],
)
def test_refusals_have_the_official_plugins_words(status: int, body: str, text: str) -> None:
    """Prevents a program that looks for ARM's code in an error and finds it with one plugin only."""
    assert str(ArmError(status, body)) == text


# Loopback only


@pytest.mark.parametrize(
    "address",
    [
        "https://management.azure.com",
        "https://127.0.0.1.example.org/",
        "https://127.0.0.1@example.org/",
        "https://example.org#127.0.0.1",
        "https://10.0.0.1:443",
        "http://127.0.0.1:443",
        "127.0.0.1:443",
        "",
    ],
)
def test_addresses_that_are_not_this_machine_are_refused(address: str) -> None:
    """Prevents a stand-in that writes to Azure."""
    with pytest.raises(PluginError, match="speaks to the local Azure only"):
        require_loopback(address)


@pytest.mark.parametrize("address", ["https://127.0.0.1:8443/x", "https://localhost:1", "https://[::1]:2/metadata"])
def test_addresses_of_this_machine_are_allowed(address: str) -> None:
    """Prevents a stand-in that refuses the local Azure: the twin of the refusals."""
    require_loopback(address)


SETTINGS = {
    "ARM_METADATA_HOSTNAME": "127.0.0.1:1",
    "ARM_SUBSCRIPTION_ID": SUBSCRIPTION,
    "ARM_TENANT_ID": TENANT,
    "ARM_CLIENT_ID": PRINCIPAL,
    "ARM_CLIENT_SECRET": "secret",
}
ENDPOINTS: dict[str, Any] = {
    "resourceManager": "https://127.0.0.1:1/",
    "microsoftGraphResourceId": "https://127.0.0.1:1/graph",
    "authentication": {"loginEndpoint": "https://127.0.0.1:1", "audiences": ["https://management.core.windows.net/"]},
}
SIGN_IN = {"subscriptionId": SUBSCRIPTION, "tenantId": TENANT, "clientId": PRINCIPAL, "clientSecret": "secret"}


@pytest.mark.parametrize(
    ("configuration", "environment", "message"),
    [
        ({}, {}, "neither `metadataHost` nor ARM_METADATA_HOSTNAME is set"),
        ({}, {"ARM_METADATA_HOSTNAME": "management.azure.com"}, "was pointed at 'https://management.azure.com'"),
        ({"metadataHost": "management.azure.com"}, SETTINGS, "was pointed at 'https://management.azure.com'"),
        ({"metadataHost": "https://10.1.2.3"}, SETTINGS, "was pointed at 'https://10.1.2.3'"),
    ],
)
async def test_configurations_that_do_not_name_a_local_azure_are_refused(
    configuration: dict[str, str], environment: dict[str, str], message: str
) -> None:
    """Prevents that a stand-in that was left in a PULUMI_HOME is used against Azure."""
    with pytest.raises(PluginError, match=message):
        await Connection.open(configuration, environment)


@pytest.mark.parametrize("key", ["resourceManager", "loginEndpoint"])
def test_endpoints_that_lead_away_are_refused(key: str) -> None:
    """Prevents that a metadata answer sends the credential, or a write, to another machine."""
    endpoints = {**ENDPOINTS, "authentication": dict(ENDPOINTS["authentication"])}
    container = endpoints if key in endpoints else endpoints["authentication"]
    container[key] = "https://login.microsoftonline.com"
    with pytest.raises(PluginError, match=r"login\.microsoftonline\.com"):
        Connection(SIGN_IN, endpoints)


async def test_requests_that_lead_away_are_refused() -> None:
    """Prevents that an address in a response, of an operation to poll, is followed to another machine."""
    client = Connection(SIGN_IN, ENDPOINTS).client()
    with pytest.raises(PluginError, match=r"management\.azure\.com"):
        await client.send_request(HttpRequest("GET", "https://management.azure.com/subscriptions"))


@pytest.mark.parametrize("missing", ["subscriptionId", "tenantId", "clientId"])
def test_settings_that_are_missing_are_named(missing: str) -> None:
    """Prevents a sign-in that fails later and says less."""
    sign_in = {name: value for name, value in SIGN_IN.items() if name != missing}
    with pytest.raises(PluginError, match=rf"needs `{missing}` \(ARM_"):
        Connection(sign_in, ENDPOINTS)


def test_ways_to_sign_in_that_exist_with_the_official_plugin_only_are_refused() -> None:
    """Prevents that a stand-in takes over the caller's own `az login`."""
    sign_in = {name: value for name, value in SIGN_IN.items() if name != "clientSecret"}
    with pytest.raises(PluginError, match="signs in with `clientSecret`"):
        Connection(sign_in, ENDPOINTS)
    with pytest.raises(PluginError, match="signs in with `clientSecret`"):
        Connection({**sign_in, "useOidc": "true"}, ENDPOINTS)
    Connection({**sign_in, "useOidc": "true", "oidcToken": "token"}, ENDPOINTS)


# The archive


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The executable, unpacked from its archive as the engine does it."""
    with tarfile.open(package("azure-native", tmp_path)) as archive:
        archive.extractall(tmp_path / "installed", filter="data")
    return tmp_path / "installed" / "pulumi-resource-azure-native"


def started(executable: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the plugin without an engine's address, elsewhere than in the repository: it must say so, and end."""
    return subprocess.run(
        [executable],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=executable.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_installed_plugin_finds_the_repository_and_an_interpreter(installed: Path) -> None:
    """Prevents a plugin that runs from the work tree only: the engine copies it into PULUMI_HOME."""
    for environment in ({}, {"PULUMI_PYTHON_CMD": "/nowhere/python"}, {"PULUMI_RUNTIME_VIRTUALENV": "nowhere"}):
        assert "This is a Pulumi plugin" in started(installed, **environment).stderr


def test_the_interpreter_that_the_engine_names_comes_first(installed: Path, tmp_path: Path) -> None:
    """Prevents that another environment's packages are used than the program's."""
    for folder in ("given", "virtual/bin"):
        python = tmp_path / folder / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\necho {folder} $PYTHONPATH $*\n")
        python.chmod(0o755)
    given = {"PULUMI_PYTHON_CMD": str(tmp_path / "given" / "python")}
    virtual = {"PULUMI_RUNTIME_VIRTUALENV": str(tmp_path / "virtual")}
    repository = Path(__file__).parents[2]
    assert started(installed, **given).stdout.strip() == f"given {repository} -P -m localazure.plugins.azure_native"
    assert started(installed, **given, **virtual).stdout.startswith("virtual/bin ")


def test_a_repository_that_is_gone_is_one_clear_line(installed: Path) -> None:
    """Prevents a traceback about a missing module after the repository was moved."""
    (installed.parent / "repository").write_text("/nowhere\n")
    result = started(installed)
    assert result.returncode == 1
    assert result.stderr.startswith(
        "The stand-in plugin for azure-native was installed from /nowhere, which is not there"
    )
    assert result.stderr.count("\n") == 1


def test_the_archive_is_named_for_the_version_that_the_sdk_asks_for(tmp_path: Path) -> None:
    """Prevents an installed plugin that the engine does not take, and downloads instead."""
    sdk = import_module("pulumi_azure_native._utilities")
    assert version_of("azure-native") == sdk.get_version()
    assert package("azure-native", tmp_path).name == f"pulumi-resource-azure-native-v{sdk.get_version()}.tgz"
    with pytest.raises(FileNotFoundError):
        package("azure", tmp_path)
