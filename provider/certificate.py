"""The life of a certificate: check, diff, preview, create, read, update, delete, import.

A leaf inside its renewal window, and one that somebody replaced, show as updates; an authority is never changed by the
clock, it warns. The order of a rollover is kept in diff: before anything of the leaf is written, and before the engine
deletes a generation, which it does last.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from azure.core.exceptions import ServiceRequestError
from cryptography import x509
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

from pki import Role, deviations, load_certificate, renewal_due
from plugin import UNKNOWN, PluginError, difference, has_unknown, plain, property_of, property_values
from provider import NAME, clock, rollover
from provider.attention import refuse_another_authority, warn_of_the_end
from provider.connection import Connection
from provider.inputs import (
    COMPUTED_NAMES,
    CertificateInputs,
    imported,
    inputs_of,
    parse_certificate_id,
    problems,
    unissued,
)
from provider.issuance import Issuance, find, x509_of
from provider.ownership import Owner
from provider.resource import AT_ONCE, diff_response, failures, in_its_vault, moved

CERTIFICATE: Final = f"{NAME}:keyvault:Certificate"

_ROLLOVER = frozenset({"issuedBy", "trusted"})
_BESIDE_THE_CERTIFICATE = _ROLLOVER | {"tags"}
"""The inputs that say nothing of what the certificate is to be."""


class CertificateResource:
    """Certificates in Key Vault."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._engine = connection.engine

    async def check(self, request: CheckRequest) -> CheckResponse:
        inputs = plain(request.new_inputs)
        return CheckResponse(inputs=property_values(inputs), failures=failures(problems(inputs)))

    async def diff(self, request: DiffRequest) -> DiffResponse:
        old, inputs = plain(request.old_state), plain(request.new_inputs)
        await rollover.keep_order(self._engine, request.urn, old, inputs)
        new = in_its_vault(old, inputs_of(inputs))
        changes = difference(inputs_of(old), new)
        replaces = moved(changes)
        if not replaces:
            refuse_another_authority(old, changes)
            _refuse_a_lost_certificate(old, inputs)
            if _is_beside_the_certificate(changes) and not has_unknown(new):
                due = await self._due(request.urn, old, CertificateInputs.model_validate(new))
                if not due and changes and _properties(changes) <= _ROLLOVER:
                    await self._engine.info(rollover.undisturbed(new), request.urn)
                changes |= due
        return diff_response(changes, replaces)

    async def _due(self, urn: str, old: dict[str, Any], wanted: CertificateInputs) -> dict[str, PropertyDiff]:
        """Return what must change although no input did."""
        if old.get("certificatePem") is None and wanted.is_issued_elsewhere:
            lost = old.get("signingRequestPem") is None
            return {"signingRequestPem": PropertyDiff(PropertyDiffKind.UPDATE, input_diff=False)} if lost else {}
        certificate, now = load_certificate(old["certificatePem"]), clock.now()
        try:
            due = _due(certificate, wanted, now)
        except ValueError as error:
            await self._engine.warning(f"Cannot be renewed: {error}. Roll the authority over.", urn)
            return {}
        if due is None:
            if wanted.policy.role is Role.AUTHORITY:
                await warn_of_the_end(self._engine, urn, certificate, now)
            return {}
        changing, reason = due
        await self._engine.info(reason, urn)
        return {changing: PropertyDiff(PropertyDiffKind.UPDATE, input_diff=False)}

    async def create(self, request: CreateRequest) -> CreateResponse:
        inputs = plain(request.properties)
        if request.preview:
            return CreateResponse(resource_id="", properties=property_values(unissued(inputs_of(inputs))))
        wanted = CertificateInputs.model_validate(inputs)
        issuance = await self._issuance(request.urn, wanted, self._connection.limit(request.timeout))
        state = await issuance.ensure()
        return CreateResponse(resource_id=wanted.certificate_id, properties=property_values(_state(inputs, state)))

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        old, inputs = plain(request.olds), plain(request.news)
        if request.preview and inputs.get("vaultUri") == UNKNOWN:
            inputs["vaultUri"] = old["vaultUri"]
        changes = difference(inputs_of(old), inputs_of(inputs))
        stays = bool(changes) and _is_beside_the_certificate(changes) and not _is_due(old, inputs)
        kept = UpdateResponse(
            properties=property_values(_state(inputs, {name: old.get(name) for name in COMPUTED_NAMES}))
        )
        if request.preview:
            return kept if stays else UpdateResponse(properties=property_values(unissued(inputs_of(inputs))))
        if stays and _properties(changes) <= _ROLLOVER:
            return kept
        issuance = await self._issuance(
            request.urn,
            CertificateInputs.model_validate(inputs),
            self._connection.limit(request.timeout),
            by_state=True,
        )
        state = await issuance.ensure(anew=bool(changes.keys() & {"policy.validityDays", "renewal"}))
        return UpdateResponse(properties=property_values(_state(inputs, _with_request(old, state))))

    async def read(self, request: ReadRequest) -> ReadResponse:
        old = plain(request.properties)
        if not old.get("policy"):
            return await self._import(request)
        wanted = CertificateInputs.model_validate(inputs_of(old))
        issuance = await self._issuance(request.urn, wanted, AT_ONCE)
        try:
            held = await issuance.held()
        except PluginError as error:
            unreachable = isinstance(error.__cause__, ServiceRequestError)
            if not unreachable or not await self._connection.is_gone(wanted.vault_id):
                raise
            held = None
        if held is None:
            return ReadResponse(resource_id="")
        state = issuance.state_of(held) if held.cer else {}
        if not held.cer and wanted.is_issued_elsewhere:
            state = {"signingRequestPem": await issuance.waiting_request_pem()}
        return ReadResponse(
            resource_id=request.resource_id,
            properties=property_values({**old, **_with_request(old, state)}),
            inputs=property_values(inputs_of(old)),
        )

    async def _import(self, request: ReadRequest) -> ReadResponse:
        try:
            vault_uri, name = parse_certificate_id(request.resource_id)
            held = await find(await self._connection.patience(request.urn, vault_uri, AT_ONCE), vault_uri, name)
            if held is None or not held.cer:
                raise ValueError("there is no such certificate")
            wanted = imported(request.resource_id, x509_of(held))
        except ValueError as error:
            raise PluginError(
                f"{request.resource_id} cannot be imported: {error}. The state was not changed. Give the certificate's "
                f"identifier, https://VAULT/certificates/NAME."
            ) from error
        state = (await self._issuance(request.urn, wanted, AT_ONCE)).state_of(held)
        inputs = wanted.model_dump(mode="json", by_alias=True, exclude_none=True)
        return ReadResponse(
            resource_id=wanted.certificate_id,
            properties=property_values({**inputs, **state}),
            inputs=property_values(inputs),
        )

    async def delete(self, request: DeleteRequest) -> None:
        wanted = CertificateInputs.model_validate(inputs_of(plain(request.properties)))
        issuance = await self._issuance(request.urn, wanted, self._connection.limit(request.timeout))
        await issuance.delete()

    async def _issuance(
        self, urn: str, wanted: CertificateInputs, limit_seconds: float, *, by_state: bool = False
    ) -> Issuance:
        patience = await self._connection.patience(urn, wanted.vault_uri, limit_seconds)
        return Issuance(wanted=wanted, owner=Owner(urn), patience=patience, now=clock.now(), by_state=by_state)


