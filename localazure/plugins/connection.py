"""The connection of a stand-in plugin to the local Azure: its endpoints, a credential and clients, on loopback only.

Configured as the official plugins are: from the stack's configuration, else from `ARM_*` variables. Every address is
checked, the configured one, those that the metadata endpoint names, and each request's own, so that neither a wrong
setting nor a wrong answer can send a request anywhere else. Proxies of the environment are not used.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import jwt
from azure.core import AsyncPipelineClient
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import (
    AsyncBearerTokenCredentialPolicy,
    AsyncRetryPolicy,
    RequestIdPolicy,
    SansIOHTTPPolicy,
    UserAgentPolicy,
)
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.identity.aio import ClientAssertionCredential, ClientSecretCredential

from plugin import PluginError

Client = AsyncPipelineClient[HttpRequest, AsyncHttpResponse]

_VARIABLES: Final = {
    "metadataHost": "ARM_METADATA_HOSTNAME",
    "subscriptionId": "ARM_SUBSCRIPTION_ID",
    "tenantId": "ARM_TENANT_ID",
    "clientId": "ARM_CLIENT_ID",
    "clientSecret": "ARM_CLIENT_SECRET",
    "useOidc": "ARM_USE_OIDC",
    "oidcToken": "ARM_OIDC_TOKEN",
    "oidcTokenFilePath": "ARM_OIDC_TOKEN_FILE_PATH",
}
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def require_loopback(address: str) -> None:
    """Refuse an address that is not HTTPS on this machine.

    Raises:
        PluginError: naming the address.
    """
    parts = urlsplit(address)
    if parts.scheme != "https" or parts.hostname not in _LOOPBACK:
        raise PluginError(
            f"A stand-in plugin speaks to the local Azure only, over HTTPS on {', '.join(_LOOPBACK)}, but was pointed "
            f"at {address!r}. Nothing was sent there. For stack `local` run `make up`, which sets the address; "
            "for Azure use the official plugin: leave PULUMI_HOME and ARM_METADATA_HOSTNAME unset."
        )


class _LoopbackOnly(SansIOHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    def on_request(self, request: PipelineRequest[HttpRequest]) -> None:
        require_loopback(request.http_request.url)


class Connection:
    """A local Azure, and who speaks to it."""

    def __init__(
        self, settings: Mapping[str, str], endpoints: Mapping[str, Any], *, in_subscription: bool = True
    ) -> None:
        """Take what `open` has read. Raises PluginError if an endpoint is not on loopback or no credential is set."""
        self.subscription_id: str = settings.get("subscriptionId", "")
        self.resource_manager: str = endpoints["resourceManager"].rstrip("/")
        self._audience: str = endpoints["authentication"]["audiences"][0].rstrip("/")
        self.graph: str = endpoints["microsoftGraphResourceId"].rstrip("/")
        login = endpoints["authentication"]["loginEndpoint"]
        for address in (self.resource_manager, self.graph, login):
            require_loopback(address)
        self._settings = settings
        who = ("subscriptionId",) if in_subscription else ()
        self._credential = _credential(settings, login, (*who, "tenantId", "clientId"))

    @classmethod
    async def open(
        cls, configuration: Mapping[str, str], environment: Mapping[str, str], *, in_subscription: bool = True
    ) -> Self:
        """Read the endpoints of the cloud that the settings name. No token is asked for yet.

        Args:
            configuration: the provider's configuration, by the names of the official plugin (`metadataHost`, …).
            environment: where settings that are not in the configuration are taken from (`ARM_METADATA_HOSTNAME`, …).
            in_subscription: whether a subscription must be named, as for ARM.

        Raises:
            PluginError: if a setting is missing, an address is not loopback, or the local Azure does not answer.
        """
        settings = {
            name: value
            for name, variable in _VARIABLES.items()
            if (value := configuration.get(name) or environment.get(variable))
        }
        if "metadataHost" not in settings:
            raise PluginError(
                "A stand-in plugin needs the address of the local Azure, and neither `metadataHost` nor "
                "ARM_METADATA_HOSTNAME is set. Nothing was sent. Run `make up`, which starts one and sets it."
            )
        address = f"https://{settings['metadataHost'].removeprefix('https://')}"
        require_loopback(address)
        url = f"{address}/metadata/endpoints"
        async with _client(address) as client:
            try:
                response = await client.send_request(HttpRequest("GET", url, params={"api-version": "2022-09-01"}))
                response.raise_for_status()
            except AzureError as error:
                raise PluginError(
                    f"The local Azure does not answer at {url}: {error}. Nothing was created or changed. Start it with "
                    "`make up`; if the certificate is refused, SSL_CERT_FILE must name its ca.pem."
                ) from error
            return cls(settings, response.json(), in_subscription=in_subscription)

    def client(self) -> Client:
        """Return a client for ARM that authenticates with the configured credential."""
        return _client(self.resource_manager, self._credential, f"{self._audience}/.default")

    def graph_client(self) -> Client:
        """Return a client for Microsoft Graph that authenticates with the configured credential."""
        return _client(self.graph, self._credential, f"{self.graph}/.default")

    async def client_config(self) -> dict[str, str]:
        """Return who the caller is, from the claims of its token for Microsoft Graph, as the official plugins do.

        Raises:
            PluginError: if the local Azure refuses the credential.
        """
        try:
            token = await self._credential.get_token(f"{self.graph}/.default")
        except AzureError as error:
            raise PluginError(f"could not acquire access token to parse claims: {error}") from error
        claims = jwt.decode(token.token, options={"verify_signature": False})
        return {
            "clientId": claims.get("appid", self._settings["clientId"]),
            "objectId": claims["oid"],
            "subscriptionId": self.subscription_id,
            "tenantId": claims.get("tid", self._settings["tenantId"]),
        }


def _client(address: str, credential: AsyncTokenCredential | None = None, scope: str = "") -> Client:
    policies: list[Any] = [
        RequestIdPolicy(),
        UserAgentPolicy(base_user_agent="pulumi-stand-in"),
        AsyncRetryPolicy(retry_total=3),
        _LoopbackOnly(),
    ]
    if credential is not None:
        policies.append(AsyncBearerTokenCredentialPolicy(credential, scope))
    return AsyncPipelineClient(address, policies=policies, transport=AioHttpTransport(use_env_settings=False))


def _credential(settings: Mapping[str, str], authority: str, needed: Sequence[str]) -> AsyncTokenCredential:
    missing = [name for name in needed if name not in settings]
    if missing:
        names = ", ".join(f"`{name}` ({_VARIABLES[name]})" for name in missing)
        raise PluginError(
            f"A stand-in plugin needs {names} to sign in to the local Azure. Run `make up`, which sets them."
        )
    options: dict[str, Any] = {
        "authority": authority,
        "_per_retry_policies": [_LoopbackOnly()],
        "transport": AioHttpTransport(use_env_settings=False),
    }
    tenant_id, client_id = settings["tenantId"], settings["clientId"]
    if "clientSecret" in settings:
        return ClientSecretCredential(tenant_id, client_id, settings["clientSecret"], **options)
    if settings.get("useOidc") == "true" and ("oidcToken" in settings or "oidcTokenFilePath" in settings):
        return ClientAssertionCredential(tenant_id, client_id, lambda: _assertion(settings), **options)
    raise PluginError(
        "A stand-in plugin signs in with `clientSecret` (ARM_CLIENT_SECRET), or with `oidcToken` (ARM_OIDC_TOKEN) or "
        "`oidcTokenFilePath` (ARM_OIDC_TOKEN_FILE_PATH) and ARM_USE_OIDC=true, and none of them is set. Run `make up`, "
        "which sets ARM_CLIENT_SECRET; the other ways to sign in exist with the official plugin only."
    )


def _assertion(settings: Mapping[str, str]) -> str:
    if "oidcToken" in settings:
        return settings["oidcToken"]
    try:
        return Path(settings["oidcTokenFilePath"]).read_text().strip()
    except OSError as error:
        raise PluginError(
            f"The OIDC token cannot be read ({error}), so nobody is signed in. ARM_OIDC_TOKEN_FILE_PATH must name a "
            "file that holds it."
        ) from error
