"""Secrets: those of certificates, which carry the certificate and, if it is exportable, its key; and plain ones."""

import uuid
from typing import Annotated

from aiohttp import web
from pydantic import AfterValidator, Field

from localazure.errors import AzureError
from localazure.keyvault import assumptions
from localazure.keyvault.collection import Answer, Attributes, Collection, present
from localazure.keyvault.models import Certificate, Secret, SecretVersion, Version
from localazure.keyvault.policy import Part

_MOST_BYTES = 25 * 1024


def _small_enough(value: str) -> str:
    if len(value.encode()) > _MOST_BYTES:
        raise ValueError(f"a secret has at most {_MOST_BYTES} bytes")
    return value


class _Set(Part):
    value: Annotated[str, AfterValidator(_small_enough)]
    content_type: str | None = Field(default=None, alias="contentType")
    attributes: Attributes = Field(default_factory=Attributes)
    tags: dict[str, str] | None = None


class _Update(Part):
    content_type: str | None = Field(default=None, alias="contentType")
    attributes: Attributes = Field(default_factory=Attributes)
    tags: dict[str, str] | None = None


class Secrets(Collection[Secret]):
    noun = "secret"
    reads = "secrets/readMetadata/action"
    model = Secret

    def own_routes(self) -> list[web.RouteDef]:
        named = "/secrets/{name}"
        version = f"{named}/{{version:[^/]*}}"
        return [
            web.put(named, self.set),
            web.get(named, self.get_version),
            web.get(version, self.get_version),
            web.patch(named, self.update),
            web.patch(version, self.update),
        ]

    def of_certificate(self, certificate: Certificate) -> Secret | None:
        return certificate.as_secret()

    def described(self, named: Secret) -> Answer:
        return self._metadata(named, named.current)

    def item(self, named: Secret, version: Version) -> Answer:
        assert isinstance(version, SecretVersion)
        return present(
            contentType=version.content_type,
            attributes=self.attributes(version),
            tags=version.tags,
            managed=named.managed or None,
        )

    def _metadata(self, secret: Secret, version: SecretVersion) -> Answer:
        return present(
            id=self.url("secrets", secret.name, version.version),
            **self.item(secret, version),
            kid=self.url("keys", secret.name, version.version) if secret.managed else None,
        )

    async def get_version(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "secrets/getSecret/action")
        if "outContentType" in request.query:
            raise AzureError(501, "NotImplemented", "The local Azure gives a secret in its own content type only.")
        secret, version = self._get_version(name, request)
        if not version.enabled:
            raise AzureError(
                403, "Forbidden", "Operation get is not allowed on a disabled secret.", inner_code="SecretDisabled"
            )
        return web.json_response({"value": version.value} | self._metadata(secret, version))

    async def set(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "secrets/setSecret/action")
        wanted = await self.body(request, _Set)
        self.require_free(name, "set")
        now = int(self.context.clock())
        version = SecretVersion(
            version=uuid.uuid4().hex,
            created=now,
            updated=now,
            enabled=wanted.attributes.enabled is not False,
            nbf=wanted.attributes.nbf,
            exp=wanted.attributes.exp,
            tags=wanted.tags,
            value=wanted.value,
            content_type=wanted.content_type,
        )
        secret = self.shelf.find(name) or Secret(name=name, versions=[])
        secret.versions.append(version)
        self.shelf.put(secret)
        return web.json_response({"value": version.value} | self._metadata(secret, version))

    async def update(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "secrets/update/action")
        changes = await self.body(request, _Update)
        secret, version = self._get_version(name, request)
        assumptions.refuse_managed(self.noun, secret.managed, "update")
        if changes.content_type is not None:
            version.content_type = changes.content_type
        changes.attributes.apply_to(version)
        if changes.tags is not None:
            version.tags = changes.tags
        version.updated = int(self.context.clock())
        self.shelf.put(secret)
        return web.json_response(self._metadata(secret, version))

    def _get_version(self, name: str, request: web.Request) -> tuple[Secret, SecretVersion]:
        wanted = request.match_info.get("version", "")
        secret = self.find(name)
        version = secret.version(wanted) if secret else None
        if secret is None or version is None:
            raise self.not_found(name, wanted)
        return secret, version
