"""Brings a namespace of Temporal Cloud to what its access asks for, from wherever an earlier run left it.

An update names the version that it was made for, and an operation whose ID follows from the resource, that version
and what is to be: a run that was killed after it asked finds its own operation, and asks for no second. Whether the
service refused because somebody was quicker is not read from the refusal, which no document describes, but from the
namespace: if its version moved, the change is made anew on top of that.
Source: temporal/api/cloud/{cloudservice,operation}/v1.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.api.cloud.cloudservice.v1 import GetAsyncOperationRequest, GetNamespaceRequest, UpdateNamespaceRequest
from temporalio.api.cloud.namespace.v1 import Namespace, NamespaceSpec
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.cloud.resource.v1 import ResourceState
from temporalio.service import RPCError, RPCStatusCode

from plugin import PluginError
from provider.admission import Admitted, changed, objection, side_effects
from provider.temporal_cloud import TemporalCloud

_UNDER_WAY = (AsyncOperation.STATE_UNSPECIFIED, AsyncOperation.STATE_PENDING, AsyncOperation.STATE_IN_PROGRESS)
_LEAVING = (ResourceState.RESOURCE_STATE_DELETING, ResourceState.RESOURCE_STATE_DELETED)
_POLL_SECONDS = 1.0
"""How long to wait where an operation does not say."""
_MOST_ROUNDS = 20
_MOST_OPERATIONS = 100
_MAYBE_OVERTAKEN = (
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.ABORTED,
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.ALREADY_EXISTS,
)


@dataclass(frozen=True, kw_only=True)
class Admitting:
    """One namespace, on behalf of one resource."""

    namespace: str
    cloud: TemporalCloud

    async def read(self) -> Namespace | None:
        """Return the namespace as it is, or None if there is none."""
        try:
            answer = await self.cloud.call(
                f"read {self._what}",
                self.cloud.service.get_namespace,
                GetNamespaceRequest(namespace=self.namespace),
                expected=(RPCStatusCode.NOT_FOUND,),
            )
        except RPCError:
            return None
        return None if answer.namespace.state == ResourceState.RESOURCE_STATE_DELETED else answer.namespace

    async def ensure(self, wanted: Admitted, former: Admitted | None = None, *, exclusive: bool = False) -> Namespace:
        """Return the namespace once it admits what is wanted, asking for a change only if it does not.

        `former` is what the state says that we had there. Raises PluginError if there is no such namespace, if the
        change would leave it without a way in, or if the service does not make it.
        """
        for _ in range(_MOST_ROUNDS):
            found = await self._at_rest()
            try:
                goal = changed(found.spec, wanted, former or Admitted(), exclusive=exclusive)
                if goal == found.spec:
                    return found
                if reason := objection(found.spec, goal):
                    raise PluginError(f"{self._what} was left as it is, because {reason}.")
                effects = side_effects(found.spec, goal, wanted)
            except ValueError as error:
                raise self._unreadable(error) from error
            if not await self._changed(found, goal, effects):
                await self._pause()
        raise PluginError(
            f"{self._what} was changed by somebody else each of the {_MOST_ROUNDS} times that it was to be changed. "
            f"It was left as they made it. Find out who, then run the same command again."
        )

    @property
    def _what(self) -> str:
        return f'the namespace "{self.namespace}"'

    async def _at_rest(self) -> Namespace:
        """Return the namespace once nothing changes it any more, whoever began that."""
        found = await self.read()
        if found is not None and found.async_operation_id:
            operation = await self._operation(found.async_operation_id)
            if operation is not None and operation.state in _UNDER_WAY:
                await self.cloud.engine.info(
                    f"Waiting for a change of the namespace that is under way: operation {operation.id}.",
                    self.cloud.urn,
                )
                await self._end_of(operation)
            if operation is not None:
                found = await self.read()
        if found is None or found.state in _LEAVING:
            raise PluginError(
                f"{self._what} {'does not exist' if found is None else 'is being deleted'}, as far as this API key may "
                f"know. Nothing was changed. Check its ID (NAME.ACCOUNT), or make it first: it is not made here."
            )
        return found

    async def _changed(self, found: Namespace, goal: NamespaceSpec, effects: Sequence[str]) -> bool:
        """Tell whether the change was made; False if somebody was quicker. Raises PluginError if it was not made."""
        for attempt in range(_MOST_OPERATIONS):
            identifier = self._operation_id(found, goal, attempt)
            operation = await self._operation(identifier)
            if operation is not None and operation.state == AsyncOperation.STATE_FULFILLED:
                return False  # and the namespace was read before that showed
            if operation is not None and operation.state not in _UNDER_WAY:
                continue  # an earlier run has told how it ended
            if operation is None:
                for effect in effects:
                    await self.cloud.engine.warning(effect, self.cloud.urn)
                operation = await self._ask(found, goal, identifier)
            if operation is None:
                return False
            self._require_success(await self._end_of(operation))
            return True
        raise PluginError(
            f"{_MOST_OPERATIONS} runs failed to change {self._what} in the same way. Nothing was changed. Ask the "
            f"support of Temporal Cloud; the last operation was {identifier}."
        )

    async def _ask(self, found: Namespace, goal: NamespaceSpec, identifier: str) -> AsyncOperation | None:
        """Return the operation that the service began, or None if somebody was quicker."""
        what = f"change who may come in to {self._what}"
        request = UpdateNamespaceRequest(
            namespace=self.namespace,
            spec=goal,
            resource_version=found.resource_version,
            async_operation_id=identifier,
        )
        try:
            answer = await self.cloud.call(
                what, self.cloud.service.update_namespace, request, expected=_MAYBE_OVERTAKEN
            )
        except RPCError as error:
            # Asked twice, because the first answer was lost: then the operation is there.
            if (operation := await self._operation(identifier)) is not None:
                return operation
            now = await self.read()
            if now is None or now.resource_version != found.resource_version or await self._is_busy(now):
                return None
            raise self.cloud.explained(what, error) from error
        return answer.async_operation

    async def _is_busy(self, namespace: Namespace) -> bool:
        operation = await self._operation(namespace.async_operation_id) if namespace.async_operation_id else None
        return operation is not None and operation.state in _UNDER_WAY

    async def _operation(self, identifier: str) -> AsyncOperation | None:
        try:
            answer = await self.cloud.call(
                f"read the operation {identifier} on {self._what}",
                self.cloud.service.get_async_operation,
                GetAsyncOperationRequest(async_operation_id=identifier),
                expected=(RPCStatusCode.NOT_FOUND,),
            )
        except RPCError:
            return None
        return answer.async_operation

    async def _end_of(self, operation: AsyncOperation) -> AsyncOperation:
        """Return an operation at its end, looking as often as it asks to be looked at."""
        while operation.state in _UNDER_WAY:
            left = self.cloud.left
            if not left:
                raise PluginError(
                    f"Temporal Cloud has not changed {self._what} within {int(self.cloud.limit_seconds)} s. It goes on "
                    f"with it (operation {operation.id}), and the next `up` takes that up. Run the same command again, "
                    f"or give it longer with timeoutSeconds."
                )
            await self.cloud.engine.status(
                f"Temporal Cloud changes the namespace ({int(self.cloud.elapsed)} s so far, at most "
                f"{int(self.cloud.limit_seconds)} s).",
                self.cloud.urn,
            )
            asked = operation.check_duration.ToTimedelta().total_seconds()
            await asyncio.sleep(min(asked if asked > 0 else _POLL_SECONDS, left))
            found = await self._operation(operation.id)
            if found is None:
                raise PluginError(
                    f"Temporal Cloud no longer knows the operation {operation.id}, which was to change {self._what}. "
                    f"Whether it was changed is not known. Run the same command again: it reads the namespace anew."
                )
            operation = found
        return operation

    def _require_success(self, operation: AsyncOperation) -> None:
        reason = self.cloud.account.hushed(operation.failure_reason).strip().rstrip(".") or "no reason was given"
        match operation.state:
            case AsyncOperation.STATE_FULFILLED:
                return
            case AsyncOperation.STATE_REJECTED:
                how, then = "rejected", "Nothing was changed. Mend what it names, or have it approved"
            case AsyncOperation.STATE_CANCELLED:
                how, then = "cancelled", "Somebody did that on purpose, and the namespace is as it was. Find out who"
            case AsyncOperation.STATE_FAILED:
                how, then = "could not finish", "The namespace is as Temporal Cloud left it. Mend what it names"
            case state:
                how, then = f"ended, in a state not known here ({state}),", "Look at what became of the namespace"
        raise PluginError(
            f"Temporal Cloud {how} the change of who may come in to {self._what}: {reason} (operation {operation.id}). "
            f"{then}, then run the same command again: it reads the namespace anew."
        )

    def _operation_id(self, found: Namespace, goal: NamespaceSpec, attempt: int) -> str:
        digest = hashlib.sha256()
        for part in (
            self.cloud.urn.encode(),
            self.namespace.encode(),
            found.resource_version.encode(),
            goal.mtls_auth.SerializeToString(deterministic=True),
            str(attempt).encode(),
        ):
            digest.update(len(part).to_bytes(8, "big") + part)
        return f"temporalazure-{digest.hexdigest()[:40]}"

    async def _pause(self) -> None:
        """Let whoever was quicker be quicker once, not each time."""
        await asyncio.sleep(min(random.uniform(0.2, 1.0), self.cloud.left))

    def _unreadable(self, error: ValueError) -> PluginError:
        return PluginError(
            f"The certificate authorities or filters of {self._what} cannot be read: {error}. Nothing was changed, "
            f"lest what cannot be read be lost. Put them right with `tcld namespace accepted-client-ca set`."
        )
