"""What the program works with: every default filled in, nothing left to decide."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from pydantic.alias_generators import to_camel

from pki import (
    CertificateFilter,
    CertificateNames,
    IssuancePolicy,
    KeyType,
    NameConstraints,
    Role,
    Subject,
    SubjectAlternativeNames,
)
from settings.sign_on import Assignee, ClientSecret, FederatedCredential, ScopeForm, WorkerIdentity, WrittenSignOn
from settings.temporal_cloud import WrittenCloudNamespace
from settings.values import SYSTEM_NAMESPACE
from settings.written import (
    Access,
    Authorization,
    Custody,
    Frontend,
    Vaults,
    WrittenAuthority,
    WrittenCertificate,
    WrittenGeneration,
    WrittenSettings,
)

LOCAL_STACK = "local"
CALLBACK_PATH = "/auth/sso/callback"
"""Where the UI takes people back in (server/route/auth.go of ui-server)."""

CLUSTER, UI, CLI, DEFAULT_WORKER = "cluster", "ui", "cli", "default"


@dataclass(frozen=True, kw_only=True)
class GenerationSettings:
    """A trusted generation of an authority; `certificate_name` is its name in the vault.

    A generation that is brought along has a `certificate_pem`, or a `vault_certificate` whose key signs; it keeps the
    name that it has. `issued_pem` was made by an issuer whose key is elsewhere; until then the generation
    `awaits_certificate`.
    """

    number: int
    renewal: int
    common_name: str
    certificate_name: str
    certificate_pem: str | None = None
    vault_certificate: str | None = None
    issued_pem: str | None = None
    awaits_certificate: bool = False

    @property
    def is_brought_along(self) -> bool:
        """Whether the authority existed before this program."""
        return self.certificate_pem is not None or self.vault_certificate is not None


@dataclass(frozen=True, kw_only=True)
class AuthoritySettings:
    """An authority: its generations by number, of which `signing` is the one that issues.

    `issuer` is a key of `Settings`, or None for one that signs itself; `path_length` tells how many levels of
    authorities stand below it. `idle` names settings that are given and have no effect.
    `acknowledge` names steps of its rollover as they are written: `sign-2`, `distrust-1`.
    """

    name: str
    issuer: str | None
    organization: str
    organizational_unit: str | None
    country: str | None
    key_type: KeyType
    validity_days: int
    generations: dict[int, GenerationSettings]
    signing: int
    path_length: int
    name_constraints: NameConstraints | None
    idle: tuple[str, ...]

    @property
    def signing_generation(self) -> GenerationSettings | None:
        """The generation that issues, or None if there is none of that number."""
        return self.generations.get(self.signing)

    @property
    def has_key(self) -> bool:
        """Whether its signing generation can sign from here."""
        signing = self.signing_generation
        return signing is not None and signing.certificate_pem is None

    acknowledge: tuple[str, ...]

    @property
    def acknowledged(self) -> tuple[str, ...]:
        """The steps that may come out of order, with the generations' names in the vault: `sign-clients-2`."""
        steps = (step.split("-") for step in self.acknowledge)
        return tuple(f"{verb}-{self.name}-{number}" for verb, number in steps)

    def policy(self, generation: int) -> IssuancePolicy:
        """Return what a generation's certificate is to be, unless it is brought along."""
        return IssuancePolicy(
            role=Role.AUTHORITY,
            subject=_subject(self, self.generations[generation].common_name),
            key_type=self.key_type,
            validity_days=self.validity_days,
            path_length=self.path_length,
            name_constraints=self.name_constraints,
        )


