"""What a person writes: the models of a stack's configuration, where nearly everything may be left out.

What concerns sign-on is in `settings.sign_on`, and Temporal Cloud in `settings.temporal_cloud`. YAML's surprises are
refused, not guessed at: `"yes"` is not true, `"90"` is not 90, and a number is not text.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, StrictBool, StrictInt

from pki import KeyType
from settings.models import Model, setting
from settings.sign_on import WrittenSignOn
from settings.temporal_cloud import WrittenTemporalCloud
from settings.values import (
    AddressRanges,
    AuthorityPem,
    CertificateName,
    ChangeIds,
    Country,
    DnsNames,
    Emails,
    GenerationNumber,
    HostName,
    HostPort,
    IpAddresses,
    NamePart,
    Names,
    NamespaceName,
    NamespaceNames,
    ObjectId,
    Region,
    ResourceGroupName,
    RolloverSteps,
    SubnetId,
    SubnetIds,
    Tags,
    Uris,
    VaultCertificateId,
    WorkspaceId,
    require_distinct,
)


class Custody(StrEnum):
    """Who keeps the private keys, and issues."""

    KEY_VAULT = "key-vault"
    STATE = "state"


class Sku(StrEnum):
    """Key Vault's tiers."""

    STANDARD = "standard"
    PREMIUM = "premium"


class DefaultAction(StrEnum):
    """What a vault's firewall does with an address that no rule names."""

    ALLOW = "Allow"
    DENY = "Deny"


class PrincipalKind(StrEnum):
    """The kinds of principal that a role is assigned to, in Azure's words."""

    USER = "User"
    GROUP = "Group"
    SERVICE_PRINCIPAL = "ServicePrincipal"


class Authorization(StrEnum):
    """How the frontend decides what a caller may do, where that is not sign-on."""

    NONE = "none"


_UNREACHABLE = "Who can reach the vaults would be left to chance."
_FIREWALL_REFUSED = "Azure would refuse the vaults' firewall."


class Network(Model):
    """Who can reach the vaults' data plane."""

    public_access: StrictBool = setting(
        True, "Whether the vaults have a public endpoint. RBAC guards it either way.", _UNREACHABLE
    )
    default_action: DefaultAction = setting(
        DefaultAction.ALLOW, "What the vaults' firewall does with addresses that are not listed.", _UNREACHABLE
    )
    allowed_addresses: AddressRanges = setting(
        (), "Public IPv4 addresses and ranges that a denying firewall lets in.", _FIREWALL_REFUSED, max_length=1000
    )
    allowed_subnets: SubnetIds = setting(
        (),
        "Subnets with the service endpoint Microsoft.KeyVault that a denying firewall lets in.",
        _FIREWALL_REFUSED,
        max_length=200,
    )
    private_endpoint_subnet: SubnetId | None = setting(
        None, "The subnet for a private endpoint of each vault.", "Azure would refuse the private endpoints."
    )


class Vaults(Model):
    """The two vaults: one for authorities, one for leaves."""

    generation: StrictInt = setting(
        1,
        "A part of the vaults' names. Counting it up makes new vaults, and every certificate anew.",
        "The vaults could not be named.",
        ge=1,
        le=99,
    )
    sku: Sku = setting(Sku.STANDARD, "The vaults' tier.", "Azure would refuse the vaults.")
    purge_protection: StrictBool = setting(
        True,
        "Whether what is deleted stays recoverable to the end of the retention. Once on, Azure never turns it off.",
        "An authority's key could be lost for good, or be kept longer than meant.",
    )
    soft_delete_retention_days: StrictInt = setting(
        90,
        "How long a deleted vault or certificate can be recovered. Azure never changes it.",
        "Azure would refuse the vaults.",
        ge=7,
        le=90,
    )
    network: Network = setting(Network(), "Who can reach the vaults.", _UNREACHABLE)
    diagnostics_workspace: WorkspaceId | None = setting(
        None, "The Log Analytics workspace that gets the vaults' audit logs.", "The vaults would leave no audit log."
    )


_NAME_REFUSED = "X.509 has no room for it, and Key Vault would refuse the certificate."


class WrittenGeneration(Model):
    """A generation of an authority: a key of its own. All that are listed are trusted."""

    renewal: StrictInt = setting(
        0,
        "Counting it up issues this generation's certificate again, with the same key and name.",
        "The authority's certificate would be renewed, or not, against your will.",
        ge=0,
    )
    certificate_pem: AuthorityPem | None = setting(
        None,
        "The certificate of an authority whose key is elsewhere: it is trusted, and issues nothing here.",
        "Nobody would know which authority to trust.",
    )
    vault_certificate: VaultCertificateId | None = setting(
        None,
        "The certificate of an authority that is in a Key Vault already: its key signs there.",
        "Nobody would know which key signs.",
    )
    issued_pem: AuthorityPem | None = setting(
        None,
        "The certificate that an issuer whose key is elsewhere made from this generation's signing request.",
        "The authority would go on waiting for its certificate.",
    )


