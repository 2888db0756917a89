"""A leaf certificate whose key is in the state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pulumi
import pulumi_tls as tls

from components.held_in_state import (
    StateCertificate,
    StateIssuer,
    names_of,
    private_key,
    subject_of,
    usages_of,
)
from pki import IssuancePolicy
from provider.resources import Rollover, StandingInState, StepInState


@dataclass(frozen=True, kw_only=True)
class StateLeafArgs:
    """What a leaf is to be, and the authority that issues it, after `admitted_by` has been told of that one.

    `provider` keeps the order of the `rollover`.
    """

    policy: IssuancePolicy
    issuer: StateIssuer
    rollover: Rollover
    provider: pulumi.ProviderResource
    admitted_by: Sequence[pulumi.Resource] = ()


class StateLeaf(pulumi.ComponentResource):
    """A leaf that pulumi-tls makes; `certificate` has what is public of it, `private_key_pem` is a secret (PKCS #8).

    It is issued again inside its renewal window, with the same key, and when another key or name issues. A certificate
    of its authority that was renewed, under the same key and name, changes nothing of it. A step of a rollover that
    comes too early leaves it as it is.
    """

    certificate: StateCertificate
    private_key_pem: pulumi.Output[str]

    def __init__(self, name: str, args: StateLeafArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("temporal-azure:components:StateLeaf", name, None, opts)
        policy, issuer = args.policy, args.issuer
        children = pulumi.ResourceOptions(parent=self, provider=args.provider)
        step = StepInState(name, role=policy.role, rollover=args.rollover, opts=children)
        key = private_key(name, policy.key_type, pulumi.ResourceOptions(parent=self, depends_on=[step]))
        request = tls.CertRequest(
            name,
            private_key_pem=key.private_key_pem,
            subject=tls.CertRequestSubjectArgs(**subject_of(policy)),
            **names_of(policy),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[step]),
        )
        made = tls.LocallySignedCert(
            name,
            cert_request_pem=request.cert_request_pem,
            ca_cert_pem=issuer.admitting(policy),
            ca_private_key_pem=issuer.private_key_pem,
            **usages_of(policy),
            early_renewal_hours=policy.renew_before_days * 24,
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["caCertPem"],
                replacement_trigger=issuer.subject,
                depends_on=[step, *args.admitted_by],
            ),
        )
        issued = StateCertificate.of(name, policy, made.cert_pem, issuer)
        standing = StandingInState(
            name, role=policy.role, rollover=args.rollover, certificate_pem=issued.certificate_pem, opts=children
        )
        # Outputs are written all together or not at all, so with this one they all wait for the standing.
        self.certificate = replace(issued, certificate_pem=standing.certificate_pem)
        self.private_key_pem = pulumi.Output.secret(key.private_key_pem_pkcs8)
        self.register_outputs({"certificatePem": self.certificate.certificate_pem})
