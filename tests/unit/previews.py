"""Previews as the engine writes them, made by hand: as few steps as a case needs."""

import json
from collections.abc import Mapping
from typing import Any

PROJECT, STACK = "temporal-azure", "dev"
_TLS = "temporal-azure:components:MutualTls$temporal-azure:components:"
_SIGN_ON = "temporal-azure:components:SignOn$"
_WORKER = f"{_SIGN_ON}temporal-azure:components:WorkerIdentity$"
AUTHORITY = f"{_TLS}CertificateAuthority$temporalazure:keyvault:Certificate"
LEAF = f"{_TLS}Certificate$temporalazure:keyvault:Certificate"
VAULT = f"{_TLS}KeyVault$azure-native:keyvault:Vault"
STATE_AUTHORITY = f"{_TLS}StateCertificateAuthority$temporalazure:state:Authority"
STATE_AUTHORITY_KEY = f"{_TLS}StateCertificateAuthority$tls:index/privateKey:PrivateKey"
STATE_KEY = f"{_TLS}StateLeaf$tls:index/privateKey:PrivateKey"
STATE_REQUEST = f"{_TLS}StateLeaf$tls:index/certRequest:CertRequest"
STATE_LEAF = f"{_TLS}StateLeaf$tls:index/locallySignedCert:LocallySignedCert"
STANDING = f"{_TLS}StateLeaf$temporalazure:state:Standing"
STEP_OF_A_ROLLOVER = f"{_TLS}StateLeaf$temporalazure:state:Step"
NAMESPACE = "temporal-azure:components:MutualTls$temporalazure:cloud:NamespaceAccess"
READER = f"{_TLS}Certificate$azure-native:authorization:RoleAssignment"
GROUP = "azure-native:resources:ResourceGroup"
APPLICATION = f"{_SIGN_ON}azuread:index/application:Application"
IDENTIFIER_URI = f"{_SIGN_ON}azuread:index/applicationIdentifierUri:ApplicationIdentifierUri"
ROLE = f"{_SIGN_ON}azuread:index/appRoleAssignment:AppRoleAssignment"
PASSWORD = f"{_SIGN_ON}temporal-azure:components:ClientSecret$azuread:index/applicationPassword:ApplicationPassword"
SECRET = f"{_SIGN_ON}temporal-azure:components:ClientSecret$temporalazure:keyvault:Secret"
WORKER_APPLICATION = f"{_WORKER}azuread:index/application:Application"
WORKER_ROLE = f"{_WORKER}azuread:index/appRoleAssignment:AppRoleAssignment"
WORKER_PASSWORD = (
    f"{_WORKER}temporal-azure:components:ClientSecret$azuread:index/applicationPassword:ApplicationPassword"
)
FEDERATED = f"{_WORKER}azuread:index/applicationFederatedIdentityCredential:ApplicationFederatedIdentityCredential"
STACK_TYPE = "pulumi:pulumi:Stack"

Step = dict[str, Any]


def step(
    operation: str,
    types: str,
    name: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    outputs: Mapping[str, Any] | None = None,
    changed: tuple[str, ...] = (),
) -> Step:
    """One step; `before` and `after` are inputs."""
    found: Step = {"op": operation, "urn": f"urn:pulumi:{STACK}::{PROJECT}::{types}::{name}"}
    if operation != "create":
        found["oldState"] = {"inputs": dict(before or {}), "outputs": dict(outputs or before or {})}
    if operation != "delete":
        found["newState"] = {"inputs": dict(after or before or {})}
    if changed:
        found["detailedDiff"] = {path: {"kind": "update", "inputDiff": True} for path in changed}
    return found


def certificate(name: str, issuer: str, role: str = "client", **names: list[str]) -> dict[str, Any]:
    """An entry of the output `certificates`."""
    return {
        "role": role,
        "subject": f"CN={name}",
        "issuer": f"CN={issuer}",
        "subjectAlternativeNames": {"dnsNames": [], "ipAddresses": [], "uris": [], "emails": [], **names},
    }


def outputs(**changes: Any) -> dict[str, Any]:
    """The outputs of a stack that is up, with sign-on and the worker `default`."""
    leaves = {name: certificate(name, "clients-1") for name in ("ui", "cli", "default")}
    authorities = {name: certificate(name, name, "authority") for name in ("internode-1", "clients-1")}
    cluster = certificate("cluster", "internode-1", "node", dnsNames=["temporal.internal"])
    return {
        "certificates": {**leaves, **authorities, "cluster": cluster},
        "serverEnv": {
            "TEMPORAL_TLS_CLIENT1_CA_CERT": "server/ca/clients-a.pem",
            "TEMPORAL_TLS_CLIENT2_CA_CERT": "server/ca/clients-b.pem",
            "TEMPORAL_TLS_SERVER_CA_CERT": "server/ca/internode-a.pem",
        },
        "cliEnv": {"TEMPORAL_ADDRESS": "127.0.0.1:7233", "TEMPORAL_TLS_SERVER_NAME": "temporal.internal"},
        "signOn": {"clientId": "client", "roles": {"default:write": "role-1"}, "workers": {"default": {}}},
        **changes,
    }


def preview(
    *steps: Step, before: Mapping[str, Any] | None = None, diagnostics: list[Any] | None = None, **settings: Any
) -> str:
    """What `pulumi preview --json` prints for settings (`acknowledge=[…]`) and steps."""
    configuration = {"location": "westeurope", **settings}
    root = step("same", STACK_TYPE, f"{PROJECT}-{STACK}", outputs=outputs() if before is None else before)
    return json.dumps(
        {
            "config": {
                f"{PROJECT}:{name}": value if isinstance(value, str) else json.dumps(value)
                for name, value in configuration.items()
            },
            "steps": [root, *steps],
            "diagnostics": diagnostics or [],
            "changeSummary": {"same": 3},
        }
    )
