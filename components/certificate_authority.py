"""A certificate authority: its generations, of which all are trusted and one signs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import pulumi

from components.key_vault import KeyVault
from pki import IssuancePolicy
from provider.resources import Issuer, VaultCertificate, VaultCertificateArgs


class Generation(Protocol):
    """One key and name of an authority. `renewal` counts how often its certificate was renewed by hand."""

    @property
    def certificate_name(self) -> str: ...

    @property
    def renewal(self) -> int: ...


class Authority(Protocol):
    """What an authority is to be: its generations by number, the one that issues, and each one's policy."""

    @property
    def generations(self) -> Mapping[int, Generation]: ...

    @property
    def signing(self) -> int: ...

    def policy(self, generation: int) -> IssuancePolicy: ...


@dataclass(frozen=True, kw_only=True)
class CertificateAuthorityArgs:
    """The authority, and the vault that holds its keys."""

    authority: Authority
    vault: KeyVault
    tags: Mapping[str, str]
    provider: pulumi.ProviderResource


class CertificateAuthority(pulumi.ComponentResource):
    """An authority whose keys sign inside their vault and never leave it.

    `certificates` are by name in the vault; `bundle_pem` lists the trusted ones, the signing one first.
    """

    certificates: dict[str, VaultCertificate]
    issuer: Issuer
    bundle_pem: pulumi.Output[list[str]]

    def __init__(self, name: str, args: CertificateAuthorityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("temporal-azure:components:CertificateAuthority", name, None, opts)
        authority = args.authority
        generations = {
            number: VaultCertificate(
                generation.certificate_name,
                VaultCertificateArgs(
                    vault_id=args.vault.id,
                    vault_uri=args.vault.uri,
                    name=generation.certificate_name,
                    policy=authority.policy(number).model_dump(mode="json", by_alias=True, exclude_none=True),
                    renewal=generation.renewal,
                    tags=args.tags,
                ),
                opts=pulumi.ResourceOptions(parent=self, provider=args.provider, depends_on=args.vault.ready),
            )
            for number, generation in sorted(authority.generations.items())
        }
        signing = generations[authority.signing]
        others = [generation for number, generation in generations.items() if number != authority.signing]
        self.certificates = {
            authority.generations[number].certificate_name: item for number, item in generations.items()
        }
        self.issuer = Issuer(
            certificate_pem=signing.certificate_pem, key_id=signing.key_id, chain_pem=signing.chain_pem
        )
        self.bundle_pem = pulumi.Output.all(*[item.certificate_pem for item in (signing, *others)])
        self.register_outputs({"bundlePem": self.bundle_pem})