@dataclass(frozen=True, kw_only=True)
class CertificateSettings:
    """A leaf certificate; `issuer` is a key of `Settings.certificate_authorities`.

    A client calls the server `server_name`, and works in `namespace`.
    """

    name: str
    role: Role
    issuer: str
    common_name: str
    organization: str
    organizational_unit: str | None
    country: str | None
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    uris: tuple[str, ...]
    emails: tuple[str, ...]
    key_type: KeyType
    validity_days: int
    renew_before_days: int
    namespace: str
    server_name: str

    @property
    def policy(self) -> IssuancePolicy:
        """What the certificate is to be."""
        return IssuancePolicy(
            role=self.role,
            subject=_subject(self, self.common_name),
            subject_alternative_names=SubjectAlternativeNames.model_validate(
                {
                    "dns_names": self.dns_names,
                    "ip_addresses": self.ip_addresses,
                    "uris": self.uris,
                    "emails": self.emails,
                }
            ),
            key_type=self.key_type,
            validity_days=self.validity_days,
            renew_before_days=self.renew_before_days,
        )

    @property
    def names(self) -> CertificateNames:
        """What Temporal Cloud's filters look at; unlike the policy, for settings that no certificate can have too."""
        return CertificateNames(
            common_names=(self.common_name,),
            organizations=(self.organization,),
            organizational_units=(self.organizational_unit,) if self.organizational_unit else (),
            subject_alternative_names=(*self.dns_names, *self.ip_addresses, *self.uris, *self.emails),
        )


@dataclass(frozen=True, kw_only=True)
class CloudNamespaceSettings:
    """A namespace in Temporal Cloud: `authorities` are trusted there, `certificates` may connect to it.

    Both are keys of `Settings`. With `shared`, other certificates may match the filters. With `apply`, `up` itself
    sets what it trusts, and takes away with `exclusive` what somebody else added.
    """

    name: str
    authorities: tuple[str, ...]
    certificates: tuple[str, ...]
    filters: tuple[CertificateFilter, ...]
    shared: bool
    apply: bool
    exclusive: bool
    timeout_seconds: int | None


@dataclass(frozen=True, kw_only=True)
class WorkerIdentitySettings:
    """Who a worker is in Entra ID: an existing managed identity, or an application of its own.

    An application signs in with the tokens that `federated_credentials` describe, or else with a client secret.
    """

    name: str
    display_name: str
    roles: tuple[str, ...]
    federated_credentials: tuple[FederatedCredential, ...]
    managed_identity: Assignee | None


@dataclass(frozen=True, kw_only=True)
class SignOnSettings:
    """Sign-on from Entra ID. `tenant_id` is None for the subscription's; `roles` has the workers' too, had by nobody.

    `declared_roles` are those that the stack's file names, or the defaults.
    """

    tenant_id: str | None
    display_name: str
    ui_url: str
    redirect_uris: tuple[str, ...]
    declared_roles: dict[str, tuple[Assignee, ...]]
    owners: tuple[Assignee, ...]
    scope_form: ScopeForm
    admin_consent: bool
    azure_cli: bool
    client_secret: ClientSecret
    workers: dict[str, WorkerIdentitySettings]

    @property
    def callback_url(self) -> str:
        """Where people come back to the UI after signing in."""
        return f"{self.ui_url}{CALLBACK_PATH}"

    @property
    def roles(self) -> dict[str, tuple[Assignee, ...]]:
        """Every role that there is, with who is given it by name."""
        needed = dict.fromkeys(role for worker in self.workers.values() for role in worker.roles)
        return {**dict.fromkeys(needed, ()), **self.declared_roles}


