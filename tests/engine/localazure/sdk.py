"""The official SDKs, pointed at a local Azure as any of its identities."""

from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar
from uuid import uuid4

from azure.identity import ClientSecretCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient

from localazure.client import LocalAzure

Closeable = TypeVar("Closeable", bound=AbstractContextManager[Any])


class Sdk:
    """Official clients for one local Azure, as any of its identities; all closed at the end."""

    def __init__(self, azure: LocalAzure, stack: ExitStack) -> None:
        self.azure = azure
        self.trust: dict[str, Any] = {"connection_verify": str(azure.ca_file)}
        self._stack = stack
        self._clients: dict[tuple[Any, str], Any] = {}

    def credential(self, identity: str = "deployer", **changes: Any) -> ClientSecretCredential:
        known = self.azure.identities[identity]
        arguments = {
            "tenant_id": known["tenantId"],
            "client_id": known["clientId"],
            "client_secret": known["clientSecret"],
            "authority": self.azure.origin,
            "disable_instance_discovery": True,
            **self.trust,
        }
        return self._stack.enter_context(ClientSecretCredential(**(arguments | changes)))

    def resources(self, identity: str = "deployer", **changes: Any) -> Any:
        """A ResourceManagementClient. Like its siblings untyped: every attribute of an SDK model may be None to a type
        checker.
        """
        return self._client(ResourceManagementClient, identity, changes)

    def vaults(self, identity: str = "deployer", **changes: Any) -> Any:
        """A KeyVaultManagementClient."""
        return self._client(KeyVaultManagementClient, identity, changes)

    def authorization(self, identity: str = "deployer", **changes: Any) -> Any:
        """An AuthorizationManagementClient."""
        return self._client(AuthorizationManagementClient, identity, changes)

    def closing(self, client: Closeable) -> Closeable:
        """The client, which is closed with these."""
        self._stack.enter_context(client)
        return client

    def create_group(self) -> str:
        """The name of a new resource group."""
        name = fresh_name()
        self.resources().resource_groups.create_or_update(name, {"location": "westeurope"})
        return name

    def create_vault(self, group: str, name: str | None = None, **properties: Any) -> Any:
        """A vault as ARM returns it. With RBAC and everything else at its default, unless `properties` (JSON names) say
        more.
        """
        parameters = self.vault_parameters(**properties)
        return self.vaults().vaults.begin_create_or_update(group, name or fresh_name(), parameters).result()

    def vault_parameters(self, **properties: Any) -> dict[str, Any]:
        defaults = {
            "tenantId": self.azure.tenant_id,
            "sku": {"family": "A", "name": "standard"},
            "enableRbacAuthorization": True,
        }
        return {"location": "westeurope", "properties": defaults | properties}

    def assign(self, identity: str, role_definition_id: str, scope: str) -> Any:
        """Assign the built-in role (bare GUID) to the identity at the scope, as the deployer."""
        definitions = f"/subscriptions/{self.azure.subscription_id}/providers/Microsoft.Authorization/roleDefinitions"
        principal = self.azure.identities[identity]
        return self.authorization().role_assignments.create(
            scope,
            str(uuid4()),
            {
                "properties": {
                    "roleDefinitionId": f"{definitions}/{role_definition_id}",
                    "principalId": principal["objectId"],
                    "principalType": principal["kind"],
                }
            },
        )

    def _client(self, client: Any, identity: str, changes: dict[str, Any]) -> Any:
        if not changes and (client, identity) in self._clients:
            return self._clients[client, identity]
        arguments = {
            "credential": self.credential(identity),
            "subscription_id": self.azure.subscription_id,
            "base_url": self.azure.origin,
            "credential_scopes": [f"{self.azure.origin}//.default"],
            "polling_interval": 1,
            "retry_total": 0,
            **self.trust,
        }
        created = self._stack.enter_context(client(**(arguments | changes)))
        if not changes:
            self._clients[client, identity] = created
        return created


def fresh_name() -> str:
    """A name that no other test has, fit for a vault."""
    return f"t{uuid4().hex[:20]}"
