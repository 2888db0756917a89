"""A leaf certificate, and who may read its private key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.access import Principal, VaultRole, assign
from components.key_vault import KeyVault
from pki import IssuancePolicy
from provider.resources import Issuer, Rollover, VaultCertificate, VaultCertificateArgs


@dataclass(frozen=True, kw_only=True)
class CertificateArgs:
    """What a leaf is to be, the vault that holds it and the authority that issues it.

    `readers` may read this one's private key, which is a secret of the vault. It is issued after `admitted_by`: what is
    told beforehand of who issues it.
    """

    vault: KeyVault
    certificate_name: str
    policy: IssuancePolicy
    issuer: Issuer
    rollover: Rollover
    readers: Sequence[Principal]
    subscription_id: str
    tags: Mapping[str, str]
    provider: pulumi.ProviderResource
    admitted_by: Sequence[pulumi.Resource]


class Certificate(pulumi.ComponentResource):
    """A leaf whose key was made in its vault; `certificate` has what is public of it."""

    certificate: VaultCertificate

    def __init__(self, name: str, args: CertificateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("temporal-azure:components:Certificate", name, None, opts)
        self.certificate = VaultCertificate(
            name,
            VaultCertificateArgs(
                vault_id=args.vault.id,
                vault_uri=args.vault.uri,
                name=args.certificate_name,
                policy=args.policy.model_dump(mode="json", by_alias=True, exclude_none=True),
                issuer=args.issuer,
                rollover=args.rollover,
                tags=args.tags,
            ),
            opts=pulumi.ResourceOptions(
                parent=self, provider=args.provider, depends_on=[*args.vault.ready, *args.admitted_by]
            ),
        )
        scope = args.vault.id.apply(lambda vault: f"{vault}/secrets/{args.certificate_name}")
        assign(name, VaultRole.SECRETS_USER, scope, args.readers, args.subscription_id, self)
        self.register_outputs({"certificateId": self.certificate.certificate_id})