def _subject(of: AuthoritySettings | CertificateSettings, common_name: str) -> Subject:
    return Subject(
        common_name=common_name,
        organization=of.organization,
        organizational_unit=of.organizational_unit,
        country=of.country,
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that a stack decides.

    `client_authorities` are those whose clients the frontend admits, under names that it has no override for.
    `sign_on` is None where `authorization: none` says so; what is said of it is idle then. `access.readers` may have
    the key `*`, for every certificate. `warnings` tell the user what is allowed and still unwise.
    """

    project: str
    stack: str
    location: str
    resource_group: str
    tags: dict[str, str]
    custody: Custody
    vaults: Vaults
    certificate_authorities: dict[str, AuthoritySettings]
    certificates: dict[str, CertificateSettings]
    frontend: Frontend
    client_authorities: tuple[str, ...]
    access: Access
    namespaces: tuple[str, ...]
    sign_on: SignOnSettings | None
    sign_on_is_idle: bool
    acknowledge: tuple[str, ...]
    temporal_cloud: dict[str, CloudNamespaceSettings]
    warnings: tuple[str, ...] = ()

    @property
    def in_vaults(self) -> bool:
        """Whether private keys are in Key Vault, and not in the state."""
        return self.custody is Custody.KEY_VAULT

    @property
    def workers(self) -> tuple[str, ...]:
        """The names of the workers' certificates."""
        return tuple(name for name in self.certificates if name not in (CLUSTER, UI, CLI))

    def above(self, authority: str) -> list[AuthoritySettings]:
        """Return the authorities above one, from its issuer on, as far as they exist."""
        return [self.certificate_authorities[name] for name in _above(authority, self.certificate_authorities)]

    def below(self, authority: str) -> list[CertificateSettings]:
        """Return the leaves that chain to an authority."""
        return [
            leaf
            for leaf in self.certificates.values()
            if authority in (leaf.issuer, *_above(leaf.issuer, self.certificate_authorities))
        ]

    def awaited_by(self, authority: str) -> str | None:
        """Return the generation that must get its certificate before an authority can issue, or None."""
        for each in (self.certificate_authorities[authority], *self.above(authority)):
            signing = each.signing_generation
            if signing is not None and signing.awaits_certificate:
                return signing.certificate_name
        return None

    @property
    def clients(self) -> dict[str, CertificateSettings]:
        """The certificates of the UI, the CLI and the workers."""
        return {name: leaf for name, leaf in self.certificates.items() if leaf.role is Role.CLIENT}

    @property
    def internode_authority(self) -> str:
        """The authority that issues the server's certificate."""
        return self.certificates[CLUSTER].issuer

    @property
    def admitted_authorities(self) -> tuple[str, ...]:
        """The authorities whose clients the frontend admits under one of its names."""
        overrides = (authority for override in self.host_overrides.values() for authority in override)
        return tuple(dict.fromkeys((*self.client_authorities, *overrides)))

    @property
    def host_overrides(self) -> dict[str, tuple[str, ...]]:
        """The frontend's other names, and the authorities whose clients are admitted under each."""
        return {host: override.authorities for host, override in self.frontend.host_overrides.items()}

    @property
    def trusted_generations(self) -> dict[str, int]:
        """How many generations of each authority are trusted."""
        return {name: len(authority.generations) for name, authority in self.certificate_authorities.items()}


def resolve(written: WrittenSettings, *, project: str, stack: str) -> Settings:
    """Fill in every default. Never fails: what does not fit together is found in the result (`settings.conflicts`)."""
    authorities = {
        name: AuthoritySettings(
            name=name,
            issuer=authority.issuer,
            organization=authority.organization or project,
            organizational_unit=authority.organizational_unit,
            country=authority.country,
            key_type=authority.key_type,
            validity_days=authority.validity_days,
            generations={
                number: GenerationSettings(
                    number=number,
                    renewal=generation.renewal,
                    common_name=f"{authority.common_name or f'{project} {stack} {name}'} {number}",
                    certificate_name=f"{name}-{number}",
                    certificate_pem=generation.certificate_pem,
                    vault_certificate=generation.vault_certificate,
                    issued_pem=generation.issued_pem,
                    awaits_certificate=_awaits_certificate(authority, generation, written.certificate_authorities),
                )
                for number, generation in authority.generations.items()
            },
            signing=_signing(authority),
            path_length=_path_length(name, written.certificate_authorities),
            name_constraints=None,
            idle=_idle(authority),
            acknowledge=authority.acknowledge,
        )
        for name, authority in written.certificate_authorities.items()
    }
    entries = {**dict.fromkeys((CLUSTER, UI, CLI), WrittenCertificate()), **written.certificates}
    if entries.keys() == {CLUSTER, UI, CLI}:
        entries[DEFAULT_WORKER] = WrittenCertificate()
    server_name = written.frontend.server_name
    namespace, hosts = written.frontend.namespace, written.frontend.host_overrides
    issuers = {name: entry.issuer or _default_issuer(name, authorities) for name, entry in entries.items()}
    issuing_for_clients = tuple(dict.fromkeys(issuer for name, issuer in issuers.items() if name != CLUSTER))
    under_a_host = {authority for override in hosts.values() for authority in override.authorities}
    client_authorities = (
        written.frontend.authorities
        or tuple(authority for authority in issuing_for_clients if authority not in under_a_host)
        or issuing_for_clients
    )

    def server_name_for(issuer: str) -> str:
        admitting = [host for host, override in hosts.items() if issuer in override.authorities]
        return admitting[0] if len(admitting) == 1 and issuer not in client_authorities else server_name

    certificates = {
        name: CertificateSettings(
            name=name,
            role=Role.NODE if name == CLUSTER else Role.CLIENT,
            issuer=issuers[name],
            common_name=entry.common_name or (server_name if name == CLUSTER else name),
            organization=entry.organization or project,
            organizational_unit=entry.organizational_unit,
            country=entry.country,
            dns_names=entry.dns_names or ((server_name, *hosts) if name == CLUSTER else ()),
            ip_addresses=entry.ip_addresses,
            uris=entry.uris,
            emails=entry.emails,
            key_type=entry.key_type,
            validity_days=entry.validity_days,
            renew_before_days=entry.renew_before_days,
            namespace=entry.namespace or namespace,
            server_name=entry.server_name or (server_name if name == CLUSTER else server_name_for(issuers[name])),
        )
        for name, entry in entries.items()
    }
    namespaces = written.namespaces or tuple(
        dict.fromkeys((namespace, *(leaf.namespace for leaf in certificates.values())))
    )
    authorities = {
        name: replace(authority, name_constraints=_name_constraints(name, authorities, certificates))
        for name, authority in authorities.items()
    }
    return Settings(
        project=project,
        stack=stack,
        location=written.location or "",
        resource_group=written.resource_group or f"{project}-{stack}",
        tags=written.tags,
        custody=written.custody,
        vaults=written.vaults,
        certificate_authorities=authorities,
        certificates=certificates,
        frontend=written.frontend,
        client_authorities=client_authorities,
        access=written.access,
        namespaces=namespaces,
        acknowledge=written.acknowledge,
        sign_on_is_idle=written.authorization is Authorization.NONE and bool(written.sign_on.model_fields_set),
        sign_on=None
        if written.authorization is Authorization.NONE
        else _sign_on(written.sign_on, certificates, namespaces, namespace=namespace, stack=stack),
        temporal_cloud={
            name: _cloud_namespace(name, namespace, certificates)
            for name, namespace in written.temporal_cloud.namespaces.items()
        },
    )


class _Issued(Protocol):
    """What may have an issuer."""

    @property
    def issuer(self) -> str | None: ...


def _above(name: str, authorities: Mapping[str, _Issued]) -> list[str]:
    """Return the names of the authorities above one, from its issuer on; where they go round, each once."""
    found: list[str] = []
    issuer = authorities[name].issuer if name in authorities else None
    while issuer is not None and issuer in authorities and issuer not in found:
        found.append(issuer)
        issuer = authorities[issuer].issuer
    return found


def _path_length(name: str, authorities: Mapping[str, _Issued]) -> int:
    ways = (_above(other, authorities) for other in authorities)
    return max((way.index(name) + 1 for way in ways if name in way), default=0)


def _name_constraints(
    name: str, authorities: Mapping[str, AuthoritySettings], certificates: Mapping[str, CertificateSettings]
) -> NameConstraints | None:
    """Return what may stand below an intermediate: the names of its leaves; a root is free."""
    if authorities[name].issuer is None:
        return None
    leaves = [leaf for leaf in certificates.values() if name in (leaf.issuer, *_above(leaf.issuer, authorities))]
    dns_names = {dns_name.removeprefix("*.").lower() for leaf in leaves for dns_name in leaf.dns_names}
    addresses = {address for leaf in leaves for address in leaf.ip_addresses}
    return NameConstraints.model_validate({"dns_names": sorted(dns_names), "ip_addresses": sorted(addresses)})


def _signing(authority: WrittenAuthority) -> int:
    return min(authority.generations, default=0) if authority.signing is None else authority.signing


def _awaits_certificate(
    authority: WrittenAuthority, generation: WrittenGeneration, authorities: Mapping[str, WrittenAuthority]
) -> bool:
    if generation.certificate_pem or generation.vault_certificate or generation.issued_pem:
        return False
    issuer = authorities.get(authority.issuer or "")
    signing = issuer.generations.get(_signing(issuer)) if issuer else None
    return signing is not None and signing.certificate_pem is not None


def _idle(authority: WrittenAuthority) -> tuple[str, ...]:
    """Return which settings are given and have no effect, because certificates exist already."""
    brought = {
        number: generation
        for number, generation in authority.generations.items()
        if generation.certificate_pem or generation.vault_certificate
    }
    fixed = brought | {number: each for number, each in authority.generations.items() if each.issued_pem}
    given = authority.model_fields_set - {"generations", "signing", "issuer"}
    return (
        *(to_camel(name) for name in sorted(given) if len(brought) == len(authority.generations)),
        *(f"generations[{number}].renewal" for number, generation in fixed.items() if generation.renewal),
    )


def _cloud_namespace(
    name: str, written: WrittenCloudNamespace, certificates: Mapping[str, CertificateSettings]
) -> CloudNamespaceSettings:
    own = [certificates[certificate] for certificate in written.certificates if certificate in certificates]
    issuers = (certificate.issuer for certificate in own if certificate.role is Role.CLIENT)
    by_name = (CertificateFilter(common_name=item.common_name, organization=item.organization) for item in own)
    return CloudNamespaceSettings(
        name=name,
        authorities=written.authorities or tuple(dict.fromkeys(filter(None, issuers))),
        certificates=written.certificates,
        filters=tuple(entry.certificate_filter for entry in written.filters) or tuple(dict.fromkeys(by_name)),
        shared=written.shared,
        apply=written.apply,
        exclusive=written.exclusive,
        timeout_seconds=written.timeout_seconds,
    )


def _sign_on(
    written: WrittenSignOn,
    certificates: Mapping[str, CertificateSettings],
    namespaces: Collection[str],
    *,
    namespace: str,
    stack: str,
) -> SignOnSettings:
    display_name = written.display_name or f"Temporal {stack}"
    defaults = (
        *(f"{name}:{role}" for name in namespaces for role in ("read", "write", "admin")),
        f"{SYSTEM_NAMESPACE}:read",
    )
    workers = [name for name in certificates if name not in (CLUSTER, UI, CLI)]
    return SignOnSettings(
        tenant_id=written.tenant_id,
        display_name=display_name,
        ui_url=written.ui_url,
        redirect_uris=written.redirect_uris,
        declared_roles=written.roles or dict.fromkeys(defaults, ()),
        owners=written.owners,
        scope_form=written.scope_form,
        admin_consent=written.admin_consent,
        azure_cli=written.azure_cli,
        client_secret=written.client_secret,
        workers={
            name: WorkerIdentitySettings(
                name=name,
                display_name=f"{display_name} {name}",
                roles=worker.roles or (f"{certificates[name].namespace if name in certificates else namespace}:write",),
                federated_credentials=worker.federated_credentials,
                managed_identity=Assignee(servicePrincipal=worker.managed_identity)
                if worker.managed_identity
                else None,
            )
            for name in dict.fromkeys((*workers, *written.workers))
            for worker in (written.workers.get(name, WorkerIdentity()),)
        },
    )


def _default_issuer(certificate: str, authorities: Collection[str]) -> str:
    """Return the authority that signs unless told otherwise, or nothing where that would be a guess."""
    preferred = "internode" if certificate == CLUSTER else "clients"
    if preferred in authorities:
        return preferred
    return next(iter(authorities)) if len(authorities) == 1 else ""
