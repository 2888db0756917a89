"""The identity that a run signs in with, found as azure-native finds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
from azure.core import PipelineClient
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline.policies import HeadersPolicy
from azure.core.rest import HttpRequest
from azure.identity.aio import (
    AzureCliCredential,
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
    ManagedIdentityCredential,
)

from cloud.endpoints import CloudError, Endpoints

STACK_SETTINGS = {
    "environment": "ARM_ENVIRONMENT",
    "metadataHost": "ARM_METADATA_HOSTNAME",
    "disableInstanceDiscovery": "ARM_DISABLE_INSTANCE_DISCOVERY",
    "tenantId": "ARM_TENANT_ID",
    "subscriptionId": "ARM_SUBSCRIPTION_ID",
    "clientId": "ARM_CLIENT_ID",
    "clientCertificatePath": "ARM_CLIENT_CERTIFICATE_PATH",
    "useOidc": "ARM_USE_OIDC",
    "oidcAudience": "ARM_OIDC_AUDIENCE",
    "oidcTokenFilePath": "ARM_OIDC_TOKEN_FILE_PATH",
    "useMsi": "ARM_USE_MSI",
    "useDefaultAzureCredential": "ARM_USE_DEFAULT_AZURE_CREDENTIAL",
}
"""The settings of `azure-native:` that may stand in a stack's file, and the environment variable of each."""


@dataclass(frozen=True)
class Principal:
    """Who a token speaks for, in the words of Azure role assignments."""

    object_id: str
    tenant_id: str
    kind: str


