"""What the program declares of this provider: its configuration, its resource, its questions.

The only module of this room that a Pulumi program imports; it holds no logic.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import pulumi

from provider import NAME, VERSION
from provider.inputs import COMPUTED_NAMES


class KeyVaultProvider(pulumi.ProviderResource):
    """The provider, told which cloud and identity to use by the settings that azure-native has too.

    `settings` are those of `cloud.identity.STACK_SETTINGS`, and `permissionWaitSeconds`. Credentials come from the
    environment (`ARM_*`), never from here.
    """

    def __init__(self, name: str, settings: Mapping[str, str], opts: pulumi.ResourceOptions | None = None) -> None:
        merged = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=VERSION), opts)
        super().__init__(NAME, name, dict(settings), merged)


class Issuer(TypedDict):
    """The authority that issues: its certificate, those above it, and the version of its key that signs."""

    certificate_pem: pulumi.Input[str]
    key_id: pulumi.Input[str]
    chain_pem: pulumi.Input[list[str]]


@dataclass(frozen=True, kw_only=True)
class VaultCertificateArgs:
    """What a certificate is to be; `policy` is a `pki.IssuancePolicy` as JSON data."""

    vault_id: pulumi.Input[str]
    vault_uri: pulumi.Input[str]
    name: str
    policy: Mapping[str, Any]
    issuer: Issuer | None = None
    renewal: int = 0
    tags: Mapping[str, str]


class VaultCertificate(pulumi.CustomResource):
    """A certificate in Key Vault; all of its outputs are public."""

    certificate_pem: pulumi.Output[str]
    chain_pem: pulumi.Output[list[str]]
    subject: pulumi.Output[str]
    issuer_subject: pulumi.Output[str]
    serial_number: pulumi.Output[str]
    thumbprint: pulumi.Output[str]
    not_before: pulumi.Output[str]
    not_after: pulumi.Output[str]
    version: pulumi.Output[str]
    certificate_id: pulumi.Output[str]
    key_id: pulumi.Output[str]
    secret_id: pulumi.Output[str | None]

    def __init__(self, name: str, args: VaultCertificateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        issuer = args.issuer and {
            "certificatePem": args.issuer["certificate_pem"],
            "keyId": args.issuer["key_id"],
            "chainPem": args.issuer["chain_pem"],
        }
        properties: dict[str, Any] = {
            "vaultId": args.vault_id,
            "vaultUri": args.vault_uri,
            "name": args.name,
            "policy": dict(args.policy),
            "issuer": issuer,
            "renewal": args.renewal,
            "tags": dict(args.tags),
            **dict.fromkeys(COMPUTED_NAMES),
        }
        merged = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=VERSION), opts)
        super().__init__(f"{NAME}:keyvault:Certificate", name, properties, merged)

        for output in COMPUTED_NAMES:
            setattr(self, re.sub("([A-Z])", r"_\1", output).lower(), pulumi.get(self, output))


@dataclass(frozen=True)
class Caller:
    """Who the provider is signed in as: object ID in Entra ID, tenant, and `User` or `ServicePrincipal`."""

    object_id: str
    tenant_id: str
    kind: str


def get_caller(opts: pulumi.InvokeOptions) -> Caller:
    """Ask the provider who it is signed in as."""
    found = _ask("index:getCaller", {}, opts)
    return Caller(object_id=found["objectId"], tenant_id=found["tenantId"], kind=found["kind"])


def is_deleted_vault(name: str, location: str, subscription_id: str, opts: pulumi.InvokeOptions) -> bool:
    """Ask whether a deleted vault holds a name: it must be recovered, since it can neither be made nor waited for."""
    arguments = {"name": name, "location": location, "subscriptionId": subscription_id}
    return bool(_ask("keyvault:getDeletedVault", arguments, opts)["exists"])


def check_access(
    scope: str, object_ids: Sequence[str], roles: Mapping[str, str], subscription_id: str, opts: pulumi.InvokeOptions
) -> None:
    """Fail unless each principal has each role (title by definition) on `scope`, whoever assigned it and wherever."""
    arguments = {
        "scope": scope,
        "objectIds": list(object_ids),
        "roles": dict(roles),
        "subscriptionId": subscription_id,
    }
    _ask("index:checkAccess", arguments, opts)


def _ask(function: str, arguments: Mapping[str, Any], opts: pulumi.InvokeOptions) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = pulumi.runtime.invoke(f"{NAME}:{function}", dict(arguments), opts).value
    except Exception as error:  # the SDK raises this type alone
        _, _, reason = str(error).rpartition("returned an error: ")
        raise pulumi.RunError(reason) from None
    return answer
