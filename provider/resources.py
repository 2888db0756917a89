"""What the program declares of this provider: its configuration, its resources, its questions.

The only module of this room that a Pulumi program imports; it holds no logic.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import pulumi

from pki import CertificateFilter
from provider import NAME, VERSION
from provider.inputs import COMPUTED_NAMES
from provider.namespace_inputs import API_KEY_SETTING
from provider.namespace_inputs import COMPUTED_NAMES as ACCESS_COMPUTED_NAMES
from provider.secret_inputs import COMPUTED_NAMES as SECRET_COMPUTED_NAMES
from provider.secret_inputs import SECRET_NAMES


class KeyVaultProvider(pulumi.ProviderResource):
    """The provider, told which cloud and identity to use by the settings that azure-native has too.

    `settings` are those of `cloud.identity.STACK_SETTINGS`, `permissionWaitSeconds`, and for Temporal Cloud
    `temporalCloudApiKey`, `temporalCloudAddress` and `temporalCloudCaFile` (for an address of this machine). Azure's
    credentials come from the environment (`ARM_*`), never from here; so may the API key (TEMPORAL_CLOUD_API_KEY), which
    otherwise is a secret of the state.
    """

    def __init__(
        self, name: str, settings: Mapping[str, pulumi.Input[str]], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        properties: dict[str, pulumi.Input[str]] = dict(settings)
        if (api_key := properties.get(API_KEY_SETTING)) is not None:
            properties[API_KEY_SETTING] = pulumi.Output.secret(api_key)
        merged = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=VERSION), opts)
        super().__init__(NAME, name, properties, merged)


class Issuer(TypedDict):
    """The authority that issues: its certificate, those above it, and the version of its key that signs.

    Without a key its certificate is all that is at hand: it signs elsewhere.
    """

    certificate_pem: pulumi.Input[str]
    key_id: pulumi.Input[str] | None
    chain_pem: pulumi.Input[list[str]]


@dataclass(frozen=True, kw_only=True)
class Rollover:
    """Where a leaf is to stand while its authority is rolled over, by the names of generations.

    `issued_by` is the one that issues, `trusted` are all that those trust whom the leaf is shown to. Steps out of order
    are refused but for those that are `acknowledged` (`sign-NAME`, `distrust-NAME`). `peers` are the other certificates
    of its authority.
    """

    issued_by: str
    trusted: Sequence[str]
    acknowledged: Sequence[str]
    peers: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class VaultCertificateArgs:
    """What a certificate is to be; `policy` is a `pki.IssuancePolicy` as JSON data.

    A leaf has a `rollover`.
    """

    vault_id: pulumi.Input[str]
    vault_uri: pulumi.Input[str]
    name: str
    policy: Mapping[str, Any]
    issuer: Issuer | None = None
    renewal: int = 0
    rollover: Rollover | None = None
    tags: Mapping[str, str]
    issued_pem: str | None = None


class VaultCertificate(pulumi.CustomResource):
    """A certificate in Key Vault; all of its outputs are public.

    While it waits for an issuer elsewhere, it has nothing but its signing request.
    """

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
    signing_request_pem: pulumi.Output[str | None]

    def __init__(self, name: str, args: VaultCertificateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        issuer = args.issuer and {
            "certificatePem": args.issuer["certificate_pem"],
            "keyId": args.issuer["key_id"],
            "chainPem": args.issuer["chain_pem"],
        }
        if issuer and issuer["keyId"] is None:
            del issuer["keyId"]
        properties: dict[str, Any] = {
            "vaultId": args.vault_id,
            "vaultUri": args.vault_uri,
            "name": args.name,
            "policy": dict(args.policy),
            "issuer": issuer,
            "renewal": args.renewal,
            **(_of_a_rollover(args.rollover) if args.rollover else {}),
            "tags": dict(args.tags),
            "issuedPem": args.issued_pem,
            **dict.fromkeys(COMPUTED_NAMES),
        }
        merged = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=VERSION), opts)
        super().__init__(f"{NAME}:keyvault:Certificate", name, properties, merged)

        for output in COMPUTED_NAMES:
            setattr(self, re.sub("([A-Z])", r"_\1", output).lower(), pulumi.get(self, output))


class AuthorityInState(pulumi.CustomResource):
    """An authority that signs itself with a key of the state, which no output repeats.

    `policy` is a `pki.IssuancePolicy` as JSON data. Raising `renewal` issues it anew, under the same key and name.
    """

    certificate_pem: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        policy: Mapping[str, Any],
        private_key_pem: pulumi.Input[str],
        renewal: int = 0,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties: dict[str, Any] = {
            "name": name,
            "policy": dict(policy),
            "privateKeyPem": pulumi.Output.secret(private_key_pem),
            "renewal": renewal,
            "certificatePem": None,
        }
        merged = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=VERSION), opts)
        super().__init__(f"{NAME}:state:Authority", name, properties, merged)

        self.certificate_pem = pulumi.get(self, "certificatePem")


class StepInState(pulumi.CustomResource):
    """What a leaf of the state is about to be: declared before it, so that a step too early leaves it untouched."""

    def __init__(self, name: str, *, role: str, rollover: Rollover, opts: pulumi.ResourceOptions | None = None) -> None:
        merged = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=VERSION), opts)
        properties = {"name": name, "role": role, **_of_a_rollover(rollover)}
        super().__init__(f"{NAME}:state:Step", name, properties, merged)


class StandingInState(pulumi.CustomResource):
    """What is handed out of a leaf of the state: declared behind it, with its certificate, which it hands on."""

    certificate_pem: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        role: str,
        rollover: Rollover,
        certificate_pem: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties = {"name": name, "role": role, **_of_a_rollover(rollover), "certificatePem": certificate_pem}
        merged = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=VERSION), opts)
        super().__init__(f"{NAME}:state:Standing", name, properties, merged)

        self.certificate_pem = pulumi.get(self, "certificatePem")


def _of_a_rollover(rollover: Rollover) -> dict[str, Any]:
    return {
        "issuedBy": rollover.issued_by,
        "trusted": list(rollover.trusted),
        "acknowledged": list(rollover.acknowledged) or None,
        "peers": list(rollover.peers) or None,
    }


@dataclass(frozen=True, kw_only=True)
class VaultSecretArgs:
    """What a secret is to be; `not_after` is an instant in UTC (RFC 3339), in whole seconds."""

    vault_id: pulumi.Input[str]
    vault_uri: pulumi.Input[str]
    name: str
    value: pulumi.Input[str]
    content_type: str | None = None
    not_after: pulumi.Input[str] | None = None
    tags: Mapping[str, str]


class VaultSecret(pulumi.CustomResource):
    """A secret in Key Vault. Its identifiers are public; its value stays a secret of the state."""

    secret_id: pulumi.Output[str]
    versionless_id: pulumi.Output[str]
    version: pulumi.Output[str]

    def __init__(self, name: str, args: VaultSecretArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        properties: dict[str, Any] = {
            "vaultId": args.vault_id,
            "vaultUri": args.vault_uri,
            "name": args.name,
            "value": pulumi.Output.secret(args.value),
            "contentType": args.content_type,
            "notAfter": args.not_after,
            "tags": dict(args.tags),
            **dict.fromkeys(SECRET_COMPUTED_NAMES),
        }
        own = pulumi.ResourceOptions(version=VERSION, additional_secret_outputs=sorted(SECRET_NAMES))
        super().__init__(f"{NAME}:keyvault:Secret", name, properties, pulumi.ResourceOptions.merge(own, opts))

        for output in SECRET_COMPUTED_NAMES:
            setattr(self, re.sub("([A-Z])", r"_\1", output).lower(), pulumi.get(self, output))


@dataclass(frozen=True, kw_only=True)
class CloudNamespaceAccessArgs:
    """Who is to come in to the namespace `NAME.ACCOUNT` of Temporal Cloud with a certificate.

    One authority an entry, PEM. A certificate must match one of the `filters`, if there are any. What somebody else
    added stays, unless `exclusive`. `timeout_seconds` is how long a change may take, 600 unless told; the engine's
    custom timeouts come before it.
    """

    namespace: pulumi.Input[str]
    certificate_authorities_pem: Sequence[pulumi.Input[str]] | pulumi.Output[list[str]]
    filters: Sequence[CertificateFilter] = ()
    exclusive: bool = False
    timeout_seconds: int | None = None


class CloudNamespaceAccess(pulumi.CustomResource):
    """The mutual TLS of a namespace of Temporal Cloud; the namespace itself is made and deleted elsewhere.

    What it names is its own, also if it was there before, and goes with it. All of its outputs are public:
    `fingerprints` of its authorities as tcld shows them, whether mutual TLS is `enabled`, the namespace's
    `resource_version` and `state`, and, as of the last change or refresh, what is `unmanaged`: authorities and filters
    that somebody else added. It is imported by the namespace's ID, with all that is there.
    """

    fingerprints: pulumi.Output[list[str]]
    enabled: pulumi.Output[bool]
    resource_version: pulumi.Output[str]
    state: pulumi.Output[str]
    unmanaged: pulumi.Output[list[str]]

    def __init__(self, name: str, args: CloudNamespaceAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        authorities = args.certificate_authorities_pem
        properties: dict[str, Any] = {
            "namespace": args.namespace,
            "certificateAuthoritiesPem": authorities if isinstance(authorities, pulumi.Output) else list(authorities),
            "filters": [each.given for each in args.filters],
            "exclusive": args.exclusive,
            "timeoutSeconds": args.timeout_seconds,
            **dict.fromkeys(ACCESS_COMPUTED_NAMES),
        }
        merged = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=VERSION), opts)
        super().__init__(f"{NAME}:cloud:NamespaceAccess", name, properties, merged)

        for output in ACCESS_COMPUTED_NAMES:
            setattr(self, re.sub("([A-Z])", r"_\1", output).lower(), pulumi.get(self, output))


@dataclass(frozen=True)
class Caller:
    """Who the provider is signed in as: object ID in Entra ID, tenant, and `User` or `ServicePrincipal`.

    `authority` is the address of the sign-in service.
    """

    object_id: str
    tenant_id: str
    kind: str
    authority: str


@dataclass(frozen=True, kw_only=True)
class DirectoryPermission:
    """Application permissions of Microsoft Graph, any one of which is enough, and what they are needed for.

    The first of `names` is the one that a person is told to grant.
    """

    names: Sequence[str]
    needed_for: str


def get_caller(opts: pulumi.InvokeOptions, tenant_id: str | None = None) -> Caller:
    """Ask the provider who it is signed in as, in another tenant than its own if one is named."""
    found = _ask("index:getCaller", _in_tenant(tenant_id), opts)
    return Caller(
        object_id=found["objectId"], tenant_id=found["tenantId"], kind=found["kind"], authority=found["authority"]
    )


def deleted_vaults(names: Iterable[str], location: str, subscription_id: str, opts: pulumi.InvokeOptions) -> list[str]:
    """Return which names deleted vaults hold: they must be recovered, since none can be made or waited for."""
    place = {"location": location, "subscriptionId": subscription_id}
    return [name for name in names if _ask("keyvault:getDeletedVault", {"name": name, **place}, opts)["exists"]]


@dataclass(frozen=True, kw_only=True)
class ExistingAuthority:
    """An authority that is in a Key Vault already: its certificate, and the version of its key that signs."""

    certificate_pem: str
    key_id: str
    certificate_id: str


def existing_authority(certificate_id: str, opts: pulumi.InvokeOptions) -> ExistingAuthority:
    """Read an authority's certificate. Fails unless it can issue what Temporal accepts."""
    found = _ask("keyvault:getAuthority", {"certificateId": certificate_id}, opts)
    return ExistingAuthority(
        certificate_pem=found["certificatePem"], key_id=found["keyId"], certificate_id=found["certificateId"]
    )


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


def check_directory_access(
    permissions: Sequence[DirectoryPermission], opts: pulumi.InvokeOptions, tenant_id: str | None = None
) -> None:
    """Fail if the application that is signed in lacks a permission in its directory, or in that of `tenant_id`.

    All that are missing are named at once. The rights of a person cannot be told beforehand: the engine warns.
    """
    needed = [{"names": list(each.names), "neededFor": each.needed_for} for each in permissions]
    _ask("index:checkDirectoryAccess", {"permissions": needed, **_in_tenant(tenant_id)}, opts)


def _in_tenant(tenant_id: str | None) -> dict[str, str]:
    return {"tenantId": tenant_id} if tenant_id else {}


def _ask(function: str, arguments: Mapping[str, Any], opts: pulumi.InvokeOptions) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = pulumi.runtime.invoke(f"{NAME}:{function}", dict(arguments), opts).value
    except Exception as error:  # the SDK raises this type alone
        _, _, reason = str(error).rpartition("returned an error: ")
        raise pulumi.RunError(reason) from None
    return answer
