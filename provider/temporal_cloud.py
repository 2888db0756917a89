"""Temporal's Cloud Operations API: where it is, the key to it, what to wait for, and what to say when it refuses.

The key goes into the request's header and nowhere else: it is left out of `repr`, and taken out of what the service
says. Without TLS, or trusting another authority than the machine's, only this machine itself is spoken to.
Waited for are throttling and an API that is not there, which tcld waits for too; anything else fails at once.
Source: temporalio/cloud-api, whose messages the installed `temporalio` has; temporalio/tcld, app/connection.go.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from temporalio.client import CloudOperationsClient
from temporalio.service import CloudService, RPCError, RPCStatusCode, TLSConfig
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential_jitter

from plugin import UNKNOWN, Engine, PluginError
from provider.namespace_inputs import ADDRESS_SETTING, API_KEY_SETTING, CA_FILE_SETTING, CLOUD_SETTINGS

ADDRESS: Final = "saas-api.tmprl.cloud:443"

API_KEY_VARIABLE: Final = "TEMPORAL_CLOUD_API_KEY"

_API_VERSION = "v0.16.0"
"""The newest that the messages of the installed `temporalio` name: fields of a later one would be lost."""

_CALL_SECONDS = 30.0
_REACHABLE_WITHIN_SECONDS = 60.0
_WORTH_WAITING = (RPCStatusCode.RESOURCE_EXHAUSTED, RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED)
_TIMED_OUT = "Timeout expired"
"""How the client says that a call took too long: a status of its own making, CANCELLED."""
_NOT_CONNECTED = "Failed client connect"

_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class CloudAccount:
    """The API's address and the key to it."""

    host_and_port: str
    tls: bool
    ca_file: Path | None = None
    api_key: str | None = field(default=None, repr=False)

    @classmethod
    def found(cls, environ: Mapping[str, str], settings: Mapping[str, Any]) -> CloudAccount:
        """Return the account that the provider's settings and the environment describe.

        Raises PluginError if that is an address which must not, or cannot, be given a key.
        """
        given = {
            name: str(value).strip() for name in CLOUD_SETTINGS if (value := settings.get(name)) not in (None, UNKNOWN)
        }
        address, ca_file = given.get(ADDRESS_SETTING) or ADDRESS, given.get(CA_FILE_SETTING)
        scheme, host, port = _parsed(address)
        local = _is_loopback(host)
        if scheme == "http" and (ca_file or not local):
            raise _wrong(ADDRESS_SETTING, address, "would send the API key in the clear", "Use https://HOST:PORT")
        if ca_file and not local:
            raise _wrong(
                CA_FILE_SETTING,
                ca_file,
                f"says whom to trust instead of this machine's authorities, which is for addresses of this machine "
                f"only, and {host} is none",
                "Leave it out",
            )
        api_key = given.get(API_KEY_SETTING) or environ.get(API_KEY_VARIABLE, "").strip() or None
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise PluginError(
                f"The API key of Temporal Cloud has characters that no API key has. Nothing was asked of Temporal "
                f"Cloud. Look at temporalazure:{API_KEY_SETTING}, or at {API_KEY_VARIABLE}: the key is one line."
            )
        host = f"[{host}]" if ":" in host else host
        return cls(
            host_and_port=f"{host}:{port}",
            tls=scheme == "https",
            ca_file=Path(ca_file) if ca_file else None,
            api_key=api_key,
        )

    async def service(self) -> CloudService:
        """Return a client, which connects when it is first used. Raises PluginError if there is no key."""
        if self.api_key is None:
            raise PluginError(
                f"There is no API key for Temporal Cloud, so nothing was asked of it. Set temporalazure:"
                f"{API_KEY_SETTING} as a secret (`pulumi config set --secret`), or the environment variable "
                f"{API_KEY_VARIABLE}."
            )
        tls: bool | TLSConfig = self.tls
        if self.ca_file is not None:
            try:
                tls = TLSConfig(server_root_ca_cert=self.ca_file.read_bytes())
            except OSError as error:
                raise _wrong(
                    CA_FILE_SETTING, str(self.ca_file), f"cannot be read ({error.strerror})", "Leave it out"
                ) from error
        client = await CloudOperationsClient.connect(
            api_key=self.api_key, version=_API_VERSION, target_host=self.host_and_port, tls=tls, lazy=True
        )
        return client.cloud_service

    def hushed(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self.api_key, "…") if self.api_key else text


