"""What a namespace's access is given, and what it is after: the shapes that live in the state. All of it is public.

The program imports this, too, so no client of Temporal is loaded here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel

from pki import CertificateFilter, bundle_findings, held, load_certificates, to_pem
from pki.cloud_access import fingerprint
from pki.filters import faults
from plugin import UNKNOWN, has_unknown
from provider.inputs import Model

NAMESPACE_ID: Final = r"^[a-zA-Z0-9][a-zA-Z0-9-]*\.[a-zA-Z0-9]+$"
"""`NAME.ACCOUNT`, as Temporal Cloud shows a namespace."""

ADDRESS_SETTING, API_KEY_SETTING, CA_FILE_SETTING = CLOUD_SETTINGS = (
    "temporalCloudAddress",
    "temporalCloudApiKey",
    "temporalCloudCaFile",
)
"""The provider's settings that are Temporal Cloud's."""

_LONGEST_NAMESPACE_ID = 255


def _one_certificate(pem: str) -> str:
    if (count := len(load_certificates(pem))) != 1:
        raise ValueError(f"must hold one certificate, and holds {count}; give each an entry of its own")
    return pem


class NamespaceAccessInputs(Model):
    """Who may come in to a namespace of Temporal Cloud with a certificate.

    `exclusive` also takes away what somebody else added. `timeout_seconds` is how long a change may take.
    """

    namespace: Annotated[str, Field(pattern=NAMESPACE_ID, max_length=_LONGEST_NAMESPACE_ID)]
    filters: tuple[CertificateFilter, ...] = ()
    certificate_authorities_pem: tuple[Annotated[str, AfterValidator(_one_certificate)], ...]
    exclusive: bool = False
    timeout_seconds: Annotated[int, Field(gt=0)] | None = None

    @field_validator("filters")
    @classmethod
    def _are_accepted(cls, given: tuple[CertificateFilter, ...]) -> tuple[CertificateFilter, ...]:
        if found := faults(given):
            raise ValueError(" ".join(map(str, found)))
        return given

    @field_validator("certificate_authorities_pem")
    @classmethod
    def _is_accepted(cls, given: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        # Filters that are wrong, or not yet known, are filters all the same.
        has_filters = bool(info.data.get("filters", True))
        if not given and info.data.get("filters"):
            raise ValueError(
                "names no certificate authority, and there are filters, which choose among the certificates of those "
                "that are accepted. Name one, or leave the filters out"
            )
        certificates = [load_certificates(pem)[0] for pem in given]
        if given and (findings := bundle_findings(held(certificates), filters=has_filters)):
            raise ValueError(f"would be refused as a CA bundle: {' '.join(map(str, findings))}")
        return given


INPUT_NAMES: Final = tuple(to_camel(name) for name in NamespaceAccessInputs.model_fields)

COMPUTED_NAMES: Final = ("fingerprints", "enabled", "resourceVersion", "state", "unmanaged")


def fingerprint_of(pem: str) -> str:
    """Return the fingerprint of the first certificate of a PEM text."""
    return fingerprint(load_certificates(pem)[0])


def inputs_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that a resource's state echoes."""
    return {name: state[name] for name in INPUT_NAMES if state.get(name) is not None}


def spelled_out(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return right inputs in the one spelling that is compared: PEM as `pki` writes it, defaults written out.

    What is not yet known stays so.
    """
    authorities, filters = inputs["certificateAuthoritiesPem"], inputs.get("filters") or []
    return {
        **{name: value for name, value in inputs.items() if value is not None},
        "certificateAuthoritiesPem": authorities
        if authorities == UNKNOWN
        else [pem if pem == UNKNOWN else to_pem(load_certificates(pem)[0]) for pem in authorities],
        "filters": filters if filters == UNKNOWN else [_given(each) for each in filters],
        "exclusive": inputs.get("exclusive") or False,
    }


def in_the_order_of(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new inputs, lists that differ from the old ones in nothing but their order as these have them."""

    def arranged(name: str) -> Any:
        before, after = old.get(name), new[name]
        if isinstance(before, list) and isinstance(after, list) and _sorted(before) == _sorted(after):
            return before
        return after

    return {name: arranged(name) for name in new}


def foreseen(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of an access that is yet to be granted: what the inputs alone say, and nothing else known."""
    authorities = inputs["certificateAuthoritiesPem"]
    known = not has_unknown(authorities)
    found = {"fingerprints": [fingerprint_of(pem) for pem in authorities]} if known else {}
    return {**inputs, **dict.fromkeys(COMPUTED_NAMES, UNKNOWN), **found}


def _sorted(values: list[Any]) -> list[str]:
    return sorted(json.dumps(value, sort_keys=True) for value in values)


def _given(each: Any) -> Any:
    return {name: value for name, value in each.items() if value is not None} if isinstance(each, Mapping) else each
