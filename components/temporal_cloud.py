"""What Temporal Cloud is given so that a namespace there admits this stack's clients: public data, and commands.

A function and no component: nothing is created in Azure, and nothing is named in the state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pulumi

from pki import CaBundle, CertificateFilter, file_commands, tcld_filters


class CloudNamespace(Protocol):
    """A namespace in Temporal Cloud: the authorities that it trusts, by name, and its certificate filters."""

    @property
    def authorities(self) -> Sequence[str]: ...

    @property
    def filters(self) -> Sequence[CertificateFilter]: ...


def temporal_cloud(
    namespaces: Mapping[str, CloudNamespace], ca_bundles: Mapping[str, pulumi.Output[list[str]]]
) -> dict[str, dict[str, Any]]:
    """Return the output `temporalCloud`, by the namespaces' ids; `ca_bundles` has each authority's certificates.

    Those above an authority belong to it: Temporal Cloud takes roots, and what others in the bundle issued.

    What does not come from a certificate is known before these are, so a preview shows it.
    """
    return {name: _facts(name, namespace, ca_bundles) for name, namespace in namespaces.items()}


def _facts(name: str, namespace: CloudNamespace, ca_bundles: Mapping[str, pulumi.Output[list[str]]]) -> dict[str, Any]:
    bundles = pulumi.Output.all(*[ca_bundles[authority] for authority in namespace.authorities])
    bundle = bundles.apply(lambda lists: CaBundle.of([*dict.fromkeys(pem for pems in lists for pem in pems)]))
    return {
        "caBundlePem": bundle.apply(lambda trusted: trusted.pem),
        "caBundleBase64": bundle.apply(lambda trusted: trusted.base64),
        "fingerprints": bundle.apply(lambda trusted: trusted.fingerprints),
        "filters": tcld_filters(namespace.filters),
        "commands": {
            **file_commands(name),
            "addCa": bundle.apply(lambda trusted: trusted.add_commands(name)),
        },
    }
