"""The life of a secret: check, diff, preview, create, read, update, delete, import.

Its value is marked as a secret in every answer, whether or not the program did. A refresh does not read it: where the
newest version is not the one that we wrote, the state no longer says what the value is, and the next `up` writes it.
"""

from __future__ import annotations

from typing import Any

from azure.core.exceptions import ServiceRequestError
from azure.keyvault.secrets import SecretProperties
from pulumi.provider.experimental.property_value import PropertyValue
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

from plugin import PluginError, difference, plain, property_of, property_values
from provider.connection import Connection
from provider.inputs import problems
from provider.keeping import Keeping
from provider.ownership import Owner
from provider.resource import AT_ONCE, diff_response, failures, in_its_vault, moved
from provider.secret_inputs import (
    COMPUTED_NAMES,
    SECRET_NAMES,
    SecretInputs,
    found,
    inputs_of,
    outputs,
    parse_secret_id,
    unwritten,
    versionless_id,
)


class SecretResource:
    """Secrets in Key Vault."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def check(self, request: CheckRequest) -> CheckResponse:
        inputs = plain(request.new_inputs)
        return CheckResponse(inputs=_answer(inputs), failures=failures(problems(inputs, SecretInputs)))

    async def diff(self, request: DiffRequest) -> DiffResponse:
        old = plain(request.old_state)
        changes = difference(inputs_of(old), in_its_vault(old, plain(request.new_inputs)))
        return diff_response(changes, moved(changes))

    async def create(self, request: CreateRequest) -> CreateResponse:
        inputs = plain(request.properties)
        if request.preview:
            return CreateResponse(resource_id="", properties=_answer(unwritten(inputs)))
        wanted = SecretInputs.model_validate(inputs)
        keeping = await self._keeping(request.urn, inputs, self._connection.limit(request.timeout))
        written = await keeping.ensure(wanted)
        return CreateResponse(
            resource_id=versionless_id(wanted.vault_uri, wanted.name),
            properties=_answer({**inputs, **outputs(written)}),
        )

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        old, inputs = plain(request.olds), plain(request.news)
        if request.preview:
            inputs = in_its_vault(old, inputs)
            kept = {**inputs, **{name: old.get(name) for name in COMPUTED_NAMES}}
            writes = _writes_a_version(difference(inputs_of(old), inputs))
            return UpdateResponse(properties=_answer(unwritten(inputs) if writes else kept))
        keeping = await self._keeping(request.urn, inputs, self._connection.limit(request.timeout))
        written = await keeping.ensure(SecretInputs.model_validate(inputs), by_state=True)
        return UpdateResponse(properties=_answer({**inputs, **outputs(written)}))

    async def read(self, request: ReadRequest) -> ReadResponse:
        old = plain(request.properties)
        if not old.get("name"):
            return await self._import(request)
        keeping = await self._keeping(request.urn, old, AT_ONCE)
        try:
            newest = await keeping.newest(known=old.get("version"))
        except PluginError as error:
            unreachable = isinstance(error.__cause__, ServiceRequestError)
            if not unreachable or not await self._connection.is_gone(old["vaultId"]):
                raise
            newest = None
        if newest is None:
            return ReadResponse(resource_id="")
        await self._warn_of_disabled(request.urn, newest)
        inputs = found(newest, inputs_of(old), keeping.owner.without(newest.tags or {}, old.get("tags") or ()))
        if newest.version != old.get("version"):
            inputs.pop("value", None)
        return ReadResponse(
            resource_id=request.resource_id,
            properties=_answer({**inputs, **outputs(newest)}),
            inputs=_answer(inputs),
        )

    async def _warn_of_disabled(self, urn: str, newest: SecretProperties) -> None:
        if newest.enabled is False:
            await self._connection.engine.warning(
                f"Somebody disabled the version {newest.version} of this secret: whoever reads it is refused. It is "
                f"left so. Enable it again, if that was a mistake.",
                urn,
            )

    async def _import(self, request: ReadRequest) -> ReadResponse:
        try:
            vault_uri, name = parse_secret_id(request.resource_id)
            keeping = await self._keeping(request.urn, {"vaultUri": vault_uri, "name": name}, AT_ONCE)
            newest = await keeping.newest()
            if newest is not None and newest.managed:
                raise ValueError("it belongs to the certificate of its name")
            held = await keeping.read()
            if held is None:
                raise ValueError("there is no such secret")
        except ValueError as error:
            raise PluginError(
                f"{request.resource_id} cannot be imported: {error}. The state was not changed. Give the secret's "
                f"identifier, https://VAULT/secrets/NAME."
            ) from error
        given: dict[str, Any] = {"vaultId": "", "vaultUri": vault_uri, "name": name, "value": held.value, "tags": {}}
        inputs = found(held.properties, given, keeping.owner.without(held.properties.tags or {}))
        return ReadResponse(
            resource_id=versionless_id(vault_uri, name),
            properties=_answer({**inputs, **outputs(held.properties)}),
            inputs=_answer(inputs),
        )

    async def delete(self, request: DeleteRequest) -> None:
        state = plain(request.properties)
        await (await self._keeping(request.urn, state, self._connection.limit(request.timeout))).delete()

    async def _keeping(self, urn: str, place: dict[str, Any], limit_seconds: float) -> Keeping:
        patience = await self._connection.patience(urn, place["vaultUri"], limit_seconds)
        return Keeping(vault_uri=place["vaultUri"], name=place["name"], owner=Owner(urn), patience=patience)


def _answer(values: dict[str, Any]) -> dict[str, PropertyValue]:
    return property_values(values, secrets=SECRET_NAMES)


def _writes_a_version(changes: dict[str, PropertyDiff]) -> bool:
    """Tell whether what changes is part of a version, or an end that is taken away."""
    end = changes.get("notAfter")
    ends_no_more = end is not None and end.kind is PropertyDiffKind.DELETE
    return ends_no_more or any(property_of(path) in ("value", "contentType") for path in changes)
