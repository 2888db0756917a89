"""What is said of an authority whatever holds its key: that it ends, and that it must stay who it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509

from pki import Role
from plugin import Engine, PluginError

_IDENTITY_OF_AN_AUTHORITY: Final = ("policy.role.", "policy.keyType.", "policy.subject.")
_AUTHORITY_WARNING: Final = timedelta(days=180)


def refuse_another_authority(old: Mapping[str, Any], changes: Iterable[str]) -> None:
    """Raise PluginError if the changes of an authority that exists would make it another one."""
    if old["policy"]["role"] != Role.AUTHORITY or old.get("certificatePem") is None:
        return
    if changed := [path for path in changes if f"{path}.".startswith(_IDENTITY_OF_AN_AUTHORITY)]:
        raise PluginError(
            f'{", ".join(changed)} of the authority "{old["name"]}" changed. A new key or name is another '
            f"authority: every certificate that this one issued would be refused at once. Nothing was changed. "
            f"Put the old value back and add a generation under certificateAuthorities; see "
            f"docs/runbooks/roll-over-an-authority.md."
        )


async def warn_of_the_end(engine: Engine, urn: str, certificate: x509.Certificate, now: datetime) -> None:
    """Warn of an authority that ends soon, or has ended."""
    ends = certificate.not_valid_after_utc
    if ends - now <= _AUTHORITY_WARNING:
        await engine.warning(
            f"This authority {'ended' if ends <= now else 'ends'} on {ends:%Y-%m-%d}; what it issued ends with it. "
            f"It is not renewed by itself: raise its renewal, or roll it over; see "
            f"docs/runbooks/roll-over-an-authority.md.",
            urn,
        )