@dataclass(frozen=True)
class Identity:
    """Where to sign in and how, from a stack's settings and the environment.

    Holds credentials in `variables` (client secret, tokens): they stay in memory, and are left out of `repr`.
    """

    variables: Mapping[str, str] = field(repr=False)

    @classmethod
    def found(cls, environ: Mapping[str, str], stack_settings: Mapping[str, str] | None = None) -> Identity:
        """Return the identity that `environ` describes; `stack_settings` (see STACK_SETTINGS) come before it."""
        settings = {STACK_SETTINGS[name]: value for name, value in (stack_settings or {}).items() if value}
        return cls({**environ, **settings})

    @property
    def environment(self) -> str:
        """The cloud's name; `public` unless told."""
        return self._get("ARM_ENVIRONMENT") or self._get("AZURE_ENVIRONMENT") or "public"

    @property
    def metadata_host(self) -> str | None:
        """The host that describes the cloud, where it is none of the named ones."""
        return self._get("ARM_METADATA_HOSTNAME")

    @property
    def subscription_id(self) -> str | None:
        """The subscription, where it is configured."""
        return self._get("ARM_SUBSCRIPTION_ID")

    def in_tenant(self, tenant_id: str) -> Identity:
        """Return this identity, signing in to another tenant. A managed identity stays in its own."""
        return Identity({**self.variables, "ARM_TENANT_ID": tenant_id})

    def credential(self, endpoints: Endpoints) -> AsyncTokenCredential:
        """Return a new credential, with no token cached, by the first way that is configured.

        The order is azure-native's: default credential, client certificate, client secret, OIDC, managed identity,
        Azure CLI. Raises CloudError if a way is chosen but lacks something, or has something that cannot be right.
        """
        try:
            return self._chosen(endpoints)
        except (OSError, ValueError) as error:  # of azure-identity: a file that it cannot read, an impossible tenant
            raise CloudError(
                f"The way to sign in that is configured cannot work: {error}. Nothing was asked. Check the ARM_* "
                f"variables, and azure-native's settings in the stack's file."
            ) from error

    def _chosen(self, endpoints: Endpoints) -> AsyncTokenCredential:
        common: dict[str, Any] = {
            "authority": endpoints.authority,
            "disable_instance_discovery": bool(self.metadata_host) or self._flag("ARM_DISABLE_INSTANCE_DISCOVERY"),
        }
        if self._flag("ARM_USE_DEFAULT_AZURE_CREDENTIAL"):
            return DefaultAzureCredential(**common)
        if path := self._get("ARM_CLIENT_CERTIFICATE_PATH"):
            return CertificateCredential(
                *self._application("a client certificate"),
                path,
                password=self._get("ARM_CLIENT_CERTIFICATE_PASSWORD"),
                **common,
            )
        if secret := self._get("ARM_CLIENT_SECRET"):
            return ClientSecretCredential(*self._application("a client secret"), secret, **common)
        if self._flag("ARM_USE_OIDC"):
            return ClientAssertionCredential(*self._application("OIDC"), self._assertion, **common)
        if self._flag("ARM_USE_MSI"):
            return ManagedIdentityCredential(client_id=self._get("ARM_CLIENT_ID"))
        # The Azure CLI takes one of the two; a subscription stands for its tenant.
        if tenant := self._get("ARM_TENANT_ID"):
            return AzureCliCredential(tenant_id=tenant)
        return AzureCliCredential(subscription=self.subscription_id)

    def _get(self, variable: str) -> str | None:
        return self.variables.get(variable) or None

    def _flag(self, variable: str) -> bool:
        return (self._get(variable) or "").lower() in {"true", "1"}

    def _application(self, way: str) -> tuple[str, str]:
        tenant, client = self._get("ARM_TENANT_ID"), self._get("ARM_CLIENT_ID")
        if not tenant or not client:
            missing = "ARM_CLIENT_ID" if tenant else "ARM_TENANT_ID"
            raise CloudError(f"Signing in with {way} needs {missing}, which is not set. Nothing was asked. Set it.")
        return tenant, client

    def _assertion(self) -> str:
        if token := self._get("ARM_OIDC_TOKEN"):
            return token
        if path := self._get("ARM_OIDC_TOKEN_FILE_PATH"):
            try:
                return Path(path).read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise CloudError(
                    f"The token to sign in with cannot be read from ARM_OIDC_TOKEN_FILE_PATH: {error}. Nothing was "
                    f"asked. Check the path."
                ) from error
        return self._github_assertion()

    def _github_assertion(self) -> str:
        # azure-identity calls for the assertion synchronously, and only when a token is needed: about once an hour.
        url = self._get("ARM_OIDC_REQUEST_URL") or self._get("ACTIONS_ID_TOKEN_REQUEST_URL")
        token = self._get("ARM_OIDC_REQUEST_TOKEN") or self._get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
        if not url or not token:
            raise CloudError(
                "ARM_USE_OIDC is set, but there is no token to sign in with. Nothing was asked. Set ARM_OIDC_TOKEN or "
                "ARM_OIDC_TOKEN_FILE_PATH; on GitHub give the job `permissions: id-token: write`."
            )
        audience = self._get("ARM_OIDC_AUDIENCE") or "api://AzureADTokenExchange"
        headers = HeadersPolicy({"Authorization": f"Bearer {token}", "Accept": "application/json"})
        try:
            with PipelineClient[HttpRequest, Any](base_url=url, policies=[headers]) as client:
                response = client.send_request(HttpRequest("GET", url, params={"audience": audience}))
                response.raise_for_status()
                return str(response.json()["value"])
        except (AzureError, LookupError, TypeError, ValueError) as error:
            match error:
                case HttpResponseError():
                    reason = f"it answered {error.status_code} {error.reason}"
                case AzureError():
                    reason = error.message
                case _:
                    reason = "its answer holds no token"
            raise CloudError(
                f"There is no token to sign in with from {urlsplit(url).netloc}: {reason}. Nothing was asked of "
                f"Azure. Run the job again; on GitHub it needs `permissions: id-token: write`."
            ) from error


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of an access token of Entra ID.

    The token is one that Entra just gave to us over TLS, so its signature is not checked again.
    """
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def principal_of(claims: Mapping[str, Any]) -> Principal:
    """Return who a token speaks for, from its claims `oid`, `tid` and `idtyp`."""
    person = claims.get("idtyp") == "user" or "scp" in claims
    return Principal(object_id=claims["oid"], tenant_id=claims["tid"], kind="User" if person else "ServicePrincipal")
