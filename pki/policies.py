"""Whether a chain has the certificate policy that somebody in it requires, as Go judges (RFC 5280, 6.1; RFC 9618).

Any policy will do: nobody tells Temporal which ones to ask for. Where policies are mapped to others, nothing is judged.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import CertificatePoliciesOID, ExtensionOID

from pki.held import Held

_ANY = CertificatePoliciesOID.ANY_POLICY


def without_required_policy(way: Sequence[Held | None]) -> Held | None:
    """Return who requires a policy that the way does not have, from the client up to the one that is trusted.

    None stands for a certificate that is yet to be issued, without policies.
    """
    if any(item.oid == ExtensionOID.POLICY_MAPPINGS for each in way if each for item in each.extensions or ()):
        return None
    below = [*reversed(way[:-1])]
    requiring: Held | None = None
    left = any_left = len(below) + 1
    common = {_ANY}
    for index, each in enumerate(below):
        is_last = index == len(below) - 1
        names_itself = each is not None and each.certificate.subject == each.certificate.issuer
        policies = each.extension(x509.CertificatePolicies) if each else None
        own = {policy.policy_identifier for policy in policies or ()}
        if _ANY in own and (any_left or (names_itself and not is_last)):
            pass
        elif _ANY in common:
            common = own - {_ANY}
        else:
            common &= own
        if not left and not common:
            return requiring
        if not names_itself or is_last:
            left, any_left = max(left - 1, 0), max(any_left - 1, 0)
        if each is None:
            continue
        constraints, inhibited = each.extension(x509.PolicyConstraints), each.extension(x509.InhibitAnyPolicy)
        skipped = constraints.require_explicit_policy if constraints else None
        if skipped is not None and (skipped < left if not is_last else not skipped):
            left, requiring = skipped, each
        if inhibited is not None:
            any_left = min(any_left, inhibited.skip_certs)
    return requiring if not left and not common else None
