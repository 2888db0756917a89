"""Everything behind Temporal's mutual TLS: authorities in one vault and leaves in another, or all in the state.

Between authorities and leaves, namespaces of Temporal Cloud are told of the authorities: nothing is issued to a client
that its namespace would refuse. So a leaf waits for the namespaces that it may connect to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pulumi

from components.access import EVERY_LEAF, VaultRole, assign
from components.brought_along import BroughtAlong
from components.certificate import Certificate, CertificateArgs
from components.certificate_authority import Authority, CertificateAuthority, CertificateAuthorityArgs
from components.held_in_state import StateCertificate
from components.key_vault import AUTHORITIES, LEAVES, KeyVault, KeyVaultArgs, VaultPolicy
from components.state_certificate_authority import StateCertificateAuthority, StateCertificateAuthorityArgs
from components.state_leaf import StateLeaf, StateLeafArgs
from components.temporal_cloud import CloudNamespace, cloud_accesses, temporal_cloud
from pki import IssuancePolicy, Role, SubjectAlternativeNames
from provider.resources import ExistingAuthority, Rollover, VaultCertificate

_DEPLOYER_ROLES = {
    AUTHORITIES: (VaultRole.CERTIFICATES_OFFICER, VaultRole.CRYPTO_USER),
    LEAVES: (VaultRole.CERTIFICATES_OFFICER,),
}
"""What a deployer needs where: to make authorities and sign with them; to make leaves, without reading their keys."""


class Leaf(Protocol):
    """What a leaf is to be, and the name of the authority that issues it."""

    @property
    def policy(self) -> IssuancePolicy: ...

    @property
    def issuer(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class MutualTlsArgs:
    """The two vaults' names, by what they are for, which of these are recovered, and what goes into them, by name.

    `existing` are the authorities in other vaults, by their generations' names, and `client_authorities` those whose
    clients the frontend admits under one of its names. `cloud_namespaces` are those of Temporal Cloud, by their ids.
    Without vaults' names there are no vaults: then the keys are in the state.
    """

    vault_names: Mapping[str, str]
    recovered_vaults: Collection[str]
    vault_policy: VaultPolicy
    authorities: Mapping[str, Authority]
    leaves: Mapping[str, Leaf]
    client_authorities: Collection[str]
    cloud_namespaces: Mapping[str, CloudNamespace]
    existing: Mapping[str, ExistingAuthority] = field(default_factory=dict)


_Authority = CertificateAuthority | StateCertificateAuthority
_Admitting = Mapping[str, Sequence[pulumi.Resource]]
"""What a leaf waits for, by its name: the namespaces of Temporal Cloud that are to admit it."""


class MutualTls(pulumi.ComponentResource):
    """Authorities and leaves; the outputs say what is public of them, and where the rest is.

    What is below an authority that waits for its certificate is not declared. `ca_bundles` have what each authority is
    trusted by, and `closed_bundles` those above it, too: Temporal Cloud is given these. Private keys in the state are
    in `private_keys`, by the leaf's name: secrets, one by one.
    """

    certificates: dict[str, dict[str, Any]]
    signing_requests: dict[str, pulumi.Output[str | None]]
    ca_bundles: dict[str, pulumi.Output[list[str]]]
    closed_bundles: dict[str, pulumi.Output[list[str]]]
    key_vaults: dict[str, dict[str, pulumi.Output[str]]]
    private_keys: dict[str, pulumi.Output[str]]
    temporal_cloud: dict[str, dict[str, Any]]
    leaves_vault: KeyVault | None

    def __init__(self, name: str, args: MutualTlsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("temporal-azure:components:MutualTls", name, None, opts)
        vaults = self._vaults(args) if args.vault_names else {}
        authorities = self._authorities_in(vaults[AUTHORITIES], args) if vaults else self._authorities_in_state(args)
        nobody: pulumi.Output[list[str]] = pulumi.Output.from_input([])
        self.ca_bundles = dict.fromkeys(args.authorities, nobody) | {
            key: authority.bundle_pem for key, authority in authorities.items()
        }
        self.closed_bundles = dict.fromkeys(args.authorities, nobody) | {
            key: authority.closed_bundle_pem for key, authority in authorities.items()
        }
        self.signing_requests = {
            name: request for authority in authorities.values() for name, request in authority.signing_requests.items()
        }
        namespaces = args.cloud_namespaces
        children = pulumi.ResourceOptions(parent=self, provider=args.vault_policy.provider)
        accesses = cloud_accesses(namespaces, self.closed_bundles, children)
        self.temporal_cloud = temporal_cloud(namespaces, self.closed_bundles, accesses)
        admitting = {
            key: [access for name, access in accesses.items() if key in namespaces[name].certificates]
            for key in args.leaves
        }
        leaves = (
            self._leaves_in(vaults[LEAVES], args, authorities, admitting)
            if vaults
            else self._leaves_in_state(args, authorities, admitting)
        )
        self.leaves_vault = vaults.get(LEAVES)
        self.key_vaults = {key: {"name": vault.name, "id": vault.id, "uri": vault.uri} for key, vault in vaults.items()}
        self.private_keys = {key: leaf.private_key_pem for key, leaf in leaves.items() if isinstance(leaf, StateLeaf)}
        uris = {purpose: vaults[purpose].uri if vaults else None for purpose in _DEPLOYER_ROLES}
        self.certificates = {
            key: _facts(leaf.certificate, args.leaves[key].policy, uris[LEAVES]) for key, leaf in leaves.items()
        }
        for key, component in authorities.items():
            for number, generation in args.authorities[key].generations.items():
                if certificate := component.certificates.get(generation.certificate_name):
                    self.certificates[generation.certificate_name] = (
                        _facts_of_a_stranger(certificate)
                        if isinstance(certificate, BroughtAlong)
                        else _facts(certificate, args.authorities[key].policy(number), uris[AUTHORITIES])
                    )
        self.register_outputs(
            {
                "certificates": self.certificates,
                "caBundles": self.ca_bundles,
                "keyVaults": self.key_vaults,
                "temporalCloud": self.temporal_cloud,
            }
        )

    def _vaults(self, args: MutualTlsArgs) -> dict[str, KeyVault]:
        policy = args.vault_policy
        vaults = {
            purpose: KeyVault(
                purpose,
                KeyVaultArgs(
                    vault_name=args.vault_names[purpose],
                    recover=args.vault_names[purpose] in args.recovered_vaults,
                    deployer_roles=roles,
                    policy=policy,
                ),
                pulumi.ResourceOptions(parent=self),
            )
            for purpose, roles in _DEPLOYER_ROLES.items()
        }
        everywhere = policy.access.readers.get(EVERY_LEAF, ())
        assign(LEAVES, VaultRole.SECRETS_USER, vaults[LEAVES].id, everywhere, policy.subscription_id, self)
        return vaults

    def _authorities_in(self, vault: KeyVault, args: MutualTlsArgs) -> dict[str, _Authority]:
        policy = args.vault_policy
        authorities: dict[str, CertificateAuthority] = {}
        for key in _roots_first(args.authorities):
            authority = args.authorities[key]
            above = authorities.get(authority.issuer) if authority.issuer is not None else None
            if authority.issuer is not None and (above is None or above.issuer is None):
                continue
            authorities[key] = CertificateAuthority(
                key,
                CertificateAuthorityArgs(
                    authority=authority,
                    issuer=above.issuer if above else None,
                    existing=args.existing,
                    vault=vault,
                    tags=policy.tags,
                    provider=policy.provider,
                ),
                pulumi.ResourceOptions(parent=self),
            )
        return dict(authorities)

    def _authorities_in_state(self, args: MutualTlsArgs) -> dict[str, _Authority]:
        opts = pulumi.ResourceOptions(parent=self)
        provider = args.vault_policy.provider
        return {
            key: StateCertificateAuthority(
                key, StateCertificateAuthorityArgs(authority=authority, provider=provider), opts
            )
            for key, authority in args.authorities.items()
        }

    def _leaves_in(
        self, vault: KeyVault, args: MutualTlsArgs, authorities: Mapping[str, _Authority], admitting: _Admitting
    ) -> dict[str, Certificate | StateLeaf]:
        policy = args.vault_policy
        issuers = {
            key: authority.issuer
            for key, authority in authorities.items()
            if isinstance(authority, CertificateAuthority) and authority.issuer is not None
        }
        return {
            key: Certificate(
                key,
                CertificateArgs(
                    vault=vault,
                    certificate_name=key,
                    policy=leaf.policy,
                    issuer=issuers[leaf.issuer],
                    rollover=_rollover(key, args),
                    readers=policy.access.readers.get(key, ()),
                    subscription_id=policy.subscription_id,
                    tags=policy.tags,
                    provider=policy.provider,
                    admitted_by=admitting[key],
                ),
                pulumi.ResourceOptions(parent=self),
            )
            for key, leaf in args.leaves.items()
            if leaf.issuer in issuers
        }

    def _leaves_in_state(
        self, args: MutualTlsArgs, authorities: Mapping[str, _Authority], admitting: _Admitting
    ) -> dict[str, Certificate | StateLeaf]:
        issuers = {
            key: authority.issuer
            for key, authority in authorities.items()
            if isinstance(authority, StateCertificateAuthority)
        }
        return {
            key: StateLeaf(
                key,
                StateLeafArgs(
                    policy=leaf.policy,
                    issuer=issuers[leaf.issuer],
                    rollover=_rollover(key, args),
                    provider=args.vault_policy.provider,
                    admitted_by=admitting[key],
                ),
                pulumi.ResourceOptions(parent=self),
            )
            for key, leaf in args.leaves.items()
        }


def _roots_first(authorities: Mapping[str, Authority]) -> list[str]:
    """Return the names, each after its issuer's; issuers must exist and not go round."""

    def levels(name: str) -> int:
        issuer = authorities[name].issuer
        return 0 if issuer is None else 1 + levels(issuer)

    return sorted(authorities, key=levels)


