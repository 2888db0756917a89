"""A deployment with every default, and samples in the place of what each stack has of its own.

For whoever shows the variables (`reference`) or asks which there must be (deploy/). Nothing starts with them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from environment.variables import Deployment


@dataclass(frozen=True, kw_only=True)
class SampleSignOn:
    """Sign-on with which these workers have an identity."""

    worker_variables: Mapping[str, Mapping[str, str]]
    issuer: str = "https://login.microsoftonline.com/TENANT/v2.0"
    keys_url: str = "https://login.microsoftonline.com/TENANT/discovery/v2.0/keys"
    client_id: str = "CLIENT-ID"
    client_secret: str = "…"
    scopes: str = "openid,profile,offline_access,CLIENT-ID/default"
    token_scope: str = "api://CLIENT-ID/.default"
    ui_url: str = "http://localhost:8080"
    callback_url: str = "http://localhost:8080/auth/sso/callback"


def sample_identity(*, client_secret: bool) -> dict[str, str]:
    """Return the variables of a worker that signs in with a client secret, or without one."""
    identity = {
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com",
        "AZURE_TENANT_ID": "TENANT",
        "AZURE_CLIENT_ID": "WORKER-CLIENT-ID",
    }
    return identity | ({"AZURE_CLIENT_SECRET": "…"} if client_secret else {})


def sample_deployment(sign_on: SampleSignOn | None) -> Deployment:
    """Return the deployment; without sign-on for None."""
    return Deployment(internode_authority="internode", client_authorities=("clients",), sign_on=sign_on)
