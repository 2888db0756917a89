"""The provider: the engine's requests, answered with requests to ARM as the official azure-native plugin sends them.

Previews write nothing and ask ARM for nothing, except for the location of a resource group that a resource inherits.
Old inputs are kept in the state under `__inputs`, because the SDK's provider protocol drops those that the engine
sends; the official plugin did the same before its version 3.
"""

import os
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import CheckFailure

from localazure.plugins.azure_native.arm import Arm, ArmError, HttpArm
from localazure.plugins.azure_native.resource import API_VERSION, Resource
from localazure.plugins.connection import Connection
from localazure.plugins.resources import replaced_by
from plugin import UNKNOWN, Engine, PluginError, plain, property_of, property_values

_CLIENT_CONFIG = "azure-native:authorization:getClientConfig"
_GROUPS_API_VERSION = "2020-10-01"
_INPUTS = "__inputs"
_CREATE_BEFORE_DELETE = "__createBeforeDelete"

PropertyValues = Mapping[str, PropertyValue]


@dataclass(frozen=True)
class Cloud:
    """The subscription that the plugin works on, and who it is there."""

    subscription_id: str
    arm: Arm
    client_config: Callable[[], Awaitable[dict[str, str]]]


async def connect(configuration: Mapping[str, str]) -> Cloud:
    """Return the local Azure that the configuration and the environment name. Raises PluginError."""
    connection = await Connection.open(configuration, os.environ)
    arm = HttpArm(connection.client(), connection.resource_manager)
    return Cloud(connection.subscription_id, arm, connection.client_config)