@dataclass(frozen=True, kw_only=True)
class TemporalCloud:
    """Calls the API on behalf of one resource, for a limited time from now on."""

    account: CloudAccount
    service: CloudService
    engine: Engine
    urn: str
    limit_seconds: float
    _began: float = field(default_factory=lambda: time.monotonic(), repr=False)

    @property
    def elapsed(self) -> float:
        """How long this has been at work, in seconds."""
        return time.monotonic() - self._began

    @property
    def left(self) -> float:
        """How long it may still take, in seconds; 0 at the end."""
        return max(0.0, self.limit_seconds - self.elapsed)

    async def call(
        self,
        what: str,
        method: Callable[..., Awaitable[_Result]],
        request: Any,
        *,
        expected: Collection[RPCStatusCode] = (),
    ) -> _Result:
        """Return what a method of the service answers; `what` names what it does, for messages.

        Raises PluginError for a refusal that waiting does not mend; one that is `expected` is raised as it is.
        """
        retrying = AsyncRetrying(
            retry=retry_if_exception(_worth_waiting),
            wait=wait_exponential_jitter(initial=1, max=20),
            stop=self._must_stop,
            before_sleep=self._waiting(what),
            reraise=True,
        )

        async def attempt() -> _Result:
            seconds = min(_CALL_SECONDS, max(self.left, 1.0))
            return await method(request, retry=False, timeout=timedelta(seconds=seconds))

        try:
            return await retrying(attempt)
        except RPCError as error:
            if error.status in expected:
                raise
            raise self.explained(what, error) from error
        except RuntimeError as error:
            if not str(error).startswith(_NOT_CONNECTED):
                raise
            raise PluginError(
                f"Could not reach Temporal Cloud at {self.account.host_and_port} to {what}: "
                f"{self._quoted(str(error))} Nothing was changed by this step. Check the network, and "
                f"temporalazure:{ADDRESS_SETTING}; then run the same command again."
            ) from error

    def explained(self, what: str, error: RPCError) -> PluginError:
        """Return a refusal as a person needs it."""
        said = self._quoted(error.message)
        match error.status:
            case RPCStatusCode.UNAUTHENTICATED:
                return PluginError(
                    f"Temporal Cloud did not accept the API key to {what}: {said} Nothing was changed by this step. "
                    f"Give a key that is valid and enabled: temporalazure:{API_KEY_SETTING}, or {API_KEY_VARIABLE}."
                )
            case RPCStatusCode.PERMISSION_DENIED:
                return PluginError(
                    f"Temporal Cloud does not let this API key {what}: {said} Nothing was changed by this step. Its "
                    f"owner needs the permission Namespace Admin on the namespace, or an account role that has it."
                )
            case RPCStatusCode.NOT_FOUND:
                return PluginError(
                    f"Temporal Cloud found nothing when asked to {what}: {said} Nothing was changed by this step. "
                    f"Check the namespace's ID (NAME.ACCOUNT), and that the API key is of that account."
                )
            case status if _worth_waiting(error):
                return PluginError(
                    f"Temporal Cloud did not {what} within {int(self.elapsed)} s ({status.name}): {said} What was "
                    f"begun goes on there, and is taken up by the next `up`. Run the same command again later, or "
                    f"give it longer with timeoutSeconds."
                )
            case status:
                return PluginError(
                    f"Temporal Cloud refused to {what} ({status.name}): {said} Nothing was changed by this step. "
                    f"Mend what it names, then run the same command again."
                )

    def _must_stop(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        limit = self.left if isinstance(error, RPCError) else min(self.left, _REACHABLE_WITHIN_SECONDS - self.elapsed)
        return state.upcoming_sleep >= limit

    def _waiting(self, what: str) -> Callable[[RetryCallState], Awaitable[None]]:
        async def wait(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            throttled = isinstance(error, RPCError) and error.status is RPCStatusCode.RESOURCE_EXHAUSTED
            message = (
                f"Waiting to {what}: Temporal Cloud {'asks for patience' if throttled else 'does not answer'} "
                f"({int(self.elapsed)} s so far, at most {int(self.limit_seconds)} s)."
            )
            if state.attempt_number == 1:
                await self.engine.info(message, self.urn)
            await self.engine.status(message, self.urn)

        return wait

    def _quoted(self, text: str) -> str:
        return f"{self.account.hushed(text).strip().rstrip('.')}."


def _worth_waiting(error: BaseException) -> bool:
    if isinstance(error, RPCError):
        timed_out = error.status is RPCStatusCode.CANCELLED and error.message == _TIMED_OUT
        return timed_out or error.status in _WORTH_WAITING
    # A certificate that is not trusted will not be trusted later.
    return (
        isinstance(error, RuntimeError)
        and str(error).startswith(_NOT_CONNECTED)
        and "certificate" not in str(error).lower()
    )


def _parsed(address: str) -> tuple[str, str, int]:
    """Return scheme, host and port of `HOST[:PORT]`, with or without a scheme. Raises PluginError if it is none."""
    try:
        parts = urlsplit(address if "://" in address else f"https://{address}")
        port = parts.port or 443
    except ValueError:
        parts, port = urlsplit(""), 443
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or "@" in address:
        raise _wrong(ADDRESS_SETTING, address, "is no address", f"Give HOST:PORT, like {ADDRESS}, or leave it out")
    return parts.scheme, parts.hostname, port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _wrong(setting: str, given: str, what: str, fix: str) -> PluginError:
    return PluginError(f"temporalazure:{setting} is {given}, which {what}. Nothing was asked of Temporal Cloud. {fix}.")
