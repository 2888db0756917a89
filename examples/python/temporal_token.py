"""A Temporal client that signs in: client certificate and access token, both as its environment says.

A token ends after an hour or so, a worker works for weeks. So `connected` asks for a new one in good time and hands it
to the live client, which sends it from its next call on: nobody connects again, and no poll is interrupted.

Every time a new credential asks. One that is kept would answer from its cache until five minutes before the end, and
would keep to itself that it got no new token. Asked at two thirds of the way, there is a third left to try again.
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias

from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError
from azure.identity.aio import DefaultAzureCredential
from temporalio.client import Client
from temporalio.envconfig import ClientConfig

Ask: TypeAlias = Callable[[], Awaitable[AccessToken]]
"""How to get a new token. Raises TokenError."""

RENEWED_AT = 2 / 3
"""How far into a token's remaining lifetime the next one is asked for."""

SHORTEST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
"""After an attempt that failed: at random below a limit that doubles up to this one, lest a fleet asks in step."""

_log = logging.getLogger(__name__)


class TokenError(Exception):
    """There is no token to be had, or none that is any good: the message says for what, and why."""


@asynccontextmanager
async def connected() -> AsyncIterator[Client]:
    """Connect as the environment says: with a token if TEMPORAL_TOKEN_SCOPE says what for, else without.

    To the end of the block the token is renewed. Raises TokenError when there is no first one, and what
    Client.connect raises.
    """
    config = ClientConfig.load_client_connect_config()
    scope = os.environ.get("TEMPORAL_TOKEN_SCOPE")
    if not scope:
        yield await Client.connect(**config)
        return
    ask = partial(token_for, scope)
    token = await ask()
    config["api_key"] = token.token
    client = await Client.connect(**config)
    async with renewed(client, token, ask):
        yield client


async def token_for(scope: str) -> AccessToken:
    """A new access token for `scope`, of whoever the environment says that we are; `expires_on` is in Unix time.

    That is who has AZURE_CLIENT_SECRET, else the workload identity of AZURE_FEDERATED_TOKEN_FILE, else the machine's
    managed identity, at AZURE_AUTHORITY_HOST. Raises TokenError.

    The credential of `azure.identity.aio` asks that host directly. Its synchronous twin would first ask Microsoft's
    public cloud whether there is such a host, and on a private cloud needs disable_instance_discovery=True.
    """
    try:
        async with DefaultAzureCredential() as credential:
            token = await credential.get_token(scope)
    except (AzureError, OSError, ValueError) as error:
        raise TokenError(f"no token for {scope}: {error}") from error
    if token.expires_on <= time.time():
        raise TokenError(f"the token for {scope} has ended before it came: is this machine's clock right?")
    return token


@asynccontextmanager
async def renewed(client: Client, token: AccessToken, ask: Ask) -> AsyncIterator[None]:
    """Give `client`, which has `token`, a new one of `ask` each time before the last one ends, until the block does.

    A failure is logged and tried again, for as long as it takes: the client keeps what it has, good or not.
    """
    renewal = asyncio.create_task(_renew(client, token, ask))
    try:
        yield
    finally:
        renewal.cancel()
        await asyncio.wait([renewal])


async def _renew(client: Client, token: AccessToken, ask: Ask) -> None:
    while True:
        # A managed identity may get the same token again. So this is a part of what is left, however often it is asked.
        await asyncio.sleep(max(SHORTEST_WAIT_SECONDS, RENEWED_AT * (token.expires_on - time.time())))
        token = await _next(token, ask)
        client.api_key = token.token
        _log.info("token renewed, for %.0f s", token.expires_on - time.time())


async def _next(token: AccessToken, ask: Ask) -> AccessToken:
    limit = SHORTEST_WAIT_SECONDS
    while True:
        try:
            return await ask()
        except Exception as error:  # whatever it is, without a token the worker is of no use
            limit = min(2 * limit, LONGEST_WAIT_SECONDS)
            wait = random.uniform(SHORTEST_WAIT_SECONDS, limit)
            _log.warning("token not renewed, %s; trying again in %.0f s: %s", _remaining(token), wait, error)
        await asyncio.sleep(wait)


def _remaining(token: AccessToken) -> str:
    seconds = token.expires_on - time.time()
    return f"the present one ends in {seconds:.0f} s" if seconds > 0 else f"the last one ended {-seconds:.0f} s ago"
