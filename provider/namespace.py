"""The life of a namespace's access: check, diff, preview, create, read, update, delete, import.

The namespace is somebody else's: it is neither made nor deleted here. What the inputs name is ours, also where it was
there before; what else the namespace admits is listed as unmanaged, and stays unless the access is exclusive.
"""

from __future__ import annotations

import re
from typing import Any, Final

from pulumi.provider.experimental.provider import (
    CheckRequest,
    CheckResponse,
    CreateRequest,
    CreateResponse,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    PropertyDiff,
    PropertyDiffKind,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
    UpdateResponse,
)
from temporalio.api.cloud.namespace.v1 import Namespace
from temporalio.api.cloud.resource.v1 import ResourceState

from plugin import PluginError, difference, plain, property_values
from provider import NAME
from provider.admission import Admitted
from provider.admitting import Admitting
from provider.connection import Connection
from provider.inputs import problems
from provider.namespace_inputs import (
    NAMESPACE_ID,
    NamespaceAccessInputs,
    foreseen,
    in_the_order_of,
    inputs_of,
    spelled_out,
)
from provider.resource import diff_response, failures, moved

NAMESPACE_ACCESS: Final = f"{NAME}:cloud:NamespaceAccess"

_PLACE = ("namespace",)
_CHANGE_SECONDS = 600.0
_READ_SECONDS = 60.0


class NamespaceResource:
    """Who may come in to namespaces of Temporal Cloud with a certificate."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._engine = connection.engine

    async def check(self, request: CheckRequest) -> CheckResponse:
        inputs = plain(request.new_inputs)
        if wrong := problems(inputs, NamespaceAccessInputs):
            return CheckResponse(inputs=property_values(inputs), failures=failures(wrong))
        return CheckResponse(inputs=property_values(spelled_out(inputs)), failures=[])

    async def diff(self, request: DiffRequest) -> DiffResponse:
        state = plain(request.old_state)
        old = inputs_of(state)
        new = in_the_order_of(old, plain(request.new_inputs))
        changes = difference(old, new)
        replaces = moved(changes, _PLACE)
        if not changes:
            changes = await self._drift(request.urn, state, new)
        return diff_response(changes, replaces, _PLACE)

    async def _drift(self, urn: str, state: dict[str, Any], new: dict[str, Any]) -> dict[str, PropertyDiff]:
        """Return what must change although no input did."""
        changes: dict[str, PropertyDiff] = {}
        if new["certificateAuthoritiesPem"] and state.get("enabled") is False:
            await self._engine.info("Somebody turned mutual TLS off for this namespace. To be turned on again.", urn)
            changes["enabled"] = PropertyDiff(PropertyDiffKind.UPDATE, input_diff=False)
        if new["exclusive"] and (others := state.get("unmanaged")):
            await self._engine.info(f"To be taken away, because somebody else added it: {'; '.join(others)}.", urn)
            changes["unmanaged"] = PropertyDiff(PropertyDiffKind.UPDATE, input_diff=False)
        return changes

    async def create(self, request: CreateRequest) -> CreateResponse:
        inputs = plain(request.properties)
        if request.preview:
            return CreateResponse(resource_id="", properties=property_values(foreseen(inputs)))
        state = await self._granted(request.urn, inputs, None, request.timeout)
        return CreateResponse(resource_id=inputs["namespace"], properties=property_values(state))

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        inputs = plain(request.news)
        if request.preview:
            return UpdateResponse(properties=property_values(foreseen(inputs)))
        former = Admitted.of(plain(request.olds))
        return UpdateResponse(
            properties=property_values(await self._granted(request.urn, inputs, former, request.timeout))
        )

    async def _granted(
        self, urn: str, inputs: dict[str, Any], former: Admitted | None, timeout_seconds: float
    ) -> dict[str, Any]:
        wanted = Admitted.of(inputs)
        admitting = await self._admitting(urn, inputs, timeout_seconds)
        namespace = await admitting.ensure(wanted, former, exclusive=inputs["exclusive"])
        return {**inputs, **_outputs(namespace, wanted)}

    async def read(self, request: ReadRequest) -> ReadResponse:
        old = inputs_of(plain(request.properties))
        if not old.get("namespace"):
            if not re.fullmatch(NAMESPACE_ID, request.resource_id):
                raise _not_imported(request.resource_id, "it is not of the form NAME.ACCOUNT")
            old = {"namespace": request.resource_id}
        imports = "certificateAuthoritiesPem" not in old
        admitting = await self._admitting(request.urn, old, 0, _READ_SECONDS)
        namespace = await admitting.read()
        if namespace is None:
            if imports:
                raise _not_imported(request.resource_id, "there is no such namespace, as far as this API key may know")
            return ReadResponse(resource_id="")
        try:
            held = Admitted.by(namespace.spec)
        except ValueError as error:
            raise PluginError(
                f'What the namespace "{namespace.namespace}" accepts cannot be read: {error}. The state was not '
                f"changed. Put it right with `tcld namespace accepted-client-ca set`."
            ) from error
        ours = held if imports else Admitted.of(old).within(held)
        inputs = {
            "exclusive": False,
            **old,
            "certificateAuthoritiesPem": list(ours.authorities.values()),
            "filters": [each.given for each in ours.filters],
        }
        return ReadResponse(
            resource_id=request.resource_id,
            properties=property_values({**inputs, **_outputs(namespace, ours)}),
            inputs=property_values(inputs),
        )

    async def delete(self, request: DeleteRequest) -> None:
        inputs = inputs_of(plain(request.properties))
        admitting = await self._admitting(request.urn, inputs, request.timeout)
        if await admitting.read() is None:
            return
        await admitting.ensure(Admitted(), Admitted.of(inputs))

    async def _admitting(
        self, urn: str, inputs: dict[str, Any], timeout_seconds: float, default_seconds: float = _CHANGE_SECONDS
    ) -> Admitting:
        limit = timeout_seconds or inputs.get("timeoutSeconds") or default_seconds
        return Admitting(namespace=inputs["namespace"], cloud=await self._connection.temporal_cloud(urn, limit))


def _outputs(namespace: Namespace, ours: Admitted) -> dict[str, Any]:
    """Return what the state says of a namespace that was read, of which `ours` is in the inputs."""
    held = Admitted.by(namespace.spec)
    return {
        "fingerprints": list(ours.authorities),
        "enabled": namespace.spec.mtls_auth.enabled,
        "resourceVersion": namespace.resource_version,
        "state": ResourceState.Name(namespace.state).removeprefix("RESOURCE_STATE_").lower(),
        "unmanaged": held.without(ours).words(),
    }


def _not_imported(resource_id: str, why: str) -> PluginError:
    return PluginError(
        f"{resource_id} cannot be imported: {why}. The state was not changed. Give the namespace's ID, NAME.ACCOUNT, "
        f"as `tcld namespace list` shows it."
    )
