"""The engine's protocol: configuration and schema here; what is asked of a resource or a function goes to its own.

Each resource is a module of its own, known by its type token, and so are the questions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pulumi.provider.experimental.provider import (
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
    Provider,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
    UpdateResponse,
)

from plugin import Engine, PluginError, plain, property_values
from provider.authority_in_state import AUTHORITY_IN_STATE, AuthorityInStateResource
from provider.certificate import CERTIFICATE, CertificateResource
from provider.connection import Connection
from provider.keeping import SECRET
from provider.namespace import NAMESPACE_ACCESS, NamespaceResource
from provider.questions import Questions
from provider.resource import Resource, type_of
from provider.secret import SecretResource
from provider.standing_in_state import STANDING, STEP, StandingResource, StepResource

_SCHEMA = Path(__file__).with_name("schema.json")


class KeyVaultProvider(Provider):
    """Certificates and secrets in Key Vault, access to Temporal Cloud, and what the program asks beforehand."""

    def __init__(self, engine: Engine) -> None:
        self.connection = Connection(engine)
        self._questions = Questions(self.connection)
        self._resources: Mapping[str, Resource] = {
            CERTIFICATE: CertificateResource(self.connection),
            AUTHORITY_IN_STATE: AuthorityInStateResource(engine),
            STEP: StepResource(engine),
            STANDING: StandingResource(engine),
            SECRET: SecretResource(self.connection),
            NAMESPACE_ACCESS: NamespaceResource(self.connection),
        }

    async def get_schema(self, request: GetSchemaRequest) -> GetSchemaResponse:
        return GetSchemaResponse(schema=_SCHEMA.read_text(encoding="utf-8"))

    async def configure(self, request: ConfigureRequest) -> ConfigureResponse:
        self.connection.configure(plain(request.args))
        return ConfigureResponse(
            accept_secrets=True, supports_preview=True, accept_resources=False, accept_outputs=False
        )

    async def invoke(self, request: InvokeRequest) -> InvokeResponse:
        return InvokeResponse(return_value=property_values(await self._questions.ask(request.tok, plain(request.args))))

    async def check(self, request: CheckRequest) -> CheckResponse:
        return await self._resource(request.urn).check(request)

    async def diff(self, request: DiffRequest) -> DiffResponse:
        return await self._resource(request.urn).diff(request)

    async def create(self, request: CreateRequest) -> CreateResponse:
        return await self._resource(request.urn).create(request)

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        return await self._resource(request.urn).update(request)

    async def read(self, request: ReadRequest) -> ReadResponse:
        return await self._resource(request.urn).read(request)

    async def delete(self, request: DeleteRequest) -> None:
        await self._resource(request.urn).delete(request)

    def _resource(self, urn: str) -> Resource:
        token = type_of(urn)
        if token not in self._resources:
            raise PluginError(f"temporalazure has no resource {token}. Is the plugin older than the program?")
        return self._resources[token]
