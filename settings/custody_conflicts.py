"""What a stack whose keys are in its state cannot have: what pulumi-tls cannot express, and what only vaults give.

One table: a setting that comes along and needs a vault, or a certificate that pulumi-tls cannot make, is one more row.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from settings.models import Model
from settings.problems import Location, Problem, quoted
from settings.resolved import Settings

_CUSTODY: Location = ("custody",)
_DROPPED = "pulumi-tls would issue the certificate without it, or otherwise."


_PLAIN = r"(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-F]{2})+"
_STAYS_AS_IT_IS = re.compile(rf"[a-z][a-z0-9+.-]*:{_PLAIN}(?:#{_PLAIN})?")


@dataclass(frozen=True)
class _Refusal:
    """What is refused: where it is found, with what is wrong there, and what follows and helps."""

    found: Callable[[Settings], Iterator[tuple[Location, str]]]
    consequence: str
    fix: str


def custody_conflicts(settings: Settings) -> Iterator[Problem]:
    """Find what custody `state` has no place for."""
    if not settings.in_vaults:
        for refusal in _REFUSALS:
            for location, what in refusal.found(settings):
                yield Problem(location, what, refusal.consequence, refusal.fix, rests_on=(_CUSTODY,))


def _vaults(settings: Settings) -> Iterator[tuple[Location, str]]:
    for name in _given(settings.vaults):
        yield ("vaults", name), "is set, and custody is state: there are no vaults"


def _access(settings: Settings) -> Iterator[tuple[Location, str]]:
    for name in _given(settings.access):
        yield ("access", name), "is set, and custody is state: no role guards the keys"


def _emails(settings: Settings) -> Iterator[tuple[Location, str]]:
    for certificate in settings.certificates.values():
        if certificate.emails:
            yield (
                ("certificates", certificate.name, "emails"),
                "names e-mail addresses, and custody is state: pulumi-tls has no place for them",
            )


def _mapped_addresses(settings: Settings) -> Iterator[tuple[Location, str]]:
    for certificate in settings.certificates.values():
        for index, text in enumerate(certificate.ip_addresses):
            address = ipaddress.ip_address(text)
            if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
                yield (
                    ("certificates", certificate.name, "ipAddresses", index),
                    f"is {quoted(text)}, and custody is state: pulumi-tls writes it as {address.ipv4_mapped}",
                )


def _rewritten_uris(settings: Settings) -> Iterator[tuple[Location, str]]:
    for certificate in settings.certificates.values():
        for index, uri in enumerate(certificate.uris):
            if not _STAYS_AS_IT_IS.fullmatch(uri):
                yield (
                    ("certificates", certificate.name, "uris", index),
                    f"is {quoted(uri)}, and custody is state: pulumi-tls does not write it as it stands",
                )


def _above(settings: Settings) -> Iterator[tuple[Location, str]]:
    for authority in settings.certificate_authorities.values():
        if authority.issuer is not None:
            yield (
                ("certificateAuthorities", authority.name, "issuer"),
                "is set, and custody is state: pulumi-tls has no place for the name constraints of an intermediate",
            )


def _brought_along(settings: Settings) -> Iterator[tuple[Location, str]]:
    for authority in settings.certificate_authorities.values():
        for generation in authority.generations.values():
            if generation.is_brought_along:
                yield (
                    ("certificateAuthorities", authority.name, "generations", str(generation.number)),
                    "is brought along, and custody is state: every authority's key is in the state then",
                )


def _given(model: Model) -> list[str]:
    """Return what somebody wrote of a map of settings, in the models' order."""
    fields = type(model).model_fields
    return [str(field.alias) for name, field in fields.items() if name in model.model_fields_set]


_REFUSALS = (
    _Refusal(
        _vaults,
        "It would have no effect.",
        "Leave it out, or use custody: key-vault.",
    ),
    _Refusal(
        _access,
        "It would have no effect: whoever may decrypt the stack's secrets can read every key and issue with it.",
        "Leave it out, and choose who may use the stack's secrets provider; or use custody: key-vault.",
    ),
    _Refusal(_above, _DROPPED, "Leave it out, so that it signs itself, or use custody: key-vault."),
    _Refusal(
        _brought_along,
        "Nothing could be issued by it.",
        "Let the stack make the authority, or use custody: key-vault.",
    ),
    _Refusal(_emails, _DROPPED, "Leave it out, name a URI instead, or use custody: key-vault."),
    _Refusal(_mapped_addresses, _DROPPED, "Write it as an IPv4 address."),
    _Refusal(
        _rewritten_uris,
        _DROPPED,
        "Write the scheme in lower case, encode what RFC 3986 does not allow as it is (%2F, in upper case), and leave "
        "an empty fragment out.",
    ),
)