def _refuse_a_lost_certificate(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raise PluginError for an intermediate that would wait again for the certificate that it has."""
    issuer, name = new.get("issuer"), new["name"]
    is_issued_elsewhere = isinstance(issuer, dict) and issuer.get("keyId") is None
    if is_issued_elsewhere and old.get("issuedPem") and not new.get("issuedPem"):
        authority, _, number = name.rpartition("-")
        raise PluginError(
            f'The authority "{name}" has the certificate that was brought for it, and issuedPem is not set any more: '
            f"it would wait again, and if it signs, every certificate below it would be deleted. Nothing was changed. "
            f"Set certificateAuthorities.{authority}.generations.{number}.issuedPem again: it is the output "
            f"certificates.{name}.certificatePem. To be without the authority, remove it with what it issues; see "
            f"docs/topologies.md."
        )


def _with_request(old: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """Return a state with the request that an issuer elsewhere signed, which no vault tells once it is merged."""
    if state.get("certificatePem") and state["signingRequestPem"] is None:
        return {**state, "signingRequestPem": old.get("signingRequestPem")}
    return state


def _properties(changes: dict[str, PropertyDiff]) -> set[str]:
    return {property_of(path) for path in changes}


def _is_beside_the_certificate(changes: dict[str, PropertyDiff]) -> bool:
    return _properties(changes) <= _BESIDE_THE_CERTIFICATE


def _state(inputs: dict[str, Any], computed: dict[str, Any]) -> dict[str, Any]:
    return {**inputs_of(inputs), **computed}


def _due(certificate: x509.Certificate, wanted: CertificateInputs, now: datetime) -> tuple[str, str] | None:
    """Return what of a certificate must change although no input did, and why; None if nothing must.

    An authority is never due by the clock. Raises ValueError if it is due and its authority cannot issue any more.
    """
    if wrong := deviations(certificate, wanted.policy, wanted.issuer_certificate):
        return (
            "certificatePem",
            f"To be issued anew, because what is in the vault is not what is asked for: {'; '.join(wrong)}.",
        )
    if wanted.issuer_certificate is None or wanted.policy.role is Role.AUTHORITY:
        return None
    if renewal_due(certificate, wanted.policy, wanted.issuer_certificate, now):
        return (
            "notAfter",
            f"To be renewed: it ends on {certificate.not_valid_after_utc:%Y-%m-%d}, inside its renewal window of "
            f"{wanted.policy.renew_before_days} days.",
        )
    return None


def _is_due(old: dict[str, Any], inputs: dict[str, Any]) -> bool:
    """Tell whether a certificate is about to be issued although nothing of it was changed in the settings."""
    if has_unknown(inputs_of(inputs)):
        return False
    try:
        wanted = CertificateInputs.model_validate(inputs)
        return _due(load_certificate(old["certificatePem"]), wanted, clock.now()) is not None
    except ValueError:
        return False
