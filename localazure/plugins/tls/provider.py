"""The provider: the engine's requests, answered as the official tls plugin does, without asking anybody.

Whatever a resource is lies in the state: read looks at the clock and nowhere else, and delete has nothing to do.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import CheckFailure

from localazure.plugins.resources import replaced_by
from localazure.plugins.tls import certificates, keys
from localazure.plugins.tls.certificates import Made
from localazure.plugins.tls.resource import Plain, Resource
from plugin import Engine, PluginError, clock, plain, property_of, property_values

MAKERS: Final[Mapping[str, Callable[[Plain, datetime], Made]]] = {
    "PrivateKey": lambda given, _: Made(*keys.make(given)),
    "CertRequest": lambda given, _: certificates.request(given),
    "SelfSignedCert": certificates.self_signed,
    "LocallySignedCert": certificates.locally_signed,
}


class Tls(protocol.Provider):
    """Serves the resources of `specs.SPECS`; refuses every other token, and every function."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def configure(self, request: protocol.ConfigureRequest) -> protocol.ConfigureResponse:
        if set_here := sorted(key.rpartition(":")[2] for key in request.variables if not key.endswith("version")):
            raise PluginError(
                f"The stand-in for tls asks nobody, so {', '.join(set_here)} would have no effect. Nothing was made. "
                "Leave it out, or use the official plugin."
            )
        return protocol.ConfigureResponse(supports_preview=True)

    async def invoke(self, request: protocol.InvokeRequest) -> protocol.InvokeResponse:
        raise PluginError(
            f"The stand-in for tls does not serve {request.tok}, nor any other function. Use the official plugin."
        )

    async def check(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        inputs = {name: value for name, value in plain(request.new_inputs).items() if value is not None}
        resource = Resource.of(request.type)
        failures = [CheckFailure("", problem) for problem in resource.problems(request.name, inputs)]
        return protocol.CheckResponse(_marked(resource, inputs), failures)

    async def diff(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        resource, state = Resource.of(request.type), plain(request.old_state)
        inputs = resource.unless_ignored(plain(request.new_inputs), state, request.ignore_changes)
        changes = resource.changes(state, inputs, clock.now())
        changed = {property_of(path) for path in changes}
        return protocol.DiffResponse(
            changes=bool(changes),
            replaces=sorted({property_of(path) for path in replaced_by(changes)}),
            delete_before_replace=False,
            diffs=sorted(changed),
            detailed_diff=changes,
        )

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        resource, inputs = Resource.of(request.type), plain(request.properties)
        plan = resource.planned(inputs, None, clock.now())
        if request.preview:
            return protocol.CreateResponse("", _marked(resource, plan))
        made = MAKERS[resource.spec.class_name](plan, clock.now())
        if made.warning:
            await self._engine.warning(made.warning, request.urn)
        return protocol.CreateResponse(made.id, _marked(resource, {**plan, **made.outputs, "id": made.id}))

    async def read(self, request: protocol.ReadRequest) -> protocol.ReadResponse:
        resource, state = Resource.of(request.type), plain(request.properties)
        if not state:
            raise PluginError(
                f"Resource Import Not Implemented: a {resource.spec.class_name} lies in the state and nowhere else, so "
                "there is nothing to import. Nothing was changed."
            )
        outputs = resource.refreshed(state, clock.now())
        return protocol.ReadResponse(request.resource_id, _marked(resource, outputs), request.inputs)

    async def update(self, request: protocol.UpdateRequest) -> protocol.UpdateResponse:
        resource, state = Resource.of(request.type), plain(request.olds)
        inputs = resource.unless_ignored(plain(request.news), state, request.ignore_changes)
        return protocol.UpdateResponse(_marked(resource, resource.planned(inputs, state, clock.now())))

    async def delete(self, request: protocol.DeleteRequest) -> None:
        Resource.of(request.type)


def _marked(resource: Resource, values: Plain) -> dict[str, PropertyValue]:
    return property_values(dict(values), secrets=resource.spec.secrets)
