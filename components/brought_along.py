"""Authorities that were there before: as a certificate alone, or in a Key Vault that is not the stack's.

Neither is a resource: nothing of them is made, changed or deleted here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pulumi

from pki import load_certificate
from provider.inputs import outputs
from provider.resources import ExistingAuthority, existing_authority


class Origin(Protocol):
    """Where a generation comes from: nothing is set for one that is made here."""

    @property
    def certificate_name(self) -> str: ...

    @property
    def certificate_pem(self) -> str | None: ...

    @property
    def vault_certificate(self) -> str | None: ...


class Generations(Protocol):
    """An authority's generations by number."""

    @property
    def generations(self) -> Mapping[int, Origin]: ...


@dataclass(frozen=True, kw_only=True)
class BroughtAlong:
    """What is public of it, under the names that a certificate in the stack's vaults has, too."""

    certificate_pem: pulumi.Output[str]
    chain_pem: pulumi.Output[list[str]]
    subject: pulumi.Output[str]
    issuer_subject: pulumi.Output[str]
    serial_number: pulumi.Output[str]
    not_before: pulumi.Output[str]
    not_after: pulumi.Output[str]
    certificate_id: pulumi.Output[Any]
    key_id: pulumi.Output[Any]

    @classmethod
    def of(
        cls, origin: Origin, existing: Mapping[str, ExistingAuthority], above: pulumi.Output[list[str]]
    ) -> BroughtAlong:
        """Return it, with those `above` it; `existing` has what is in vaults, by the generations' names."""
        held = existing.get(origin.certificate_name)
        certificate = load_certificate(held.certificate_pem if held else str(origin.certificate_pem))
        facts: dict[str, Any] = outputs(
            certificate,
            chain_pem=(),
            certificate_id=held.certificate_id if held else "",
            key_id=held.key_id if held else "",
            secret_id=None,
        )
        return cls(
            certificate_pem=pulumi.Output.from_input(facts["certificatePem"]),
            chain_pem=above,
            subject=pulumi.Output.from_input(facts["subject"]),
            issuer_subject=pulumi.Output.from_input(facts["issuerSubject"]),
            serial_number=pulumi.Output.from_input(facts["serialNumber"]),
            not_before=pulumi.Output.from_input(facts["notBefore"]),
            not_after=pulumi.Output.from_input(facts["notAfter"]),
            certificate_id=pulumi.Output.from_input(facts["certificateId"] or None),
            key_id=pulumi.Output.from_input(facts["keyId"] or None),
        )


def find_authorities(
    authorities: Mapping[str, Generations], opts: pulumi.InvokeOptions
) -> dict[str, ExistingAuthority]:
    """Read the authorities that are in a vault already, by their generations' names.

    Fails if one of them cannot issue what Temporal accepts, or cannot be read.
    """
    origins: Sequence[Origin] = [each for item in authorities.values() for each in item.generations.values()]
    return {
        each.certificate_name: existing_authority(each.vault_certificate, opts)
        for each in origins
        if each.vault_certificate is not None
    }