class _WrittenSubject(Model):
    organization: NamePart | None = setting(
        None,
        "The organization (O) in the distinguished name. Temporal Cloud asks for one.",
        _NAME_REFUSED,
        derived="the project's name",
    )
    organizational_unit: NamePart | None = setting(
        None, "The organizational unit (OU) in the distinguished name.", _NAME_REFUSED
    )
    country: Country | None = setting(None, "The country (C) in the distinguished name.", _NAME_REFUSED)


class WrittenAuthority(_WrittenSubject):
    """A certificate authority."""

    issuer: str | None = setting(
        None, "The authority that issues it: it is an intermediate then.", "Nothing would sign it.", derived="itself"
    )
    common_name: NamePart | None = setting(
        None,
        "The common name (CN); the generation's number is appended to it.",
        _NAME_REFUSED,
        derived="`<project> <stack> <name>`",
    )
    key_type: KeyType = setting(KeyType.RSA_4096, "The type of its keys.", "The authority could not get a key.")
    validity_days: StrictInt = setting(
        1825,
        "How long its certificate is valid.",
        "Too short, and its certificates end with it at every turn; too long, and a lost key is trusted for decades.",
        ge=30,
        le=3650,
    )
    generations: dict[GenerationNumber, WrittenGeneration] = setting(
        {1: WrittenGeneration()},
        "The generations that are trusted, by number. For a new key: add one, sign with it, remove the old one.",
        "Nobody would know which keys to trust.",
        derived="`1: {}`",
    )
    signing: StrictInt | None = setting(
        None, "The generation that signs.", "Nothing could be issued.", derived="the lowest generation"
    )
    acknowledge: RolloverSteps = setting(
        (),
        "Steps of a rollover that may come out of order, and break connections: for a stolen key.",
        "A step that breaks connections would be let through, or refused, against your will.",
    )


class WrittenCertificate(_WrittenSubject):
    """A leaf: the server's (`cluster`), the UI's, the CLI's or a worker's."""

    issuer: str | None = setting(
        None,
        "The authority that signs it.",
        "Nothing would sign this certificate.",
        derived="`internode` for `cluster`, `clients` for the others; without these, the only authority",
    )
    common_name: NamePart | None = setting(
        None,
        "The common name (CN).",
        _NAME_REFUSED,
        derived="`frontend.serverName` for `cluster`, its name for the others",
    )
    dns_names: DnsNames = setting(
        (),
        "The DNS names that it vouches for.",
        "Nobody would accept the certificate for that name.",
        derived="`frontend.serverName` for `cluster`, none for the others",
    )
    ip_addresses: IpAddresses = setting(
        (), "The IP addresses that it vouches for.", "Nobody would accept the certificate for that address."
    )
    uris: Uris = setting((), "The URIs that it vouches for.", "Nobody would accept the certificate for that name.")
    emails: Emails = setting(
        (), "The e-mail addresses that it vouches for.", "Nobody would accept the certificate for that address."
    )
    key_type: KeyType = setting(KeyType.RSA_2048, "The type of its key.", "The certificate could not get a key.")
    validity_days: StrictInt = setting(
        90,
        "How long it is valid.",
        "Temporal asks no revocation list: a stolen key opens the server until the certificate's last day.",
        ge=1,
        le=397,
    )
    namespace: NamespaceName | None = setting(
        None, "The namespace of this client.", "It would find no namespace.", derived="`frontend.namespace`"
    )
    server_name: HostName | None = setting(
        None,
        "The name that this client asks the server's certificate for.",
        "It would refuse the server, or be refused.",
        derived="`frontend.serverName`, or the one host override under which alone its issuer is admitted",
    )
    renew_before_days: StrictInt = setting(
        30, "From how long before its end `up` renews it.", "It would be renewed too late, or at every run.", ge=0
    )


class HostOverride(Model):
    """Who is admitted under another name of the frontend."""

    authorities: Names = setting(
        ..., "The authorities whose clients are admitted under this name.", "Nobody would be admitted under it."
    )


