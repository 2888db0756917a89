"""Certificates: creation by the vault itself or by a caller's authority, merge, import, policies.

What is recorded of Azure and kept here: a creation takes its version at once, disabled and without key, secret or
certificate until it is issued; until then the bare name goes on meaning the version before it, if there is one, while
the policy is already the new one; a deleted request leaves its version behind.
"""

import asyncio
import base64
import hashlib
import uuid
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pydantic import Base64Bytes, Field

from localazure.context import Context, json_object
from localazure.errors import AzureError
from localazure.keyvault import assumptions, issuance, material, policy
from localazure.keyvault.collection import Answer, Attributes, Collection, present
from localazure.keyvault.keys import new_material
from localazure.keyvault.models import (
    Certificate,
    CertificateVersion,
    Issued,
    Key,
    KeyMaterial,
    Operation,
    Secret,
    Version,
)
from localazure.keyvault.policy import Part, Policy
from localazure.keyvault.shelf import Shelf
from localazure.vaults import Vault

_RETRY_AFTER = {"Retry-After": "10"}
_IN_PROGRESS = {
    "Unknown": "Pending certificate created. Please Perform Merge to complete the request.",
    "Self": "Pending certificate created. Certificate request is in progress. This may take some time based on the "
    "issuer provider. Please check again later.",
}


class _Create(Part):
    policy: dict[str, Any] | None = None
    attributes: Attributes = Field(default_factory=Attributes)
    tags: dict[str, str] | None = None
    preserve_order: bool = Field(default=False, alias="preserveCertOrder")


class _Import(_Create):
    value: str
    password: str | None = Field(default=None, alias="pwd")


class _Merge(Part):
    x5c: list[Base64Bytes] = Field(min_length=1)
    attributes: Attributes = Field(default_factory=Attributes)
    tags: dict[str, str] | None = None


class _Update(Part):
    attributes: Attributes | None = None
    tags: dict[str, str] | None = None


class _Cancel(Part):
    cancellation_requested: bool


