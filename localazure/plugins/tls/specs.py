"""The resource types that the stand-in serves, and what the SDK does not say of their properties."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import pulumi_tls

from localazure.plugins.shapes import Limits, Shape
from localazure.plugins.tls.keys import ALGORITHMS, CURVES
from localazure.plugins.tls.rules import Rule, at_least, not_empty, one_of
from localazure.plugins.tls.usages import EXTENDED_KEY_USAGES, KEY_USAGES

_NOT_EMPTY_NAMES: Final[Mapping[str, Rule]] = {"ipAddresses": not_empty, "uris": not_empty}
_CERTIFICATE_RULES: Final[Mapping[str, Rule]] = {
    "allowedUses": one_of(*sorted({*KEY_USAGES, *EXTENDED_KEY_USAGES})),
    "validityPeriodHours": at_least(0),
    "earlyRenewalHours": at_least(0),
    "maxPathLength": at_least(-1),
}
_CERTIFICATE_DEFAULTS: Final[Mapping[str, Any]] = {
    "earlyRenewalHours": 0,
    "isCaCertificate": False,
    "setSubjectKeyId": False,
    "readyForRenewal": False,
}
_CERTIFICATE_COMPUTED: Final = ("certPem", "validityStartTime", "validityEndTime")


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One resource type: what is asked of its inputs, and where its outputs come from.

    `rules` are for values, and for each item of a list of values. `defaults` are outputs where nothing is given, and
    `computed` are made with the resource. `updated` are inputs whose change replaces nothing. `key` is the input that
    holds a private key.
    """

    token: str
    rules: Mapping[str, Rule]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    computed: tuple[str, ...]
    secrets: frozenset[str]
    updated: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    """Inputs that stay as they are when they are not given any more."""
    key: str = ""

    @property
    def class_name(self) -> str:
        return self.token.split(":")[2]

    @property
    def is_certificate(self) -> bool:
        """Whether it ends, and is to be renewed."""
        return "validityEndTime" in self.computed

    @cached_property
    def inputs(self) -> Shape:
        """The shape of its inputs in the SDK."""
        return Shape(getattr(pulumi_tls, f"{self.class_name}Args"))

    @cached_property
    def limits(self) -> Limits:
        """Everything that the SDK knows, except for keys that are written and not kept."""
        known = frozenset(name for name in self.inputs.properties if "PemWo" not in name)
        return Limits({self.inputs.name: known}, f"is not known to the stand-in for tls: give '{self.key}'")


_KEYS: Final = frozenset({"privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"})

SPECS: Final[Mapping[str, Spec]] = {
    spec.token: spec
    for spec in (
        Spec(
            token="tls:index/privateKey:PrivateKey",
            rules={"algorithm": one_of(*ALGORITHMS), "ecdsaCurve": one_of(*CURVES)},
            defaults={"rsaBits": 2048, "ecdsaCurve": "P224"},
            computed=(
                *sorted(_KEYS),
                "publicKeyPem",
                "publicKeyOpenssh",
                "publicKeyFingerprintMd5",
                "publicKeyFingerprintSha256",
            ),
            secrets=_KEYS,
        ),
        Spec(
            token="tls:index/certRequest:CertRequest",
            rules=_NOT_EMPTY_NAMES,
            computed=("certRequestPem", "keyAlgorithm"),
            secrets=frozenset({"privateKeyPem"}),
            key="privateKeyPem",
        ),
        Spec(
            token="tls:index/selfSignedCert:SelfSignedCert",
            rules={**_NOT_EMPTY_NAMES, **_CERTIFICATE_RULES},
            defaults={**_CERTIFICATE_DEFAULTS, "setAuthorityKeyId": False},
            computed=(*_CERTIFICATE_COMPUTED, "keyAlgorithm"),
            secrets=frozenset({"privateKeyPem"}),
            updated=frozenset({"earlyRenewalHours"}),
            kept=frozenset({"maxPathLength"}),
            key="privateKeyPem",
        ),
        Spec(
            token="tls:index/locallySignedCert:LocallySignedCert",
            rules=_CERTIFICATE_RULES,
            defaults=_CERTIFICATE_DEFAULTS,
            computed=(*_CERTIFICATE_COMPUTED, "caKeyAlgorithm"),
            secrets=frozenset({"caPrivateKeyPem"}),
            updated=frozenset({"earlyRenewalHours"}),
            kept=frozenset({"maxPathLength"}),
            key="caPrivateKeyPem",
        ),
    )
}
