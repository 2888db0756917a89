"""What an authority elsewhere is told to issue: a policy's extensions, as a configuration of openssl has them.

Source: x509v3_config(5).
"""

from __future__ import annotations

from pki.policy import IssuancePolicy


def extension_lines(policy: IssuancePolicy) -> list[str]:
    """Return the extensions of an authority under `policy`, one a line, for `openssl x509 -extfile`.

    Name constraints are given as DER: openssl has no words for a kind of which every name is excluded.
    """
    length = "" if policy.path_length is None else f",pathlen:{policy.path_length}"
    lines = [
        f"basicConstraints=critical,CA:TRUE{length}",
        "keyUsage=critical,digitalSignature,keyCertSign,cRLSign",
    ]
    if policy.name_constraints is not None:
        lines.append(f"nameConstraints=critical,DER:{policy.name_constraints.extension().public_bytes().hex()}")
    return [*lines, "subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid"]
