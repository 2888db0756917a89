"""The engine's protocol: check, diff, preview, create, read, update, delete, import.

Decisions about change are made from the state alone, so that a preview needs no right beyond reading the stack. A
leaf inside its renewal window, and one that somebody replaced, show as updates; an authority is never changed by the
clock, it warns.
"""

from __future__ import annotations

import math
import os
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError
from azure.mgmt.core.tools import parse_resource_id
from cryptography import x509
from pulumi.provider.experimental.provider import (
    CheckFailure,
    CheckRequest,
    CheckResponse,
    ConfigureRequest,
    ConfigureResponse,
    CreateRequest,
    CreateResponse,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    GetSchemaRequest,
    GetSchemaResponse,
    InvokeRequest,
    InvokeResponse,
    PropertyDiff,
    PropertyDiffKind,
    Provider,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
    UpdateResponse,
)

from cloud import CloudError, Identity, Session
from cloud.identity import STACK_SETTINGS
from pki import Role, deviations, load_certificate, renewal_due
from plugin import UNKNOWN, Engine, PluginError, difference, plain, property_of, property_path, property_values
from provider import clock
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
from provider.patience import PERMISSION_WAIT_SECONDS, Patience, paces

_SCHEMA = Path(__file__).with_name("schema.json")
_PLACE = ("vaultUri", "name")
_IDENTITY_OF_AN_AUTHORITY = ("policy.role.", "policy.keyType.", "policy.subject.")
_AUTHORITY_WARNING = timedelta(days=180)
_AT_ONCE = 0.0