def _rollover(key: str, args: MutualTlsArgs) -> Rollover:
    """Return where a leaf is to stand in the rollover of its authority."""
    leaf = args.leaves[key]
    authority = args.authorities[leaf.issuer]
    return Rollover(
        issued_by=authority.generations[authority.signing].certificate_name,
        trusted=_trusted(leaf, args),
        acknowledged=sorted(step for each in args.authorities.values() for step in each.acknowledged),
        peers=sorted(name for name, other in args.leaves.items() if other.issuer == leaf.issuer and name != key),
    )


def _trusted(leaf: Leaf, args: MutualTlsArgs) -> list[str]:
    """Return the names of the generations that those trust whom a leaf is shown to.

    A client shows itself to the frontend; the server's certificate is shown to nodes and to clients, who trust its own
    authority alone.
    """
    shown_to = args.client_authorities if leaf.policy.role is Role.CLIENT else (leaf.issuer,)
    generations = (generation for name in shown_to for generation in args.authorities[name].generations.values())
    return sorted(each.certificate_name for each in generations if not each.awaits_certificate)


def _facts(
    certificate: VaultCertificate | StateCertificate, policy: IssuancePolicy, vault_uri: pulumi.Output[str] | None
) -> dict[str, Any]:
    """Return what is public of a certificate; a key in a vault is there under `secretId`, for a leaf."""
    names = policy.subject_alternative_names
    secret_id = None if policy.role is Role.AUTHORITY else certificate.secret_id
    return {
        **_public(certificate, policy.role, names),
        "renewBeforeDays": policy.renew_before_days,
        "secretId": secret_id,
        "vaultUri": vault_uri,
    }


def _facts_of_a_stranger(certificate: BroughtAlong) -> dict[str, Any]:
    """Return the same of an authority that is in none of the stack's vaults."""
    public = _public(certificate, Role.AUTHORITY, SubjectAlternativeNames())
    return {**public, "renewBeforeDays": 0, "secretId": None, "vaultUri": ""}


def _public(
    certificate: VaultCertificate | StateCertificate | BroughtAlong, role: Role, names: SubjectAlternativeNames
) -> dict[str, Any]:
    return {
        "role": role.value,
        "subject": certificate.subject,
        "subjectAlternativeNames": names.model_dump(mode="json", by_alias=True),
        "issuer": certificate.issuer_subject,
        "serialNumber": certificate.serial_number,
        "notBefore": certificate.not_before,
        "notAfter": certificate.not_after,
        "certificateId": certificate.certificate_id,
        "keyId": certificate.key_id,
        "certificatePem": certificate.certificate_pem,
        "chainPem": certificate.chain_pem,
    }
