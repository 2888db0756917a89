"""The provider: the engine's requests, answered with requests to Graph as the official azuread plugin sends them.

Previews write nothing, and ask Graph for nothing but whether an application's name is taken, where that is asked for.
What was written is read back, as often as it takes to see it: outputs are always Graph's own words.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import CheckFailure

from localazure.plugins.azuread import specs
from localazure.plugins.azuread.application_parts import (
    FederatedCredentials,
    IdentifierUris,
    Passwords,
    PreAuthorizedApplications,
)
from localazure.plugins.azuread.applications import Applications, refuse_duplicate
from localazure.plugins.azuread.assignments import PermissionGrants, RoleAssignments
from localazure.plugins.azuread.behaviour import Behaviour, Change
from localazure.plugins.azuread.fields import Plain, comparable, value_at
from localazure.plugins.azuread.functions import invoke
from localazure.plugins.azuread.graph import Failure, Graph, http_send, trying
from localazure.plugins.azuread.resource import Resource
from localazure.plugins.azuread.service_principals import ServicePrincipals
from localazure.plugins.connection import Connection
from plugin import UNKNOWN, Engine, PluginError, plain, property_of, property_values

_SECRET: Final = "value"
"""The output that holds a client secret."""

_BEHAVIOURS: Final[Mapping[str, Behaviour]] = {
    specs.APPLICATION.token: Applications(),
    specs.SERVICE_PRINCIPAL.token: ServicePrincipals(),
    specs.IDENTIFIER_URI.token: IdentifierUris(),
    specs.PASSWORD.token: Passwords(),
    specs.PRE_AUTHORIZED.token: PreAuthorizedApplications(),
    specs.FEDERATED_CREDENTIAL.token: FederatedCredentials(),
    specs.ROLE_ASSIGNMENT.token: RoleAssignments(),
    specs.PERMISSION_GRANT.token: PermissionGrants(),
}


async def connect(configuration: Mapping[str, str]) -> Graph:
    """Return the Graph of the local Azure that the configuration and the environment name. Raises PluginError."""
    connection = await Connection.open(configuration, os.environ, in_subscription=False)
    return Graph(http_send(connection.graph_client(), connection.graph), connection.graph, connection.client_config)


class AzureAd(protocol.Provider):
    """Serves the resources of `specs.SPECS` and the functions of `functions`; refuses every other token."""

    def __init__(self, _: Engine, connect: Callable[[Mapping[str, str]], Awaitable[Graph]] = connect) -> None:
        self._connect = connect
        self._connected: Graph | None = None

    async def configure(self, request: protocol.ConfigureRequest) -> protocol.ConfigureResponse:
        configuration = {key.rpartition(":")[2]: value for key, value in request.variables.items()}
        self._connected = await self._connect(configuration)
        # Without secrets: the engine then marks again what comes back under the name of a secret input.
        return protocol.ConfigureResponse(supports_preview=True)

    async def invoke(self, request: protocol.InvokeRequest) -> protocol.InvokeResponse:
        arguments = {name: value for name, value in plain(request.args).items() if value is not None}
        with trying(f"invoking {request.tok}"):
            return protocol.InvokeResponse(property_values(await invoke(self._graph, request.tok, arguments)))

    async def check(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        resource = Resource.of(request.type)
        inputs = resource.checked(plain(request.new_inputs))
        failures = [CheckFailure("", problem) for problem in resource.problems(request.name, inputs)]
        return protocol.CheckResponse(property_values(inputs), failures)

    async def diff(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        resource = Resource.of(request.type)
        outputs, inputs = plain(request.old_state), plain(request.new_inputs)
        changes = resource.changes(outputs, inputs, request.ignore_changes)
        changed = {property_of(path) for path in changes}
        return protocol.DiffResponse(
            changes=bool(changes),
            replaces=sorted(changed & resource.spec.replacing),
            delete_before_replace=False,
            diffs=sorted(changed),
            detailed_diff=changes,
        )

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        resource, inputs = Resource.of(request.type), plain(request.properties)
        if request.preview:
            if resource.spec is specs.APPLICATION and inputs["displayName"] != UNKNOWN:
                await refuse_duplicate(self._graph, inputs)
            return protocol.CreateResponse("", property_values(resource.previewed(inputs)))
        behaviour = _BEHAVIOURS[resource.spec.token]
        made = await behaviour.create(self._graph, inputs)
        outputs = await self._graph.until(lambda: behaviour.read(self._graph, made.id))
        if outputs is None:
            raise Failure(f'"{made.id}" was created, but Graph does not show it')
        return protocol.CreateResponse(made.id, _state(resource, made.id, {**inputs, **made.outputs}, outputs))

    async def read(self, request: protocol.ReadRequest) -> protocol.ReadResponse:
        resource, state = Resource.of(request.type), plain(request.properties)
        if not request.inputs and not resource.spec.importable:
            raise PluginError(f"resource {resource.spec.terraform_name} doesn't support import")
        with trying(f"refreshing {request.urn}"):
            found = await _BEHAVIOURS[resource.spec.token].read(self._graph, request.resource_id)
        if found is None:
            return protocol.ReadResponse("")
        outputs = _state(resource, request.resource_id, state, found)
        kept = plain(outputs)
        inputs = resource.refreshed(plain(request.inputs), kept) if request.inputs else resource.imported(kept)
        return protocol.ReadResponse(request.resource_id, outputs, property_values(inputs))

    async def update(self, request: protocol.UpdateRequest) -> protocol.UpdateResponse:
        resource, state, inputs = Resource.of(request.type), plain(request.olds), plain(request.news)
        if request.preview:
            return protocol.UpdateResponse(property_values(resource.previewed(inputs, state)))
        desired = resource.desired(inputs, state, request.ignore_changes)
        behaviour = _BEHAVIOURS[resource.spec.token]
        change = Change(state, desired, _changed(resource, state, desired))
        with trying(f"updating {request.urn}"):
            await behaviour.update(self._graph, request.resource_id, change)
            outputs = await self._seen(resource, request, inputs)
        kept = {**state, **inputs, _SECRET: state.get(_SECRET)}
        return protocol.UpdateResponse(_state(resource, request.resource_id, kept, outputs))

    async def delete(self, request: protocol.DeleteRequest) -> None:
        resource = Resource.of(request.type)
        with trying(f"deleting {request.urn}"):
            await _BEHAVIOURS[resource.spec.token].delete(self._graph, request.resource_id, plain(request.properties))

    @property
    def _graph(self) -> Graph:
        if self._connected is None:
            raise PluginError("The stand-in for azuread was used before the engine configured it.")
        return self._connected

    async def _seen(self, resource: Resource, request: protocol.UpdateRequest, inputs: Plain) -> dict[str, Any]:
        """Return the outputs once they are what the inputs ask for, or what they are when patience has an end."""
        resource_id = request.resource_id
        latest: list[dict[str, Any]] = []

        async def look() -> dict[str, Any] | None:
            outputs = await _BEHAVIOURS[resource.spec.token].read(self._graph, resource_id)
            if outputs is None:
                return None
            latest.append(outputs)
            return None if resource.changes({**inputs, **outputs}, inputs, request.ignore_changes) else outputs

        seen = await self._graph.until(look)
        if seen is None and not latest:
            raise Failure(f'"{resource_id}" was changed, but Graph does not show it')
        return seen or latest[-1]


def _changed(resource: Resource, outputs: Plain, desired: Plain) -> frozenset[str]:
    """Return the names of the fields that differ."""
    fields = resource.spec.fields
    before, after = comparable(fields, outputs), comparable(fields, desired)
    return frozenset(field.name for field in fields if value_at(before, field.name) != value_at(after, field.name))


def _state(resource: Resource, resource_id: str, known: Plain, outputs: Plain) -> dict[str, PropertyValue]:
    """Return the outputs for the engine: Graph's, and of what is known beside it that which Graph does not answer."""
    kept = {field.name: known[field.name] for field in resource.spec.fields if field.kept and field.name in known}
    state = property_values({**kept, **outputs, "id": resource_id})
    if _SECRET in resource.spec.computed and known.get(_SECRET):
        state[_SECRET] = PropertyValue(known[_SECRET], is_secret=True)
    return state
