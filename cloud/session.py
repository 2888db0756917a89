"""A signed-in session with one cloud: the official clients, and a way to start over with a fresh token."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar, cast
from urllib.parse import urlsplit

from azure.core import AsyncPipelineClient
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.pipeline.policies import AsyncBearerTokenCredentialPolicy
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.keyvault.certificates.aio import CertificateClient
from azure.keyvault.keys.crypto.aio import CryptographyClient
from azure.keyvault.secrets.aio import SecretClient
from azure.mgmt.authorization.aio import AuthorizationManagementClient
from azure.mgmt.keyvault.aio import KeyVaultManagementClient
from azure.mgmt.resource.resources.aio import ResourceManagementClient

from cloud.endpoints import CloudError, Endpoints, discover
from cloud.identity import Identity, Principal, claims_of, principal_of

Directory = AsyncPipelineClient[HttpRequest, AsyncHttpResponse]

KEY_VAULT_API_VERSION = "7.6"

_Client = TypeVar("_Client", CertificateClient, SecretClient, CryptographyClient)


class Session:
    """Makes the Key Vault clients of one identity, one per vault or key, and closes them.

    Role assignments reach a token only when it is taken after them: `renew` drops every client and credential, so that
    the next call signs in anew.
    """

    def __init__(self, identity: Identity, endpoints: Endpoints) -> None:
        self._identity = identity
        self._endpoints = endpoints
        self._credential: AsyncTokenCredential | None = None
        self._clients: dict[tuple[type[Any], str], Any] = {}
        self._retired: list[Any] = []

    @classmethod
    async def open(cls, identity: Identity) -> Self:
        """Return a session in the cloud that `identity` names. Raises CloudError if there is none."""
        return cls(identity, await discover(identity.environment, identity.metadata_host))

    def certificates(self, vault_uri: str) -> CertificateClient:
        """Return the client for a vault's certificates."""
        return self._client(CertificateClient, vault_uri)

    def secrets(self, vault_uri: str) -> SecretClient:
        """Return the client for a vault's secrets, which hold the private keys of exportable certificates."""
        return self._client(SecretClient, vault_uri)

    def cryptography(self, key_id: str) -> CryptographyClient:
        """Return the client that signs with one version of a key, inside its vault."""
        return self._client(CryptographyClient, key_id)

    def vaults(self, subscription_id: str) -> KeyVaultManagementClient:
        """Return the client for a subscription's vaults, deleted ones included. The caller closes it."""
        return KeyVaultManagementClient(
            self.credential,
            subscription_id,
            base_url=self._endpoints.resource_manager,
            credential_scopes=[f"{self._endpoints.resource_manager_audience}/.default"],
        )

    def authorization(self, subscription_id: str) -> AuthorizationManagementClient:
        """Return the client for a subscription's role assignments. The caller closes it."""
        return AuthorizationManagementClient(
            self.credential,
            subscription_id,
            base_url=self._endpoints.resource_manager,
            credential_scopes=[f"{self._endpoints.resource_manager_audience}/.default"],
        )

    def resources(self, subscription_id: str) -> ResourceManagementClient:
        """Return the client for a subscription's resources of any kind. The caller closes it."""
        return ResourceManagementClient(
            self.credential,
            subscription_id,
            base_url=self._endpoints.resource_manager,
            credential_scopes=[f"{self._endpoints.resource_manager_audience}/.default"],
        )

    async def subscription_id(self) -> str:
        """Return the subscription that is configured, or else the one that the Azure CLI is set to.

        Raises CloudError if there is neither.
        """
        if told := self._identity.subscription_id:
            return told
        asking = ("az", "account", "show", "--query", "id", "--output", "tsv")
        try:
            process = await asyncio.create_subprocess_exec(*asking, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except FileNotFoundError:
            raise CloudError(
                "No subscription is named. Nothing was asked. Set ARM_SUBSCRIPTION_ID, or sign in with `az login`."
            ) from None
        answer, complaint = await process.communicate()
        if process.returncode:
            raise CloudError(f"The Azure CLI named no subscription: {complaint.decode().strip()} Run `az login`.")
        return answer.decode().strip()

    @property
    def authority(self) -> str:
        """The address of the sign-in service, without a trailing slash."""
        return self._endpoints.authority

    async def principal(self) -> Principal:
        """Return who this session is signed in as."""
        token = await self.credential.get_token(f"{self._endpoints.resource_manager_audience}/.default")
        return principal_of(claims_of(token.token))

    async def directory_claims(self, tenant_id: str | None = None) -> dict[str, Any]:
        """Return what a new token for Microsoft Graph says of who is signed in, to another tenant if one is named.

        Raises CloudError if this cloud has no Microsoft Graph, or if the way to sign in lacks something.
        """
        async with self._directory_identity(tenant_id).credential(self._endpoints) as credential:
            token = await credential.get_token(f"{self._microsoft_graph}/.default")
        return claims_of(token.token)

    @asynccontextmanager
    async def directory(self, tenant_id: str | None = None) -> AsyncIterator[Directory]:
        """Give the client for Microsoft Graph (v1.0), signed in to another tenant if one is named.

        Raises CloudError as `directory_claims` does.
        """
        async with self._directory_identity(tenant_id).credential(self._endpoints) as credential:
            signing_in = AsyncBearerTokenCredentialPolicy(credential, f"{self._microsoft_graph}/.default")
            address = f"{self._microsoft_graph}/v1.0"
            async with Directory(base_url=address, per_retry_policies=[signing_in]) as client:
                yield client

    @property
    def _microsoft_graph(self) -> str:
        if self._endpoints.microsoft_graph is None:
            raise CloudError(
                "This cloud does not say where its Microsoft Graph is (microsoftGraphResourceId of its metadata). The "
                "directory was not asked. Sign-on needs a cloud that has one."
            )
        return self._endpoints.microsoft_graph

    def _directory_identity(self, tenant_id: str | None) -> Identity:
        return self._identity.in_tenant(tenant_id) if tenant_id else self._identity

    @property
    def credential(self) -> AsyncTokenCredential:
        """The credential in use. Raises CloudError if the way to sign in lacks something."""
        if self._credential is None:
            self._credential = self._identity.credential(self._endpoints)
        return self._credential

    def renew(self) -> None:
        """Sign in anew at the next call, with a token that knows of the newest role assignments.

        Calls that are under way go on with what they have: it is closed with the session.
        """
        self._retired += self._clients.values()
        self._clients = {}
        if self._credential is not None:
            self._retired.append(self._credential)
            self._credential = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.renew()
        while self._retired:
            await self._retired.pop().close()

    def _client(self, kind: type[_Client], address: str) -> _Client:
        key = (kind, address)
        if key not in self._clients:
            # Key Vault names the resource that a token must be for; outside the cloud's own domain, as with a local
            # address, that name cannot match the host.
            own_domain = (urlsplit(address).hostname or "").endswith(f".{self._endpoints.key_vault_suffix}")
            make: Any = kind
            self._clients[key] = make(
                address, self.credential, api_version=KEY_VAULT_API_VERSION, verify_challenge_resource=own_domain
            )
        return cast(_Client, self._clients[key])
