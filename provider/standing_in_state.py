"""The order of a rollover for a leaf whose key is in the stack's state, where pulumi-tls signs what it is told to.

Two records stand beside such a leaf, without a secret, and are nowhere but in the state. The `Step` is written before
the leaf is issued: what comes too early ends there, and the leaf is not touched. But of an `up` that ended between the
two it says more than became of the leaf. The `Standing` is written behind it, and hands the certificate on: it judges
by what was handed out last, so that nothing gets past it (docs/decisions/0011-two-records-beside-a-leaf.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

from pulumi.provider.experimental.provider import (
    CheckRequest,
    CheckResponse,
    CreateRequest,
    CreateResponse,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
    UpdateResponse,
)
from pydantic import AfterValidator, Field
from pydantic.alias_generators import to_camel

from pki import Role
from plugin import Engine, PluginError, difference, plain, property_values
from provider import NAME, rollover
from provider.inputs import RUN_NAMES, CertificatePem, Model, problems
from provider.resource import diff_response, failures, moved

STEP: Final = f"{NAME}:state:Step"
STANDING: Final = f"{NAME}:state:Standing"

_PLACE: Final = ("name",)
_HELD_BACK: Final = (
    "An earlier `up` ended before it was through with it, and what was issued since is handed to nobody. Repeat that "
    "one, with the settings that it had, until it succeeds; deliver, and go on."
)


def _of_a_leaf(role: Role) -> Role:
    if role is Role.AUTHORITY:
        raise ValueError("must be a leaf's")
    return role


class StepInputs(Model):
    """A leaf, which generation is to issue it, and which ones those trust that it is shown to.

    What is `acknowledged` and who its `peers` are concerns one run, and is no part of the state.
    """

    name: Annotated[str, Field(min_length=1)]
    role: Annotated[Role, AfterValidator(_of_a_leaf)]
    issued_by: str
    trusted: tuple[str, ...]
    acknowledged: tuple[str, ...] | None = None
    peers: tuple[str, ...] | None = None


class StandingInputs(StepInputs):
    """The same of a leaf that was issued: `certificate_pem` is what is handed out."""

    certificate_pem: CertificatePem


def input_names(model: type[StepInputs]) -> tuple[str, ...]:
    """Return the inputs' names in the state's spelling."""
    return tuple(to_camel(name) for name in model.model_fields)


def state_names(model: type[StepInputs]) -> tuple[str, ...]:
    """Return those of the inputs that the state repeats."""
    return tuple(name for name in input_names(model) if name not in RUN_NAMES)


class _Record:
    """What is nowhere but in the state, and is what its inputs say."""

    _model: ClassVar[type[StepInputs]]

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def check(self, request: CheckRequest) -> CheckResponse:
        inputs = plain(request.new_inputs)
        return CheckResponse(inputs=property_values(inputs), failures=failures(problems(inputs, self._model)))

    async def create(self, request: CreateRequest) -> CreateResponse:
        inputs = plain(request.properties)
        return CreateResponse(
            resource_id="" if request.preview else inputs["name"], properties=property_values(self._kept(inputs))
        )

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        return UpdateResponse(properties=property_values(self._kept(plain(request.news))))

    async def read(self, request: ReadRequest) -> ReadResponse:
        if not plain(request.properties).get("issuedBy"):
            raise PluginError(
                f"{request.resource_id} cannot be imported: where a leaf of the state stands is told nowhere else. The "
                f"state was not changed. The next `up` makes it."
            )
        return ReadResponse(request.resource_id, request.properties, request.inputs)

    async def delete(self, request: DeleteRequest) -> None:
        """Nothing is anywhere but in the state."""

    def _difference(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> DiffResponse:
        changes = difference(self._kept(old), self._kept(new))
        return diff_response(changes, moved(changes, _PLACE), _PLACE)

    def _kept(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {name: inputs[name] for name in state_names(self._model) if name in inputs}


class StepResource(_Record):
    """Before a leaf: what it was about to be, by the last `up` that reached it."""

    _model = StepInputs

    async def diff(self, request: DiffRequest) -> DiffResponse:
        old, new = plain(request.old_state), plain(request.new_inputs)
        await rollover.keep_order(self._engine, request.urn, old, new)
        return self._difference(old, new)


class StandingResource(_Record):
    """Behind a leaf: what was handed out of it last. Of what was acknowledged its step has warned."""

    _model = StandingInputs

    async def diff(self, request: DiffRequest) -> DiffResponse:
        old, new = plain(request.old_state), plain(request.new_inputs)
        rollover.let_through(old, new, _HELD_BACK)
        found = self._difference(old, new)
        if found.diffs == ["trusted"]:
            await self._engine.info(rollover.undisturbed(new), request.urn)
        return found
