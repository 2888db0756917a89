"""Microsoft Graph through its official SDK, as any identity of a local Azure; and over plain HTTP, for what the SDK
hides.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from azure.identity.aio import ClientSecretCredential
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph.generated.models.app_role import AppRole
from msgraph.generated.models.app_role_assignment import AppRoleAssignment
from msgraph.generated.models.application import Application
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.service_principal import ServicePrincipal
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient
from msgraph_core import GraphClientFactory  # type: ignore[import-untyped]

from localazure.client import LocalAzure
from tests.engine.localazure.sdk import fresh_name

OF_THE_SDK = [
    pytest.mark.filterwarnings("ignore:This class is deprecated:DeprecationWarning:msgraph"),
    pytest.mark.filterwarnings("ignore:GetQueryParameters is deprecated:DeprecationWarning:kiota_abstractions"),
]
"""Marks for the tests that use the SDK, whose modules warn of themselves when they are imported."""


class GraphClients:
    """Clients for one local Azure; all closed at the end."""

    def __init__(self, azure: LocalAzure, stack: AsyncExitStack) -> None:
        self.azure = azure
        self.base = f"{azure.origin}/graph/v1.0"
        self._stack = stack
        self._clients: dict[str, Any] = {}
        self._credentials: dict[str, ClientSecretCredential] = {}

    async def sdk(self, identity: str = "deployer") -> Any:
        """A GraphServiceClient. Untyped: every attribute of an SDK model may be None to a type checker."""
        if identity not in self._clients:
            credential = await self._credential(identity)
            provider = AzureIdentityAuthenticationProvider(credential, scopes=[f"{self.azure.origin}/graph/.default"])
            transport = httpx.AsyncHTTPTransport(verify=self.azure.tls_context(), trust_env=False)
            http = httpx.AsyncClient(transport=transport)
            # The SDK wraps the transport in one that does not close it.
            self._stack.push_async_callback(transport.aclose)
            adapter = GraphRequestAdapter(provider, GraphClientFactory.create_with_default_middleware(client=http))
            adapter.base_url = self.base
            self._clients[identity] = GraphServiceClient(request_adapter=adapter)
        return self._clients[identity]

    async def token(self, identity: str = "deployer") -> str:
        credential = await self._credential(identity)
        return (await credential.get_token(f"{self.azure.origin}/graph/.default")).token

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        identity: str = "deployer",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer over plain HTTP; `path` is below the version."""
        signed_in = {"Authorization": f"Bearer {await self.token(identity)}", **(headers or {})}
        async with httpx.AsyncClient(verify=self.azure.tls_context(), trust_env=False) as http:
            return await http.request(method, f"{self.base}{path}", json=body, headers=signed_in)

    async def application(self, identity: str = "deployer", **properties: Any) -> Any:
        """A new application."""
        wanted = Application(display_name=fresh_name())
        for name, value in properties.items():
            setattr(wanted, name, value)
        return await (await self.sdk(identity)).applications.post(wanted)

    async def service_principal(self, application: Any, identity: str = "deployer", **properties: Any) -> Any:
        """The new service principal of the application."""
        wanted = ServicePrincipal(app_id=application.app_id, **properties)
        return await (await self.sdk(identity)).service_principals.post(wanted)

    async def _credential(self, identity: str) -> ClientSecretCredential:
        if identity not in self._credentials:
            known = self.azure.identities[identity]
            credential = ClientSecretCredential(
                known["tenantId"],
                known["clientId"],
                known["clientSecret"],
                authority=self.azure.origin,
                disable_instance_discovery=True,
                connection_verify=str(self.azure.ca_file),
            )
            self._credentials[identity] = await self._stack.enter_async_context(credential)
        return self._credentials[identity]


@dataclass(frozen=True)
class Refusal:
    status: int
    code: str
    message: str


async def refusal(call: Any) -> Refusal:
    """How Graph refuses the call, which it must."""
    with pytest.raises(ODataError) as refused:
        await call
    error = refused.value
    assert error.error is not None
    return Refusal(error.response_status_code or 0, error.error.code or "", error.error.message or "")


def role(value: str, *, members: tuple[str, ...] = ("User", "Application"), enabled: bool = True) -> AppRole:
    return AppRole(
        id=uuid4(),
        value=value,
        display_name=value,
        description=value,
        allowed_member_types=list(members),
        is_enabled=enabled,
    )


def assignment(resource: Any, principal_id: str, role_id: Any) -> AppRoleAssignment:
    return AppRoleAssignment(resource_id=resource.id, principal_id=UUID(principal_id), app_role_id=role_id)
