"""Everything behind Temporal's mutual TLS: two vaults, the authorities in one, the leaves in the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pulumi

from components.access import EVERY_LEAF, VaultRole, assign
from components.certificate import Certificate, CertificateArgs
from components.certificate_authority import Authority, CertificateAuthority, CertificateAuthorityArgs
from components.key_vault import AUTHORITIES, LEAVES, KeyVault, KeyVaultArgs, VaultPolicy
from pki import IssuancePolicy, Role
from provider.resources import VaultCertificate

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
    """The two vaults' names, by what they are for, which of these are recovered, and what goes into them, by name."""

    vault_names: Mapping[str, str]
    recovered_vaults: Collection[str]
    vault_policy: VaultPolicy
    authorities: Mapping[str, Authority]
    leaves: Mapping[str, Leaf]


class MutualTls(pulumi.ComponentResource):
    """Authorities and leaves; the outputs say what is public of them, and where the rest is."""

    certificates: dict[str, dict[str, Any]]
    ca_bundles: dict[str, pulumi.Output[list[str]]]
    key_vaults: dict[str, dict[str, pulumi.Output[str]]]
    leaves_vault: KeyVault

    def __init__(self, name: str, args: MutualTlsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("temporal-azure:components:MutualTls", name, None, opts)
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
        readers = policy.access.readers
        everywhere = readers.get(EVERY_LEAF, ())
        assign(LEAVES, VaultRole.SECRETS_USER, vaults[LEAVES].id, everywhere, policy.subscription_id, self)
        authorities = {
            key: CertificateAuthority(
                key,
                CertificateAuthorityArgs(
                    authority=authority, vault=vaults[AUTHORITIES], tags=policy.tags, provider=policy.provider
                ),
                pulumi.ResourceOptions(parent=self),
            )
            for key, authority in args.authorities.items()
        }
        leaves = {
            key: Certificate(
                key,
                CertificateArgs(
                    vault=vaults[LEAVES],
                    certificate_name=key,
                    policy=leaf.policy,
                    issuer=authorities[leaf.issuer].issuer,
                    readers=readers.get(key, ()),
                    subscription_id=policy.subscription_id,
                    tags=policy.tags,
                    provider=policy.provider,
                ),
                pulumi.ResourceOptions(parent=self),
            )
            for key, leaf in args.leaves.items()
        }
        self.leaves_vault = vaults[LEAVES]
        self.key_vaults = {key: {"name": vault.name, "id": vault.id, "uri": vault.uri} for key, vault in vaults.items()}
        self.ca_bundles = {key: authority.bundle_pem for key, authority in authorities.items()}
        self.certificates = {
            key: _facts(leaf.certificate, args.leaves[key].policy, vaults[LEAVES]) for key, leaf in leaves.items()
        }
        for key, authority in args.authorities.items():
            for number, generation in authority.generations.items():
                name_in_vault = generation.certificate_name
                certificate = authorities[key].certificates[name_in_vault]
                self.certificates[name_in_vault] = _facts(certificate, authority.policy(number), vaults[AUTHORITIES])
        self.register_outputs(
            {"certificates": self.certificates, "caBundles": self.ca_bundles, "keyVaults": self.key_vaults}
        )


def _facts(certificate: VaultCertificate, policy: IssuancePolicy, vault: KeyVault) -> dict[str, Any]:
    """Return what is public of a certificate; the private key is in the vault, under `secretId` for a leaf."""
    names = policy.subject_alternative_names.model_dump(mode="json", by_alias=True)
    return {
        "role": policy.role.value,
        "subject": certificate.subject,
        "subjectAlternativeNames": names,
        "issuer": certificate.issuer_subject,
        "serialNumber": certificate.serial_number,
        "notBefore": certificate.not_before,
        "notAfter": certificate.not_after,
        "renewBeforeDays": policy.renew_before_days,
        "certificateId": certificate.certificate_id,
        "keyId": certificate.key_id,
        "secretId": None if policy.role is Role.AUTHORITY else certificate.secret_id,
        "vaultUri": vault.uri,
        "certificatePem": certificate.certificate_pem,
        "chainPem": certificate.chain_pem,
    }