class AzureNative(protocol.Provider):
    """Serves the resources of `specs.SPECS` and the function `getClientConfig`; refuses every other token."""

    def __init__(self, engine: Engine, connect: Callable[[Mapping[str, str]], Awaitable[Cloud]] = connect) -> None:
        self._engine = engine
        self._connect = connect
        self._default_location: str | None = None
        self._group_locations: dict[str, str] = {}
        self._connected: Cloud | None = None

    async def configure(self, request: protocol.ConfigureRequest) -> protocol.ConfigureResponse:
        configuration = {key.rpartition(":")[2]: value for key, value in request.variables.items()}
        self._default_location = configuration.get("location")
        self._connected = await self._connect(configuration)
        return protocol.ConfigureResponse(supports_preview=True)

    async def invoke(self, request: protocol.InvokeRequest) -> protocol.InvokeResponse:
        if request.tok != _CLIENT_CONFIG:
            raise PluginError(
                f"Invoke type {request.tok} not found: the stand-in for azure-native serves {_CLIENT_CONFIG} only. "
                "Add it to the stand-in, or use the official plugin."
            )
        return protocol.InvokeResponse(property_values(await self._cloud.client_config()))

    async def check(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        resource = Resource.of(request.type)
        inputs = _without_nulls(plain(request.new_inputs))
        old_inputs = plain(request.old_inputs)
        internal: dict[str, PropertyValue] = {}
        name = resource.spec.path_parameters[-1]
        if name not in inputs:
            if name in old_inputs:
                inputs[name] = old_inputs[name]
                internal = _internal(request.old_inputs)
            else:
                inputs[name] = _auto_name(resource, request.name, request.random_seed)
                internal = {_CREATE_BEFORE_DELETE: PropertyValue(True)}
        if resource.has_location and "location" not in inputs:
            location = old_inputs.get("location") or self._default_location or await self._group_location(inputs)
            inputs |= {"location": location} if location else {}
        failures = [CheckFailure("", problem) for problem in resource.problems(inputs)]
        checked = property_values(inputs | {API_VERSION: resource.spec.api_version})
        return protocol.CheckResponse(checked | internal, failures)

    async def diff(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        outputs, inputs = plain(request.old_state), plain(request.new_inputs)
        kept = _kept_inputs(request.old_state)
        old_inputs = {API_VERSION: outputs.get(API_VERSION)} | plain(kept)
        changes = Resource.of(request.type).changes(old_inputs, inputs, outputs)
        replaces = replaced_by(changes)
        return protocol.DiffResponse(
            changes=bool(changes),
            replaces=replaces,
            delete_before_replace=bool(replaces) and _CREATE_BEFORE_DELETE not in kept,
            diffs=sorted({property_of(path) for path in changes}),
            detailed_diff=changes,
        )

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        resource = Resource.of(request.type)
        inputs = plain(request.properties)
        if request.preview:
            return protocol.CreateResponse("", property_values(resource.previewed(inputs, {})))
        resource_id = resource.spec.id_of(inputs, self._cloud.subscription_id)
        await self._refuse_existing(resource, resource_id)
        body = resource.body(inputs)
        if resource.omits_shared_list(body):
            resource.fill_shared_list(body, {})
        answer = await self._cloud.arm.put(resource_id, resource.spec, body)
        resource_id = answer.get("id", resource_id)
        outputs = await self._read_back(resource, resource_id, answer, request.urn)
        return protocol.CreateResponse(resource_id, _state(outputs, request.properties))

    async def read(self, request: protocol.ReadRequest) -> protocol.ReadResponse:
        resource = Resource.of(request.type)
        answer = await self._cloud.arm.get(request.resource_id, resource.spec.api_version)
        if answer is None:
            return protocol.ReadResponse("")
        outputs = resource.outputs(answer)
        if request.inputs:
            refreshed = resource.refreshed(plain(request.inputs), plain(request.properties), outputs)
            inputs = property_values(refreshed) | _internal(request.inputs)
        else:
            inputs = property_values(resource.imported(request.resource_id, answer))
        return protocol.ReadResponse(request.resource_id, _state(outputs, inputs), inputs)

    async def update(self, request: protocol.UpdateRequest) -> protocol.UpdateResponse:
        resource = Resource.of(request.type)
        inputs = plain(request.news)
        if request.preview:
            return protocol.UpdateResponse(property_values(resource.previewed(inputs, plain(request.olds))))
        arm = self._cloud.arm
        body = resource.body(inputs)
        if resource.omits_shared_list(body):
            resource.fill_shared_list(body, await arm.get(request.resource_id, resource.spec.api_version) or {})
        answer = await arm.put(request.resource_id, resource.spec, body)
        outputs = await self._read_back(resource, request.resource_id, answer, request.urn)
        return protocol.UpdateResponse(_state(outputs, request.news))

    async def delete(self, request: protocol.DeleteRequest) -> None:
        await self._cloud.arm.delete(request.resource_id, Resource.of(request.type).spec.api_version)

    @property
    def _cloud(self) -> Cloud:
        if self._connected is None:
            raise PluginError("The stand-in for azure-native was used before the engine configured it.")
        return self._connected

    async def _refuse_existing(self, resource: Resource, resource_id: str) -> None:
        try:
            existing = await self._cloud.arm.get(resource_id, resource.spec.api_version)
        except ArmError as error:
            raise PluginError(
                f"cannot check existence of resource '{resource_id}': status code {error.status}, {error.body}"
            ) from error
        if existing:
            raise PluginError(f"cannot create already existing resource '{resource_id}'")

    async def _read_back(
        self, resource: Resource, resource_id: str, answer: dict[str, Any], urn: str
    ) -> dict[str, Any]:
        """Return the outputs as a later refresh will see them, which can differ from what the PUT answered."""
        try:
            current = await self._cloud.arm.get(resource_id, resource.spec.api_version)
        except PluginError:
            current = None
        if current is None:
            await self._engine.warning("Failed to read the resource after it was written: kept what was answered.", urn)
        return resource.outputs(current or answer)

    async def _group_location(self, inputs: Mapping[str, Any]) -> str | None:
        """Return the location of the resource group that the inputs name, unknown if its name is.

        None if it cannot be read: the check then names the location that is missing.
        """
        name = inputs.get("resourceGroupName")
        if name is None or name == UNKNOWN:
            return name
        if name not in self._group_locations:
            group_id = f"/subscriptions/{self._cloud.subscription_id}/resourceGroups/{name}"
            try:
                group = await self._cloud.arm.get(group_id, _GROUPS_API_VERSION)
            except ArmError:
                group = None
            if group is None:
                return None
            self._group_locations[name] = group["location"]
        return self._group_locations[name]


def _auto_name(resource: Resource, name: str, seed: bytes) -> str:
    generator = random.Random(seed or None)
    if resource.spec.auto_name == "uuid":
        return str(uuid.UUID(int=generator.getrandbits(128)))
    return f"{name}{generator.getrandbits(32):08x}"


def _state(outputs: Mapping[str, Any], inputs: PropertyValues) -> dict[str, PropertyValue]:
    return property_values(outputs) | {_INPUTS: PropertyValue(dict(inputs), is_secret=True)}


def _kept_inputs(state: PropertyValues) -> PropertyValues:
    kept = state[_INPUTS].value if _INPUTS in state else {}
    return kept if isinstance(kept, Mapping) else {}


def _internal(values: PropertyValues) -> dict[str, PropertyValue]:
    return {name: value for name, value in values.items() if name.startswith("__")}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
