"""A certificate authority whose keys are in the state: its generations, of which all are trusted and one signs."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_tls as tls

from components.certificate_authority import Authority
from components.held_in_state import StateCertificate, StateIssuer, private_key, subject_of
from provider.resources import AuthorityInState


@dataclass(frozen=True, kw_only=True)
class StateCertificateAuthorityArgs:
    """The authority, and the provider that signs its certificates."""

    authority: Authority
    provider: pulumi.ProviderResource


class StateCertificateAuthority(pulumi.ComponentResource):
    """An authority whose keys pulumi-tls makes, and signs leaves with.

    Its own certificates are not pulumi-tls': that leaves a path length of 0 out. `certificates` are by name;
    `bundle_pem` lists the trusted ones, the signing one first, and `closed_bundle_pem` the same, as there is nobody
    above them and no request that waits.
    """

    certificates: dict[str, StateCertificate]
    signing_requests: dict[str, pulumi.Output[str | None]]
    issuer: StateIssuer
    bundle_pem: pulumi.Output[list[str]]
    closed_bundle_pem: pulumi.Output[list[str]]

    def __init__(
        self, name: str, args: StateCertificateAuthorityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("temporal-azure:components:StateCertificateAuthority", name, None, opts)
        authority = args.authority
        keys: dict[int, tls.PrivateKey] = {}
        made: dict[int, StateCertificate] = {}
        for number, generation in sorted(authority.generations.items()):
            policy, certificate_name = authority.policy(number), generation.certificate_name
            keys[number] = private_key(
                certificate_name, policy.key_type, pulumi.ResourceOptions(parent=self), is_kept=True
            )
            certificate = AuthorityInState(
                certificate_name,
                policy=policy.model_dump(mode="json", by_alias=True, exclude_none=True),
                private_key_pem=keys[number].private_key_pem,
                renewal=generation.renewal,
                opts=pulumi.ResourceOptions(parent=self, provider=args.provider),
            )
            made[number] = StateCertificate.of(certificate_name, policy, certificate.certificate_pem)
        signing = authority.signing
        others = [item for number, item in made.items() if number != signing]
        self.certificates = {authority.generations[number].certificate_name: item for number, item in made.items()}
        self.issuer = StateIssuer(
            certificate_pem=made[signing].certificate_pem,
            private_key_pem=keys[signing].private_key_pem,
            chain_pem=[],
            subject=subject_of(authority.policy(signing)),
        )
        self.bundle_pem = pulumi.Output.all(*[item.certificate_pem for item in (made[signing], *others)])
        self.closed_bundle_pem, self.signing_requests = self.bundle_pem, {}
        self.register_outputs({"bundlePem": self.bundle_pem})
