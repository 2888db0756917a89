"""A client secret of an application that is replaced in time, with no moment in which the one in use is not valid.

There are two at any time. Time is cut into periods of half a secret's validity; the secret of this period is the one in
use, and the one of the period before stays valid beside it until the next begins. So a rotation ends nothing that
somebody still uses, and which secret is due follows from the day alone. Both are in the state, encrypted; the one in
use is in Key Vault too, where there are vaults, for platforms that read it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

import pulumi
import pulumi_azuread as azuread

from components.access import Principal, VaultRole, assign
from components.key_vault import KeyVault, VaultPolicy, once_checked
from provider.resources import VaultSecret, VaultSecretArgs

_FIRST_DAY = date(1970, 1, 1)
_SLOTS = ("even", "odd")


class Validity(Protocol):
    """How long secrets are valid, and how often they were all replaced by hand."""

    @property
    def validity_days(self) -> int: ...

    @property
    def rotation(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class SecretPolicy:
    """What the client secrets of a stack have in common: how long they are valid, and their vault, if any.

    `today` is in UTC.
    """

    validity: Validity
    today: date
    vault: KeyVault | None
    vault_policy: VaultPolicy


@dataclass(frozen=True, kw_only=True)
class ClientSecretArgs:
    """Whose secret it is. `readers` may read it in Key Vault."""

    application_id: pulumi.Input[str]
    policy: SecretPolicy
    readers: Sequence[Principal]


class ClientSecret(pulumi.ComponentResource):
    """The secret in use. `value` is a secret of the stack; `facts` are public: its end, and where Key Vault has it."""

    value: pulumi.Output[str]
    facts: dict[str, pulumi.Input[str | int] | None]

    def __init__(self, name: str, args: ClientSecretArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("temporal-azure:components:ClientSecret", name, None, opts)
        validity = args.policy.validity
        current = period(args.policy.today, validity.validity_days)
        passwords = {
            number: azuread.ApplicationPassword(
                f"{name}-{_SLOTS[number % 2]}",
                application_id=args.application_id,
                display_name=f"{name} {_SLOTS[number % 2]}",
                end_date=end_of(number, validity.validity_days),
                rotate_when_changed={"rotation": str(validity.rotation)},
                opts=pulumi.ResourceOptions(parent=self),
            )
            for number in (current, current - 1)
        }
        self.value = pulumi.Output.secret(passwords[current].value)
        not_after = end_of(current, validity.validity_days)
        vault = args.policy.vault
        kept = self._kept(name, args, vault, not_after) if vault else None
        self.facts = {
            "notAfter": not_after,
            "renewBeforeDays": validity.validity_days - _length(validity.validity_days),
            "secretId": kept.secret_id if kept else None,
        }
        self.register_outputs(self.facts)

    def _kept(self, name: str, args: ClientSecretArgs, vault: KeyVault, not_after: str) -> VaultSecret:
        policy = args.policy.vault_policy
        scope = vault.id.apply(lambda vault_id: f"{vault_id}/secrets/{name}")
        subscription, uri = policy.subscription_id, vault.uri
        ready: list[pulumi.Resource] = []
        if policy.access.manage:
            ready += assign(name, VaultRole.SECRETS_OFFICER, scope, policy.access.deployers, subscription, self)
            assign(name, VaultRole.SECRETS_USER, scope, args.readers, subscription, self)
        else:
            uri = once_checked(uri, scope, (VaultRole.SECRETS_OFFICER,), policy, self)
        return VaultSecret(
            name,
            VaultSecretArgs(
                vault_id=vault.id,
                vault_uri=uri,
                name=name,
                value=self.value,
                content_type="text/plain",
                not_after=not_after,
                tags=policy.tags,
            ),
            opts=pulumi.ResourceOptions(parent=self, provider=policy.provider, depends_on=[*vault.ready, *ready]),
        )


def period(today: date, validity_days: int) -> int:
    """Return the number of the period that a day is in."""
    return (today - _FIRST_DAY).days // _length(validity_days)


def end_of(number: int, validity_days: int) -> str:
    """Return when the secret of a period ends, as RFC 3339: it outlives the whole next period."""
    day = _FIRST_DAY + timedelta(days=number * _length(validity_days) + validity_days)
    return datetime.combine(day, time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _length(validity_days: int) -> int:
    """Return how many days a period has."""
    return validity_days // 2
