"""Removes from a vault what a run has made there, and nothing else: certificates first, for their keys and secrets go
with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_fixed

from tools.verify_azure.bench import POLL_SECONDS
from tools.verify_azure.clients import Clients
from tools.verify_azure.target import held_names

_AT_ONCE = 8
_CONFLICT = 409
_CONFLICT_LIMIT_SECONDS = 60

_Removal = Callable[[str], Awaitable[Any]]


async def clean_up(clients: Clients, prefix: str, *, purge: bool) -> set[str]:
    """Delete everything whose name begins with `prefix`, and purge it if that is possible.

    Returns the names that are still there and should not be; without `purge`, deleted ones do not count.
    """
    certificates, keys, secrets = clients.certificates, clients.keys, clients.secrets

    async def delete_certificate(name: str) -> None:
        with suppress(ResourceNotFoundError):
            await certificates.delete_certificate_operation(name)
        await certificates.delete_certificate(name, _polling_interval=POLL_SECONDS)

    async def delete_key(name: str) -> None:
        await keys.delete_key(name, _polling_interval=POLL_SECONDS)

    async def delete_secret(name: str) -> None:
        await secrets.delete_secret(name, _polling_interval=POLL_SECONDS)

    deletions: list[tuple[Any, _Removal]] = [
        (certificates.list_properties_of_certificates(include_pending=True), delete_certificate),
        (keys.list_properties_of_keys(), delete_key),
        (secrets.list_properties_of_secrets(), delete_secret),
    ]
    purges: list[tuple[Any, _Removal]] = [
        (certificates.list_deleted_certificates(include_pending=True), certificates.purge_deleted_certificate),
        (keys.list_deleted_keys(), keys.purge_deleted_key),
        (secrets.list_deleted_secrets(), secrets.purge_deleted_secret),
    ]
    for listing, remove in deletions + (purges if purge else []):
        await _each(listing, prefix, remove)
    return {name for name in await held_names(clients, deleted=purge) if name.startswith(prefix)}


async def _each(listing: Any, prefix: str, remove: _Removal) -> None:
    """Remove what is listed; what will not go is found in the vault at the end."""
    places = asyncio.Semaphore(_AT_ONCE)
    names = {item.name async for item in listing if item.name.startswith(prefix)}

    async def removed(name: str) -> None:
        # A vault answers 409 while it is still at work on the same name.
        retrying = AsyncRetrying(
            retry=retry_if_exception(
                lambda error: isinstance(error, HttpResponseError) and error.status_code == _CONFLICT
            ),
            wait=wait_fixed(POLL_SECONDS),
            stop=stop_after_delay(_CONFLICT_LIMIT_SECONDS),
            reraise=True,
        )

        async def attempt() -> None:
            await remove(name)

        async with places:
            with suppress(HttpResponseError):
                await retrying(attempt)

    await asyncio.gather(*(removed(name) for name in names))
