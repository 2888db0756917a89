"""What to wait for, how long, and what to say when a vault refuses.

Three kinds of refusal deserve waiting. A role assignment takes minutes to reach the vaults (403, `ForbiddenByRbac`),
and reaches only tokens that were taken after it; throttling (429) and faults (5xx) are retried by the official
clients, as the service asks. Anything else, a firewall's 403 above all, fails at once.
Source: Key Vault service limits; "Common error codes for Azure Key Vault".
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_delay, wait_exponential

from cloud import CloudError, Session, inner_code, is_missing_role
from plugin import Engine, PluginError

PERMISSION_WAIT_SECONDS = 900.0
"""How long a missing permission is waited for: public reports say 5 to 15 minutes."""

KEY_CREATIONS, KEY_CREATION_PERIOD_SECONDS = 20, 10.0
"""How many keys a vault makes in how many seconds before it throttles."""

_CLOSED_NETWORK = ("ForbiddenByFirewall", "ForbiddenByConnection")

CERTIFICATES_OFFICER = "Key Vault Certificates Officer"
CRYPTO_USER = "Key Vault Crypto User"
SECRETS_OFFICER = "Key Vault Secrets Officer"
_SCOPES = {SECRETS_OFFICER: "this secret"}
"""Where a role is enough: on the whole vault an officer of secrets could read every leaf's key."""

_Result = TypeVar("_Result")


class Pace:
    """Lets the vault make as many keys as it does without throttling, in any window of time.

    A turn is free again a whole period after it ended. A leaky bucket would let twice as many through in the first
    period: those that it holds, and those that leak.
    """

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(KEY_CREATIONS)

    async def __aenter__(self) -> None:
        await self._turns.acquire()

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().call_later(KEY_CREATION_PERIOD_SECONDS, self._turns.release)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Calls a vault on behalf of one resource, waiting for what is worth it and saying so."""

    session: Session
    engine: Engine
    urn: str
    limit_seconds: float
    pace: Pace = field(repr=False)

    async def call(
        self,
        what: str,
        ask: Callable[[], Awaitable[_Result]],
        *,
        role: str = CERTIFICATES_OFFICER,
        expected: type[HttpResponseError] | None = None,
    ) -> _Result:
        """Return what `ask` returns; `what` names the thing that it does, and `role` what it needs, for messages.

        Raises PluginError for a refusal that waiting does not mend. An answer that means something to the caller
        (`expected`: 404 or 409) is raised as it is.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception(is_missing_role),
            wait=wait_exponential(multiplier=1, min=1, max=20),
            stop=stop_after_delay(self.limit_seconds),
            before_sleep=self._waiting(what),
            reraise=True,
        )

        async def attempt() -> _Result:
            return await ask()

        try:
            return await retrying(attempt)
        except (AzureError, CloudError) as error:
            if expected is not None and isinstance(error, expected):
                raise
            raise self._explained(what, role, error) from error

    async def create(
        self, what: str, ask: Callable[[], Awaitable[_Result]], *, expected: type[HttpResponseError] | None = None
    ) -> _Result:
        """As `call`, for a request that makes a key: at the pace that the vault allows."""
        async with self.pace:
            return await self.call(what, ask, expected=expected)

    def _waiting(self, what: str) -> Callable[[RetryCallState], Awaitable[None]]:
        async def wait(state: RetryCallState) -> None:
            elapsed = int(state.seconds_since_start or 0)
            message = (
                f"Waiting for permission to {what}: Azure takes minutes to pass a new role assignment on to a vault "
                f"({elapsed} s so far, at most {int(self.limit_seconds)} s)."
            )
            if state.attempt_number == 1:
                await self.engine.info(message, self.urn)
            await self.engine.status(message, self.urn)
            self.session.renew()

        return wait

    def _explained(self, what: str, role: str, error: AzureError | CloudError) -> PluginError:
        if isinstance(error, CloudError):
            return PluginError(str(error))
        if isinstance(error, ClientAuthenticationError):
            return PluginError(
                f"Could not sign in to Azure to {what}: {_sentence(error.message)} Nothing was changed by this step. "
                f"Sign in with `az login`, or check the ARM_* variables; see docs/azure.md."
            )
        if not isinstance(error, HttpResponseError):
            return PluginError(
                f"Could not reach the vault to {what}: {_sentence(error.message)} Nothing was changed by this step. "
                f"Check the network, and that the vault exists; then run the same command again."
            )
        code = inner_code(error)
        if is_missing_role(error):
            return PluginError(
                f"The vault refused to {what}: this identity lacks the role ({code}), and it did not come within "
                f"{int(self.limit_seconds)} s. What was begun is kept, and taken up by the next `up`. Give the "
                f'identity "{role}" on {_SCOPES.get(role, "the vault")}, or name it under access.deployers.'
            )
        reason = _sentence(error.message.partition("\n")[0])
        if error.status_code == 403:
            fix = (
                "Allow this machine's address under vaults.network, or run where the vault can be reached."
                if code in _CLOSED_NETWORK
                else "Find out who set it so: the vault's log and its access control say."
            )
            return PluginError(f"The vault refused to {what} ({code}): {reason} Waiting does not help here. {fix}")
        return PluginError(
            f"The vault failed to {what}: {error.status_code} {code}: {reason} What was begun is kept, and taken up by "
            f"the next `up`."
        )


def _sentence(text: str) -> str:
    return f"{text.strip().rstrip('.')}."


def paces() -> defaultdict[str, Pace]:
    """Return the pace of each vault, by its URI."""
    return defaultdict(Pace)