class KeyVaultProvider(Provider):
    """Certificates in Key Vault, and two questions that the program asks before it declares them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._identity = Identity.found(os.environ)
        self._permission_wait_seconds = PERMISSION_WAIT_SECONDS
        self._session: Session | None = None
        self._paces = paces()

    # Configuration

    async def get_schema(self, request: GetSchemaRequest) -> GetSchemaResponse:
        return GetSchemaResponse(schema=_SCHEMA.read_text(encoding="utf-8"))

    async def configure(self, request: ConfigureRequest) -> ConfigureResponse:
        settings = plain(request.args)
        if (wait := settings.get("permissionWaitSeconds")) is not None:
            self._permission_wait_seconds = _seconds(wait)
        self._identity = Identity.found(
            os.environ, {name: str(value) for name, value in settings.items() if name in STACK_SETTINGS}
        )
        return ConfigureResponse(
            accept_secrets=True, supports_preview=True, accept_resources=False, accept_outputs=False
        )

    # What the program asks

    async def invoke(self, request: InvokeRequest) -> InvokeResponse:
        functions: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
            "temporalazure:index:getCaller": self._caller,
            "temporalazure:index:checkAccess": self._check_access,
            "temporalazure:keyvault:getDeletedVault": self._deleted_vault,
        }
        if request.tok not in functions:
            raise PluginError(f"temporalazure has no function {request.tok}. Is the plugin older than the program?")
        try:
            return InvokeResponse(return_value=property_values(await functions[request.tok](plain(request.args))))
        except CloudError as error:
            raise PluginError(str(error)) from error
        except AzureError as error:
            raise PluginError(
                f"Azure did not answer {request.tok}: {error.message}. Nothing was changed. Check the sign-in "
                f"(`az login`, or the ARM_* variables), then run the same command again."
            ) from error

    async def _caller(self, _: dict[str, Any]) -> dict[str, Any]:
        principal = await (await self._open()).principal()
        return {"objectId": principal.object_id, "tenantId": principal.tenant_id, "kind": principal.kind}

    async def _check_access(self, arguments: dict[str, Any]) -> dict[str, Any]:
        scope, roles = arguments["scope"], arguments["roles"]
        async with (await self._open()).authorization(arguments["subscriptionId"]) as client:
            for object_id in arguments["objectIds"]:
                found = client.role_assignments.list_for_scope(scope, filter=f"assignedTo('{object_id}')")
                held = {str(item.role_definition_id).rpartition("/")[2] async for item in found}
                if lacking := [title for definition, title in roles.items() if definition not in held]:
                    raise PluginError(
                        f"{object_id} (access.deployers) has no role {' nor '.join(lacking)} on {scope}, and "
                        f"access.manage is false, so none was assigned. It could not issue certificates; nothing was "
                        f"issued. Have it assigned: az role assignment create --assignee-object-id {object_id} "
                        f'--role "{lacking[0]}" --scope {scope}'
                    )
        return {}

    async def _deleted_vault(self, arguments: dict[str, Any]) -> dict[str, Any]:
        async with (await self._open()).vaults(arguments["subscriptionId"]) as client:
            try:
                deleted = await client.vaults.get_deleted(arguments["name"], arguments["location"])
            except HttpResponseError as error:
                # Who may not look for deleted vaults is told by Azure that the name is taken, if it is.
                if error.status_code in (403, 404):
                    return {"exists": False}
                raise
        return {"exists": True, "vaultId": deleted.properties.vault_id if deleted.properties else None}

    # The life of a certificate

    async def check(self, request: CheckRequest) -> CheckResponse:
        inputs = plain(request.new_inputs)
        failures = [
            CheckFailure(property=property_path(problem["loc"]), reason=problem["msg"]) for problem in problems(inputs)
        ]
        return CheckResponse(inputs=property_values(inputs), failures=failures)

    async def diff(self, request: DiffRequest) -> DiffResponse:
        old, new = plain(request.old_state), plain(request.new_inputs)
        if new.get("vaultId") == old.get("vaultId") and new.get("vaultUri") == UNKNOWN:
            new["vaultUri"] = old["vaultUri"]  # a vault's address never changes, whatever else of it does
        changes = difference(inputs_of(old), new)
        # The vault's ID is no part of the place: Azure changes its spelling, and what is created in the same vault
        # under the same name is what would then be deleted.
        replaces = [path for path in changes if path in _PLACE]
        for path in replaces:
            changes[path] = PropertyDiff(PropertyDiffKind.UPDATE_REPLACE, input_diff=True)
        if not replaces:
            self._refuse_another_authority(old, changes)
            if not changes:
                changes = await self._due(request.urn, old, CertificateInputs.model_validate(new))
        return DiffResponse(
            changes=bool(changes),
            replaces=replaces,
            diffs=sorted({property_of(path) for path in changes}),
            detailed_diff=changes,
            stables=[*_PLACE],
        )

    def _refuse_another_authority(self, old: dict[str, Any], changes: dict[str, PropertyDiff]) -> None:
        if old["policy"]["role"] != Role.AUTHORITY:
            return
        if changed := [path for path in changes if f"{path}.".startswith(_IDENTITY_OF_AN_AUTHORITY)]:
            raise PluginError(
                f'{", ".join(changed)} of the authority "{old["name"]}" changed. A new key or name is another '
                f"authority: every certificate that this one issued would be refused at once. Nothing was changed. "
                f"Put the old value back and add a generation under certificateAuthorities; see "
                f"docs/runbooks/roll-over-an-authority.md."
            )

    async def _due(self, urn: str, old: dict[str, Any], wanted: CertificateInputs) -> dict[str, PropertyDiff]:
        """Return what must change although no input did."""
        certificate, now = load_certificate(old["certificatePem"]), clock.now()
        if wrong := deviations(certificate, wanted.policy, wanted.issuer_certificate):
            await self._engine.info(
                f"To be issued anew, because what is in the vault is not what is asked for: {'; '.join(wrong)}.", urn
            )
            return {"certificatePem": PropertyDiff(PropertyDiffKind.UPDATE, input_diff=False)}
        if wanted.issuer_certificate is None:
            await self._warn_of_the_end(urn, certificate, now)
            return {}
        try:
            due = renewal_due(certificate, wanted.policy, wanted.issuer_certificate, now)
        except ValueError as error:
            await self._engine.warning(f"Cannot be renewed: {error}. Roll the authority over.", urn)
            return {}
        if not due:
            return {}
        await self._engine.info(
            f"To be renewed: it ends on {certificate.not_valid_after_utc:%Y-%m-%d}, inside its renewal window of "
            f"{wanted.policy.renew_before_days} days.",
            urn,
        )
        return {"notAfter": PropertyDiff(PropertyDiffKind.UPDATE, input_diff=False)}

    async def _warn_of_the_end(self, urn: str, certificate: x509.Certificate, now: datetime) -> None:
        ends = certificate.not_valid_after_utc
        if ends - now <= _AUTHORITY_WARNING:
            await self._engine.warning(
                f"This authority {'ended' if ends <= now else 'ends'} on {ends:%Y-%m-%d}; what it issued ends with it. "
                f"It is not renewed by itself: raise its renewal, or roll it over; see "
                f"docs/runbooks/roll-over-an-authority.md.",
                urn,
            )

    async def create(self, request: CreateRequest) -> CreateResponse:
        inputs = plain(request.properties)
        if request.preview:
            return CreateResponse(resource_id="", properties=property_values(unissued(inputs)))
        wanted = CertificateInputs.model_validate(inputs)
        issuance = await self._issuance(request.urn, wanted, self._limit(request.timeout))
        state = await issuance.ensure()
        return CreateResponse(resource_id=wanted.certificate_id, properties=property_values({**inputs, **state}))

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        old, inputs = plain(request.olds), plain(request.news)
        if request.preview and inputs.get("vaultUri") == UNKNOWN:
            inputs["vaultUri"] = old["vaultUri"]
        changes = difference(inputs_of(old), inputs)
        if request.preview:
            computed = {name: old.get(name) for name in COMPUTED_NAMES}
            kept = changes and all(property_of(path) == "tags" for path in changes)
            return UpdateResponse(properties=property_values({**inputs, **computed} if kept else unissued(inputs)))
        issuance = await self._issuance(
            request.urn, CertificateInputs.model_validate(inputs), self._limit(request.timeout), by_state=True
        )
        state = await issuance.ensure(anew=bool(changes.keys() & {"policy.validityDays", "renewal"}))
        return UpdateResponse(properties=property_values({**inputs, **state}))

    async def read(self, request: ReadRequest) -> ReadResponse:
        old = plain(request.properties)
        if not old.get("policy"):
            return await self._import(request)
        wanted = CertificateInputs.model_validate(inputs_of(old))
        issuance = await self._issuance(request.urn, wanted, _AT_ONCE)
        try:
            held = await issuance.held()
        except PluginError as error:
            if not isinstance(error.__cause__, ServiceRequestError) or not await self._is_gone(wanted.vault_id):
                raise
            held = None
        if held is None:
            return ReadResponse(resource_id="")
        state = issuance.state_of(held) if held.cer else {}
        return ReadResponse(
            resource_id=request.resource_id,
            properties=property_values({**old, **state}),
            inputs=property_values(inputs_of(old)),
        )

    async def _import(self, request: ReadRequest) -> ReadResponse:
        try:
            vault_uri, name = parse_certificate_id(request.resource_id)
            held = await find(await self._patience(request.urn, vault_uri, _AT_ONCE), vault_uri, name)
            if held is None or not held.cer:
                raise ValueError("there is no such certificate")
            wanted = imported(request.resource_id, x509_of(held))
        except ValueError as error:
            raise PluginError(
                f"{request.resource_id} cannot be imported: {error}. The state was not changed. Give the certificate's "
                f"identifier, https://VAULT/certificates/NAME."
            ) from error
        state = (await self._issuance(request.urn, wanted, _AT_ONCE)).state_of(held)
        inputs = wanted.model_dump(mode="json", by_alias=True, exclude_none=True)
        return ReadResponse(
            resource_id=wanted.certificate_id,
            properties=property_values({**inputs, **state}),
            inputs=property_values(inputs),
        )

    async def delete(self, request: DeleteRequest) -> None:
        wanted = CertificateInputs.model_validate(inputs_of(plain(request.properties)))
        await (await self._issuance(request.urn, wanted, self._limit(request.timeout))).delete()

    # Help

    async def _is_gone(self, vault_id: str) -> bool:
        """Tell whether a vault that does not answer was deleted, as far as this identity may know."""
        vault = {part: str(value) for part, value in parse_resource_id(vault_id).items()}
        async with (await self._open()).vaults(vault["subscription"]) as client:
            try:
                await client.vaults.get(vault["resource_group"], vault["name"])
            except HttpResponseError as error:
                return error.status_code == 404
        return False

    def _limit(self, timeout_seconds: float) -> float:
        return timeout_seconds or self._permission_wait_seconds

    async def _open(self) -> Session:
        if self._session is None:
            try:
                self._session = await Session.open(self._identity)
            except CloudError as error:
                raise PluginError(str(error)) from error
        return self._session

    async def _patience(self, urn: str, vault_uri: str, limit_seconds: float) -> Patience:
        return Patience(
            session=await self._open(),
            engine=self._engine,
            urn=urn,
            limit_seconds=limit_seconds,
            pace=self._paces[vault_uri],
        )

    async def _issuance(
        self, urn: str, wanted: CertificateInputs, limit_seconds: float, *, by_state: bool = False
    ) -> Issuance:
        patience = await self._patience(urn, wanted.vault_uri, limit_seconds)
        return Issuance(wanted=wanted, owner=Owner(urn), patience=patience, now=clock.now(), by_state=by_state)


def _seconds(given: Any) -> float:
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise PluginError(
            f"temporalazure:permissionWaitSeconds is {given}, which is no number of seconds. Nothing was asked of "
            f"Azure. Set it to a number like 900, or leave it out."
        )
    return seconds