class Frontend(Model):
    """Where and as what clients find Temporal, and whose certificates open the frontend."""

    address: HostPort = setting(
        "127.0.0.1:7233",
        "Where the UI, the CLI and workers reach the frontend.",
        "The UI, the CLI and workers would not find the server.",
    )
    server_name: HostName = setting(
        "temporal.internal",
        "The name that clients ask the server's certificate for.",
        "Every client would refuse the server's certificate.",
    )
    namespace: NamespaceName = setting(
        "default", "The namespace of the CLI and the workers.", "The CLI and the workers would find no namespace."
    )
    authorities: Names = setting(
        (),
        "The authorities whose clients the frontend admits.",
        "Clients would be refused.",
        derived="those that issue for the UI, the CLI and workers, and that no host override names",
    )
    host_overrides: dict[HostName, HostOverride] = setting(
        {},
        "Other names of the frontend, each with whose clients are admitted under it.",
        "Clients that ask for the name would be refused, or others admitted.",
    )


class Principal(Model):
    """Somebody that a role is assigned to."""

    id: ObjectId = setting(..., "Their object id in Entra ID.", "Azure assigns roles to object ids only.")
    kind: PrincipalKind = setting(..., "What they are.", "Azure would refuse the role assignment.")


def _distinct_principals(principals: tuple[Principal, ...]) -> tuple[Principal, ...]:
    require_distinct(principal.id for principal in principals)
    return principals


Principals = Annotated[tuple[Principal, ...], AfterValidator(_distinct_principals)]


class Access(Model):
    """Who may issue certificates, and who may read which key."""

    manage: StrictBool = setting(
        True,
        "Whether role assignments are made. With false they are only checked, for people who may not make them.",
        "Role assignments would be made, or be missing, against your will.",
    )
    deployers: Principals = setting(
        (), "Who may issue certificates.", "They could not issue certificates.", derived="who runs the first `up`"
    )
    readers: dict[str, Principals] = setting(
        {},
        "Who may read a certificate's key, by its name; `*` stands for every certificate.",
        "They could read no key.",
    )


class WrittenSettings(Model):
    """The stack's configuration. No setting is a secret."""

    location: Region | None = setting(
        None,
        "The Azure region, like westeurope. It has no default.",
        "Azure would have nowhere to put the vaults.",
    )
    resource_group: ResourceGroupName | None = setting(
        None,
        "The resource group that holds everything.",
        "Azure would refuse the resource group.",
        derived="`<project>-<stack>`",
    )
    tags: Tags = setting({}, "Tags for the resource group and what is in it.", "Azure would refuse the tags.")
    custody: Custody = setting(
        Custody.KEY_VAULT,
        "Where private keys are: in Key Vault, or encrypted in the stack's state, without any vault.",
        "It would be left to chance who can read the keys.",
    )
    vaults: Vaults = setting(
        Vaults(), "The two key vaults: one for authorities, one for leaves.", "Nothing could hold the keys."
    )
    certificate_authorities: dict[CertificateName, WrittenAuthority] = setting(
        {"internode": WrittenAuthority(), "clients": WrittenAuthority()},
        "Certificate authorities by name. What is given replaces the default.",
        "Nothing could be issued.",
        derived="`internode: {}`, `clients: {}`",
    )
    certificates: dict[CertificateName, WrittenCertificate] = setting(
        {},
        "Certificates by name: cluster, ui and cli always exist, every other is a worker's.",
        "The certificates would not be issued.",
        derived="`default: {}`, one worker",
    )
    frontend: Frontend = setting(Frontend(), "Where clients find Temporal.", "Clients would not find the server.")
    access: Access = setting(Access(), "Who may issue certificates, and who may read keys.", "Nobody would get access.")
    namespaces: NamespaceNames = setting(
        (),
        "The namespaces that roles are given in.",
        "Nobody could be given a role in it.",
        derived="`frontend.namespace`",
    )
    sign_on: WrittenSignOn = setting(
        WrittenSignOn(), "Sign-on from Entra ID: who may do what in which namespace.", "Nobody could sign in."
    )
    authorization: Authorization | None = setting(
        None,
        "With none there is no sign-on: every client certificate is an administrator of every namespace.",
        "It would be left to chance whether callers are asked who they are.",
    )
    acknowledge: ChangeIds = setting(
        (),
        "Changes that break clients that run and are wanted all the same, by the ids that the summary of a preview "
        "gives them. It has no effect on `up`.",
        "The summary of a preview could not tell which change is meant.",
    )
    temporal_cloud: WrittenTemporalCloud = setting(
        WrittenTemporalCloud(),
        "Temporal Cloud: which certificates its namespaces admit.",
        "No namespace in Temporal Cloud would get a CA bundle and filters.",
    )
