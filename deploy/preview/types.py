"""The types of resources that the summary knows, and what can be read from a step on one of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from deploy.preview.document import Step

CERTIFICATE = "temporalazure:keyvault:Certificate"
SECRET = "temporalazure:keyvault:Secret"
AUTHORITY_IN_STATE = "temporalazure:state:Authority"
STEP_IN_STATE = "temporalazure:state:Step"
STANDING_IN_STATE = "temporalazure:state:Standing"
PRIVATE_KEY = "tls:index/privateKey:PrivateKey"
CERTIFICATE_REQUEST = "tls:index/certRequest:CertRequest"
LEAF_IN_STATE = "tls:index/locallySignedCert:LocallySignedCert"
NAMESPACE_ACCESS = "temporalazure:cloud:NamespaceAccess"
VAULT = "azure-native:keyvault:Vault"
RESOURCE_GROUP = "azure-native:resources:ResourceGroup"
ROLE_ASSIGNMENT = "azure-native:authorization:RoleAssignment"
APPLICATION = "azuread:index/application:Application"
SERVICE_PRINCIPAL = "azuread:index/servicePrincipal:ServicePrincipal"
IDENTIFIER_URI = "azuread:index/applicationIdentifierUri:ApplicationIdentifierUri"
APP_ROLE_ASSIGNMENT = "azuread:index/appRoleAssignment:AppRoleAssignment"
FEDERATED_CREDENTIAL = "azuread:index/applicationFederatedIdentityCredential:ApplicationFederatedIdentityCredential"
PASSWORD = "azuread:index/applicationPassword:ApplicationPassword"

COMPONENTS = "temporal-azure:components:"
PROVIDERS = "pulumi:providers:"

VAULT_ROLES = {
    "a4417e6f-fecd-4de8-b567-7b0420556985": "Key Vault Certificates Officer",
    "12338af0-0e69-4776-bea7-57ae8d297424": "Key Vault Crypto User",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
}
"""Azure's names of the roles that this program assigns, by definition."""

_MADE_BY_TLS = {"certPem", "validityStartTime", "validityEndTime", "caKeyAlgorithm", "id"}
"""What pulumi-tls may show as different in whatever it makes anew: no input is among it."""

_RENEWALS = {
    (CERTIFICATE, "update"): ({"notAfter"}, {"notAfter"}),
    (LEAF_IN_STATE, "replace"): ({"readyForRenewal"}, {"readyForRenewal", *_MADE_BY_TLS}),
    (LEAF_IN_STATE, "update"): ({"readyForRenewal"}, {"readyForRenewal", *_MADE_BY_TLS}),
    (STANDING_IN_STATE, "update"): ({"certificatePem"}, {"certificatePem"}),
    (PASSWORD, "replace"): ({"endDate"}, {"endDate"}),
    (SECRET, "update"): ({"notAfter"}, {"notAfter", "value"}),
}
"""What the clock alone changes: at least this, and at most that."""

RECORDED = {"issuedBy", "trusted"}
"""What is kept beside a leaf, of who issued it and who is trusted where it is shown: no part of the certificate."""


def is_idle(step: Step) -> bool:
    """Whether it is on what is nowhere but in the state, and says nothing of anybody who is let in."""
    return step.type.startswith((COMPONENTS, PROVIDERS))


def is_authority(step: Step) -> bool:
    """Whether it is an authority's certificate."""
    return step.type == AUTHORITY_IN_STATE or (step.type == CERTIFICATE and step.within("CertificateAuthority"))


def makes_authority_key(step: Step) -> bool:
    """Whether an authority gets a key: in a vault it comes with the certificate, in the state it is for itself."""
    own = step.within("StateCertificateAuthority") if step.type == PRIVATE_KEY else step.type == CERTIFICATE
    return own and step.operation in ("create", "replace") and (step.type == PRIVATE_KEY or is_authority(step))


def more_than_renewals(steps: Collection[Step]) -> list[Step]:
    """Return the steps for which the clock alone is not the reason.

    What is handed out of a leaf in the state is a renewal only beside that of the leaf.
    """
    renewed = {step.name for step in steps if step.type == LEAF_IN_STATE and is_renewal(step)}
    return [
        step for step in steps if not is_renewal(step) or (step.type == STANDING_IN_STATE and step.name not in renewed)
    ]


def is_renewal(step: Step) -> bool:
    """Whether the clock alone is the reason, as far as one step tells: nobody changed a setting, only an end moves."""
    if renewal := _RENEWALS.get((step.type, step.operation)):
        at_least, at_most = renewal
        return at_least <= set(step.changed) <= at_most
    return is_idle(step)


def worker_of(step: Step) -> str:
    """The worker whose role (`orders.default-write`) or credential (`orders-8124cf3a97`) it is."""
    return step.name.partition(".")[0] if step.type == APP_ROLE_ASSIGNMENT else step.name.rpartition("-")[0]


def secret_of(step: Step) -> str:
    """The client secret that a password is one of the two slots of."""
    return step.name.rpartition("-")[0]


def purge_protected(vault: Mapping[str, Any]) -> bool:
    """Whether a vault has purge protection."""
    return vault.get("properties", {}).get("enablePurgeProtection") is True


def loses_purge_protection(step: Step) -> bool:
    """Whether a vault that stays has purge protection, and is to have it no more."""
    return step.operation == "update" and purge_protected(step.before) and not purge_protected(step.after)


def redirect_uris(application: Mapping[str, Any]) -> list[str]:
    """Where an application sends people back to."""
    return list((application.get("web") or {}).get("redirectUris") or ())
