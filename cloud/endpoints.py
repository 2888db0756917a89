"""The addresses of an Azure cloud: the named ones, or what a metadata host says of itself."""

from dataclasses import dataclass
from typing import Any

from azure.core import AsyncPipelineClient
from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest
from azure.identity import AzureAuthorityHosts


class CloudError(Exception):
    """The cloud or the sign-in is not usable as configured; the text says what to change."""


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Where a cloud's services are.

    `authority` is the sign-in service, without a trailing slash. `key_vault_suffix` is the domain below which vaults
    have their names. `microsoft_graph` is None where a cloud describes itself without it.
    """

    authority: str
    resource_manager: str
    resource_manager_audience: str
    key_vault_suffix: str
    microsoft_graph: str | None


_NAMED = {
    "public": Endpoints(
        authority=f"https://{AzureAuthorityHosts.AZURE_PUBLIC_CLOUD}",
        resource_manager="https://management.azure.com",
        resource_manager_audience="https://management.core.windows.net",
        key_vault_suffix="vault.azure.net",
        microsoft_graph="https://graph.microsoft.com",
    ),
    "usgovernment": Endpoints(
        authority=f"https://{AzureAuthorityHosts.AZURE_GOVERNMENT}",
        resource_manager="https://management.usgovcloudapi.net",
        resource_manager_audience="https://management.core.usgovcloudapi.net",
        key_vault_suffix="vault.usgovcloudapi.net",
        microsoft_graph="https://graph.microsoft.us",
    ),
    "china": Endpoints(
        authority=f"https://{AzureAuthorityHosts.AZURE_CHINA}",
        resource_manager="https://management.chinacloudapi.cn",
        resource_manager_audience="https://management.core.chinacloudapi.cn",
        key_vault_suffix="vault.azure.cn",
        microsoft_graph="https://microsoftgraph.chinacloudapi.cn",
    ),
}

_SYNONYMS = {
    "azurecloud": "public",
    "azurepubliccloud": "public",
    "usgov": "usgovernment",
    "azureusgovernment": "usgovernment",
    "azureusgovernmentcloud": "usgovernment",
    "azurechinacloud": "china",
}


async def discover(environment: str, metadata_host: str | None) -> Endpoints:
    """Return the endpoints of a named cloud, or of the one that `metadata_host` (host, or host:port) describes.

    Raises CloudError if there is no cloud of that name, or if the metadata host does not answer as Azure Resource
    Manager's metadata service does (`/metadata/endpoints`).
    """
    if metadata_host:
        return await _ask(metadata_host)
    name = environment.lower()
    try:
        return _NAMED[_SYNONYMS.get(name, name)]
    except KeyError:
        raise CloudError(
            f'ARM_ENVIRONMENT (or azure-native:environment) names the cloud "{environment}", which is not known. '
            f"Nothing can be reached. Use one of: {', '.join(_NAMED)}; or set ARM_METADATA_HOSTNAME."
        ) from None


async def _ask(host: str) -> Endpoints:
    url = f"https://{host}/metadata/endpoints?api-version=2022-09-01"
    try:
        async with AsyncPipelineClient[HttpRequest, Any](base_url=f"https://{host}") as client:
            response = await client.send_request(HttpRequest("GET", url))
            response.raise_for_status()
            found = response.json()
        return Endpoints(
            authority=found["authentication"]["loginEndpoint"].rstrip("/"),
            resource_manager=found["resourceManager"].rstrip("/"),
            resource_manager_audience=found["authentication"]["audiences"][0].rstrip("/"),
            key_vault_suffix=found["suffixes"]["keyVaultDns"].lstrip("."),
            microsoft_graph=found["microsoftGraphResourceId"].rstrip("/")
            if found.get("microsoftGraphResourceId")
            else None,
        )
    except (AttributeError, AzureError, LookupError, TypeError, ValueError) as error:
        raise CloudError(
            f"The metadata host {host} (ARM_METADATA_HOSTNAME) did not describe a cloud: {error}. Nothing can be "
            f"reached. Check the host name, and that SSL_CERT_FILE names the authority that it is certified by."
        ) from error