class Certificates(Collection[Certificate]):
    noun = "certificate"
    reads = "certificates/read"
    model = Certificate

    def __init__(self, vault: Vault, context: Context) -> None:
        super().__init__(vault, context)
        self._keys = Shelf(context, vault, "keys", Key)
        self._secrets = Shelf(context, vault, "secrets", Secret)

    def own_routes(self) -> list[web.RouteDef]:
        named = "/certificates/{name}"
        version = f"{named}/{{version:[^/]*}}"
        return [
            web.post(f"{named}/create", self.create),
            web.post(f"{named}/import", self.import_),
            web.get(f"{named}/policy", self.get_policy),
            web.patch(f"{named}/policy", self.update_policy),
            web.get(f"{named}/pending", self.get_pending),
            web.patch(f"{named}/pending", self.update_pending),
            web.delete(f"{named}/pending", self.delete_pending),
            web.post(f"{named}/pending/merge", self.merge),
            web.get(named, self.get_version),
            web.get(version, self.get_version),
            web.patch(named, self.update),
            web.patch(version, self.update),
        ]

    # Answers ---------------------------------------------------------------------------------------------------------

    def of_certificate(self, certificate: Certificate) -> Certificate:
        return certificate

    def described(self, named: Certificate) -> Answer:
        return self._bundle(named, named.current) | self._policy_and_pending(named)

    def item(self, named: Certificate, version: Version) -> Answer:
        assert isinstance(version, CertificateVersion)
        return present(
            x5t=_thumbprint(version),
            attributes=self.attributes(version, enabled=version.enabled and version.issued is not None),
            tags=version.tags,
            subject="",
        )

    def listed_versions(self, named: Certificate) -> Iterable[Version]:
        return assumptions.listed_versions(named)

    def is_listed(self, named: Certificate, request: web.Request) -> bool:
        return bool(named.issued_versions) or request.query.get("includePending", "").lower() == "true"

    def require_free(self, name: str, operation: str) -> None:
        if self.shelf.find_deleted(name) is not None:
            raise self.deleted_but_recoverable(name)
        assumptions.refuse_taken_name(
            name, *(find(name) for shelf in (self._keys, self._secrets) for find in (shelf.find, shelf.find_deleted))
        )

    def _bundle(self, certificate: Certificate, version: CertificateVersion) -> Answer:
        name = certificate.name
        issued = version.issued
        return present(
            id=self.url("certificates", name, version.version),
            kid=self.url("keys", name, version.version) if issued else None,
            sid=self.url("secrets", name, version.version) if issued else None,
            x5t=_thumbprint(version),
            cer=issued.cer if issued else None,
            attributes=self.attributes(version, enabled=version.enabled and issued is not None),
            tags=version.tags,
            preserveCertOrder=version.preserve_order or None,
        )

    def _policy_and_pending(self, certificate: Certificate) -> Answer:
        pending = {"id": self.url("certificates", certificate.name, "pending")}
        return present(policy=self._policy(certificate), pending=pending if certificate.operation else None)

    def _policy(self, certificate: Certificate) -> Answer:
        answer = {"id": self.url("certificates", certificate.name, "policy"), **certificate.policy.answer()}
        answer["attributes"] |= {"created": certificate.policy_created, "updated": certificate.policy_updated}
        return answer

    def _operation(self, name: str, operation: Operation) -> Answer:
        completed = operation.status == "completed"
        in_progress = operation.status == "inProgress"
        return present(
            id=self.url("certificates", name, "pending"),
            issuer={"name": operation.issuer},
            csr=operation.csr,
            cancellation_requested=operation.cancellation_requested,
            status=operation.status,
            status_details=_IN_PROGRESS[operation.issuer] if in_progress else None,
            target=self.url("certificates", name) if completed else None,
            request_id=operation.request_id,
        )

    # Handlers --------------------------------------------------------------------------------------------------------

    async def get_version(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "certificates/read")
        certificate, version = self._get_version(name, request)
        if not request.match_info.get("version"):
            return web.json_response(self.described(certificate))
        return web.json_response(self._bundle(certificate, version))

    async def update(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "certificates/update/action")
        changes = await self.body(request, _Update)
        certificate, version = self._get_version(name, request)
        if changes.attributes is None and changes.tags is None:
            raise AzureError(400, "BadParameter", "Nothing to update.")
        if changes.attributes is not None and changes.attributes.enabled is not None:
            version.enabled = changes.attributes.enabled
        if changes.tags is not None:
            version.tags = changes.tags
        version.updated = self._now()
        self.shelf.put(certificate)
        return web.json_response(self._bundle(certificate, version))

    async def get_policy(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "certificates/read")
        return web.json_response(self._policy(self.get(name)))

    async def update_policy(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "certificates/update/action")
        changes = await json_object(request)
        certificate = self.get(name)
        certificate.policy = certificate.policy.changed(changes)
        certificate.policy_updated = self._now()
        self.shelf.put(certificate)
        return web.json_response(self._policy(certificate))

    async def create(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "certificates/create/action")
        wanted = await self.body(request, _Create)
        existing = self._ready_for_new_version(name)
        new_policy = self._policy_for(existing, wanted)
        key_material = assumptions.reused_key(existing, new_policy) or await new_material(
            self.vault, new_policy.key_props, _operations(new_policy)
        )
        csr = _signing_request(new_policy, key_material)

        existing = self._ready_for_new_version(name)
        not_before, not_after = issuance.validity(new_policy, self._now())
        version = self._version(wanted, new_policy, key_material)
        version.nbf, version.exp = int(not_before.timestamp()), int(not_after.timestamp())
        operation = Operation(
            request_id=uuid.uuid4().hex, version=version.version, issuer=new_policy.issuer.name, csr=csr
        )
        certificate = self._with_version(name, existing, version, new_policy, operation)
        self.shelf.put(certificate)
        location = self.url("certificates", name, "pending")
        query = f"?api-version={request.query['api-version']}&request_id={operation.request_id}"
        return web.json_response(
            self._operation(name, operation), status=202, headers={"Location": location + query, **_RETRY_AFTER}
        )

    async def import_(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "certificates/import/action")
        given = await self.body(request, _Import)
        try:
            key, chain, content_type = await asyncio.to_thread(issuance.parse_secret_value, given.value, given.password)
            curve, bits = material.curve_of(key), key.key_size
        except (ValueError, TypeError):
            raise AzureError(
                400,
                "BadParameter",
                "The specified PKCS#12 or PEM X.509 certificate content can not be read. Please check if certificate "
                "is in valid PKCS#12 or PEM format, holds the private key, and has the given password.",
            ) from None
        leaf = _leaf(chain, key)
        existing = self._ready_for_new_version(name)
        described = {
            "x509_props": issuance.described(leaf),
            "secret_props": {"contentType": content_type},
            **{part: value for part, value in (given.policy or {}).items() if value is not None},
        }
        is_key = {"kty": "EC" if curve else "RSA", "crv": curve, "key_size": bits}
        new_policy = policy.parsed(described | {"key_props": {**(described.get("key_props") or {}), **is_key}})
        key_material = KeyMaterial(pkcs8=material.dump(key), operations=_operations(new_policy))
        version = self._version(given, new_policy, key_material)
        self._issue(version, leaf, chain, new_policy)
        certificate = self._with_version(name, existing, version, new_policy, None)
        self.shelf.put(certificate)
        return web.json_response(self.described(certificate))

    async def get_pending(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "certificates/read")
        certificate, operation = self._get_operation(name, request)
        if operation.status == "inProgress":
            self._advance(certificate, operation)
            self.shelf.put(certificate)
        headers = _RETRY_AFTER if operation.status == "inProgress" else {}
        return web.json_response(self._operation(name, operation), headers=headers)

    async def update_pending(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "certificates/update/action")
        wanted = await self.body(request, _Cancel)
        certificate, operation = self._get_operation(name, request)
        if operation.status != "inProgress":
            raise AzureError(
                400, "BadParameter", f"The pending certificate is {operation.status}, and can not be cancelled."
            )
        operation.cancellation_requested = wanted.cancellation_requested
        self.shelf.put(certificate)
        return web.json_response(self._operation(name, operation))

    async def delete_pending(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "certificates/update/action")
        certificate, operation = self._get_operation(name, request)
        certificate.operation = None
        self.shelf.put(certificate)
        return web.json_response(self._operation(name, operation))

    async def merge(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "certificates/create/action")
        given = await self.body(request, _Merge)
        certificate, operation = self._get_operation(name, request)
        assumptions.refuse_merge(name, operation)
        version = certificate.version(operation.version)
        assert version is not None
        try:
            chain = [x509.load_der_x509_certificate(der) for der in given.x5c]
        except ValueError:
            raise AzureError(400, "BadParameter", "Property x5c has invalid value: not a DER certificate.") from None
        leaf = _leaf(chain, material.load(version.material.pkcs8))
        if given.attributes.enabled is not None:
            version.enabled = given.attributes.enabled
        if given.tags is not None:
            version.tags = given.tags
        self._issue(version, leaf, chain, certificate.policy)
        operation.status = "completed"
        self.shelf.put(certificate)
        location = f"{self.url('certificates', name)}?api-version={request.query['api-version']}"
        return web.json_response(self.described(certificate), status=201, headers={"Location": location})

    # Versions --------------------------------------------------------------------------------------------------------

    def _now(self) -> int:
        return int(self.context.clock())

    def _get_version(self, name: str, request: web.Request) -> tuple[Certificate, CertificateVersion]:
        wanted = request.match_info.get("version", "")
        certificate = self.find(name)
        version = certificate.version(wanted) if certificate else None
        if certificate is None or version is None:
            raise self.not_found(name, wanted)
        return certificate, version

    def _get_operation(self, name: str, request: web.Request) -> tuple[Certificate, Operation]:
        certificate = self.find(name)
        operation = certificate.operation if certificate else None
        if certificate is None or operation is None:
            raise assumptions.pending_not_found(name)
        if request.query.get("request_id", operation.request_id) != operation.request_id:
            raise assumptions.pending_not_found(name)
        return certificate, operation

    def _ready_for_new_version(self, name: str) -> Certificate | None:
        self.require_free(name, "create")
        certificate = self.find(name)
        if certificate is not None and certificate.operation and certificate.operation.status == "inProgress":
            raise AzureError(
                409,
                "Conflict",
                "A new key vault certificate can not be created or imported while a pending key vault certificate's "
                "status is inProgress.",
            )
        return certificate

    def _policy_for(self, existing: Certificate | None, wanted: _Create) -> Policy:
        if not wanted.policy and existing is not None:
            return existing.policy
        return policy.parsed(wanted.policy or {})

    def _version(self, wanted: _Create, new_policy: Policy, key_material: KeyMaterial) -> CertificateVersion:
        now = self._now()
        return CertificateVersion(
            version=uuid.uuid4().hex,
            created=now,
            updated=now,
            enabled=wanted.attributes.enabled is not False,
            tags=wanted.tags,
            preserve_order=wanted.preserve_order,
            material=key_material.model_copy(update={"operations": _operations(new_policy)}),
            key_props=new_policy.key_props,
        )

    def _with_version(
        self,
        name: str,
        existing: Certificate | None,
        version: CertificateVersion,
        new_policy: Policy,
        operation: Operation | None,
    ) -> Certificate:
        now = self._now()
        return Certificate(
            name=existing.name if existing else name,
            versions=[*(existing.versions if existing else []), version],
            policy=new_policy,
            policy_created=existing.policy_created if existing else now,
            policy_updated=now,
            operation=operation,
        )

    def _advance(self, certificate: Certificate, operation: Operation) -> None:
        """One poll's worth of the issuer's work."""
        operation.polls += 1
        if assumptions.cancelled(operation):
            operation.status = "cancelled"
        elif operation.issuer == "Self" and operation.polls > self.context.dials.certificate_pending_polls:
            version = certificate.version(operation.version)
            assert version is not None
            leaf = issuance.self_signed(certificate.policy, material.load(version.material.pkcs8), self.context.clock())
            self._issue(version, leaf, [leaf], certificate.policy)
            operation.status = "completed"

    def _issue(
        self, version: CertificateVersion, leaf: x509.Certificate, given: list[x509.Certificate], its_policy: Policy
    ) -> None:
        """The version gets its certificate; from here on it has a key and a secret."""
        chain = given if version.preserve_order else [leaf, *(other for other in given if other != leaf)]
        key = material.load(version.material.pkcs8) if version.key_props.exportable else None
        content_type = its_policy.secret_props.content_type
        version.issued = Issued(
            cer=base64.b64encode(leaf.public_bytes(serialization.Encoding.DER)).decode(),
            secret=issuance.secret_value(leaf, chain, key, content_type),
            content_type=content_type,
        )
        version.nbf = int(leaf.not_valid_before_utc.timestamp())
        version.exp = int(leaf.not_valid_after_utc.timestamp())
        version.created = version.updated = self._now()


def _operations(new_policy: Policy) -> list[str]:
    return assumptions.key_operations(new_policy.key_props, new_policy.x509_props.key_usage)


def _signing_request(new_policy: Policy, key_material: KeyMaterial) -> str:
    try:
        return issuance.signing_request(new_policy, material.load(key_material.pkcs8))
    except ValueError as error:
        raise AzureError(400, "BadParameter", f"Property policy.x509_props has invalid value. {error}") from None


def _leaf(chain: list[x509.Certificate], key: material.PrivateKey) -> x509.Certificate:
    leaf = issuance.leaf_of(chain, key)
    if leaf is None:
        raise AzureError(
            400,
            "BadParameter",
            "The public key of the end-entity certificate in the specified X.509 certificate content does not match "
            "the public part of the specified private key. Please check if certificate is valid.",
        )
    return leaf


def _thumbprint(version: CertificateVersion) -> str | None:
    if version.issued is None:
        return None
    return material.base64url(hashlib.sha1(base64.b64decode(version.issued.cer), usedforsecurity=False).digest())
