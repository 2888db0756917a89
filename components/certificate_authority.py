"""A certificate authority: its generations, of which all are trusted and one signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pulumi

from components.brought_along import BroughtAlong, Origin
from components.key_vault import KeyVault
from pki import IssuancePolicy
from provider.resources import ExistingAuthority, Issuer, VaultCertificate, VaultCertificateArgs


class Generation(Origin, Protocol):
    """One key and name of an authority. `renewal` counts how often its certificate was renewed by hand.

    `issued_pem` is what an issuer whose key is elsewhere made from its signing request; until then it
    `awaits_certificate`.
    """

    @property
    def renewal(self) -> int: ...

    @property
    def issued_pem(self) -> str | None: ...

    @property
    def awaits_certificate(self) -> bool: ...


class Authority(Protocol):
    """What an authority is to be: its generations by number, the one that issues, each one's policy, its issuer.

    `acknowledged` are steps of its rollover that may come out of order.
    """

    @property
    def issuer(self) -> str | None: ...

    @property
    def generations(self) -> Mapping[int, Generation]: ...

    @property
    def signing(self) -> int: ...

    @property
    def acknowledged(self) -> Sequence[str]: ...

    def policy(self, generation: int) -> IssuancePolicy: ...


@dataclass(frozen=True, kw_only=True)
class CertificateAuthorityArgs:
    """The authority, who issues it, the vault that holds its keys, and those that are in other vaults, by name."""

    authority: Authority
    issuer: Issuer | None
    existing: Mapping[str, ExistingAuthority]
    vault: KeyVault
    tags: Mapping[str, str]
    provider: pulumi.ProviderResource


class CertificateAuthority(pulumi.ComponentResource):
    """An authority whose keys sign inside their vault and never leave it.

    `certificates` are by name in the vault, without those that wait for an issuer whose key is elsewhere; it signs
    `signing_requests`. `bundle_pem` lists the trusted ones, the signing one first, and `closed_bundle_pem` whoever is
    above them, too. There is no `issuer` while the signing one waits; without a key it issues nothing here.
    """

    certificates: dict[str, VaultCertificate | BroughtAlong]
    signing_requests: dict[str, pulumi.Output[str | None]]
    issuer: Issuer | None
    bundle_pem: pulumi.Output[list[str]]
    closed_bundle_pem: pulumi.Output[list[str]]

    def __init__(self, name: str, args: CertificateAuthorityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("temporal-azure:components:CertificateAuthority", name, None, opts)
        authority = args.authority
        above = _chain_from(args.issuer)
        is_issued_elsewhere = args.issuer is not None and args.issuer["key_id"] is None
        generations: dict[int, VaultCertificate | BroughtAlong] = {}
        self.signing_requests = {}
        for number, generation in sorted(authority.generations.items()):
            if generation.certificate_pem is not None or generation.vault_certificate is not None:
                generations[number] = BroughtAlong.of(generation, args.existing, above)
                continue
            made = VaultCertificate(
                generation.certificate_name,
                VaultCertificateArgs(
                    vault_id=args.vault.id,
                    vault_uri=args.vault.uri,
                    name=generation.certificate_name,
                    policy=authority.policy(number).model_dump(mode="json", by_alias=True, exclude_none=True),
                    issuer=args.issuer,
                    renewal=generation.renewal,
                    tags=args.tags,
                    issued_pem=generation.issued_pem,
                ),
                opts=pulumi.ResourceOptions(parent=self, provider=args.provider, depends_on=args.vault.ready),
            )
            if is_issued_elsewhere:
                self.signing_requests[generation.certificate_name] = made.signing_request_pem
            if not is_issued_elsewhere or generation.issued_pem is not None:
                generations[number] = made
        signing = generations.get(authority.signing)
        others = [generation for number, generation in generations.items() if number != authority.signing]
        trusted = others if signing is None else [signing, *others]
        self.certificates = {
            authority.generations[number].certificate_name: item for number, item in generations.items()
        }
        self.issuer = None
        if signing is not None:
            is_elsewhere = authority.generations[authority.signing].certificate_pem is not None
            self.issuer = Issuer(
                certificate_pem=signing.certificate_pem,
                key_id=None if is_elsewhere else signing.key_id,
                chain_pem=signing.chain_pem,
            )
        self.bundle_pem = pulumi.Output.all(*[item.certificate_pem for item in trusted])
        self.closed_bundle_pem = pulumi.Output.all(self.bundle_pem, above).apply(lambda parts: [*parts[0], *parts[1]])
        self.register_outputs({"bundlePem": self.bundle_pem})


def _chain_from(issuer: Issuer | None) -> pulumi.Output[list[str]]:
    if issuer is None:
        return pulumi.Output.from_input([])
    parts = pulumi.Output.all(issuer["certificate_pem"], issuer["chain_pem"])
    return parts.apply(lambda found: [found[0], *found[1]])
