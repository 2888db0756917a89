"""What Temporal Cloud is given so that a namespace there admits this stack's clients: set by `up`, or by commands.

Both are made of the same bundle and the same filters. All of it is public; nothing of it is created in Azure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pulumi

from pki import CaBundle, CertificateFilter, file_commands, tcld_filters
from provider.resources import CloudNamespaceAccess, CloudNamespaceAccessArgs

CaBundles = Mapping[str, pulumi.Output[list[str]]]


class CloudNamespace(Protocol):
    """A namespace in Temporal Cloud: the authorities that it trusts, by name, and its certificate filters.

    `certificates` are the names of those that may connect. With `apply`, `up` itself sets it up, and `exclusive` takes
    away what somebody else added there.
    """

    @property
    def authorities(self) -> Sequence[str]: ...

    @property
    def certificates(self) -> Sequence[str]: ...

    @property
    def filters(self) -> Sequence[CertificateFilter]: ...

    @property
    def apply(self) -> bool: ...

    @property
    def exclusive(self) -> bool: ...

    @property
    def timeout_seconds(self) -> int | None: ...


def cloud_accesses(
    namespaces: Mapping[str, CloudNamespace], ca_bundles: CaBundles, opts: pulumi.ResourceOptions
) -> dict[str, CloudNamespaceAccess]:
    """Declare who may come in to each namespace that is set up by `up` itself, by their ids, which name them too."""
    return {
        name: CloudNamespaceAccess(
            name,
            CloudNamespaceAccessArgs(
                namespace=name,
                certificate_authorities_pem=_bundle(namespace, ca_bundles).apply(lambda bundle: bundle.pems),
                filters=namespace.filters,
                exclusive=namespace.exclusive,
                timeout_seconds=namespace.timeout_seconds,
            ),
            opts,
        )
        for name, namespace in namespaces.items()
        if namespace.apply
    }


def temporal_cloud(
    namespaces: Mapping[str, CloudNamespace], ca_bundles: CaBundles, accesses: Mapping[str, CloudNamespaceAccess]
) -> dict[str, dict[str, Any]]:
    """Return the output `temporalCloud`, by the namespaces' ids; `ca_bundles` has each authority's certificates.

    Those above an authority belong to it: Temporal Cloud takes roots, and what others in the bundle issued.

    What does not come from a certificate is known before these are, so a preview shows it.
    """
    return {
        name: _facts(name, namespace, _bundle(namespace, ca_bundles), accesses.get(name))
        for name, namespace in namespaces.items()
    }


def _bundle(namespace: CloudNamespace, ca_bundles: CaBundles) -> pulumi.Output[CaBundle]:
    bundles = pulumi.Output.all(*[ca_bundles[authority] for authority in namespace.authorities])
    return bundles.apply(lambda lists: CaBundle.of([*dict.fromkeys(pem for pems in lists for pem in pems)]))


def _facts(
    name: str, namespace: CloudNamespace, bundle: pulumi.Output[CaBundle], access: CloudNamespaceAccess | None
) -> dict[str, Any]:
    return {
        "caBundlePem": bundle.apply(lambda trusted: trusted.pem),
        "caBundleBase64": bundle.apply(lambda trusted: trusted.base64),
        "fingerprints": bundle.apply(lambda trusted: trusted.fingerprints),
        "filters": tcld_filters(namespace.filters),
        "applied": access is not None,
        "unmanaged": access.unmanaged if access else [],
        "commands": {
            **file_commands(name),
            "addCa": bundle.apply(lambda trusted: trusted.add_commands(name)),
        },
    }
