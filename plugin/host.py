"""Serves a provider to the engine that started it, and ends when that engine is gone.

The SDK's own host prints a Python traceback for every error and outlives an engine that was killed. This one answers
a `PluginError` with its message alone, and watches the connection to the engine: once that cannot be restored the
process ends, so that a killed `pulumi up` leaves nobody behind who still writes.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, Protocol

import grpc
import grpc.aio
from pulumi.provider.experimental.provider import Provider
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2_grpc

_METHODS = ("CheckConfig", "Configure", "Invoke", "Check", "Diff", "Create", "Read", "Update", "Delete")
_CONNECTION_GONE = (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN)


class PluginError(Exception):
    """A failure that a person can act on: its text says what, where, the consequence and the fix."""


class Engine:
    """The engine that started this plugin: where messages go while a resource is being worked on."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._stub = engine_pb2_grpc.EngineStub(channel)

    async def info(self, message: str, urn: str = "") -> None:
        """Show a message beside the resource `urn`, or beside the stack."""
        await self._log(engine_pb2.INFO, message, urn)

    async def warning(self, message: str, urn: str = "") -> None:
        """Show a warning beside the resource `urn`, or beside the stack."""
        await self._log(engine_pb2.WARNING, message, urn)

    async def status(self, message: str, urn: str) -> None:
        """Show a passing message in the resource's line, for work that takes long."""
        await self._log(engine_pb2.INFO, message, urn, ephemeral=True)

    async def gone(self) -> None:
        """Return once the engine cannot be reached any more."""
        while True:
            state = self._channel.get_state(try_to_connect=True)
            if state in _CONNECTION_GONE:
                return
            await self._channel.wait_for_state_change(state)

    async def _log(self, severity: Any, message: str, urn: str, *, ephemeral: bool = False) -> None:
        log: Any = self._stub.Log
        await log(engine_pb2.LogRequest(severity=severity, message=message, urn=urn, streamId=0, ephemeral=ephemeral))


class _ProviderOf(Protocol):
    def __call__(self, engine: Engine, /) -> Provider: ...


class _Servicer(ProviderServicer):
    """The SDK's servicer, with a `PluginError` answered as its message and without a traceback."""


def _answering_plainly(name: str) -> Callable[..., Awaitable[Any]]:
    method = getattr(ProviderServicer, name)

    async def answer(self: ProviderServicer, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            return await method(self, request, context)
        except Exception as error:
            # The SDK raises an Exception with a traceback in its text, in the context of what the provider raised.
            cause = error.__context__
            if not isinstance(cause, PluginError):
                raise
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(cause))

    return answer


for _name in _METHODS:
    setattr(_Servicer, _name, _answering_plainly(_name))


async def _serve(provider_of: _ProviderOf, version: str, engine_address: str) -> None:
    async with grpc.aio.insecure_channel(engine_address, options=_GRPC_CHANNEL_OPTIONS) as channel:
        engine = Engine(channel)
        server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(
            _Servicer(sys.argv[1:], version, provider_of(engine), engine_address), server
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        # The engine reads the port from the first line: nothing may be printed before it.
        print(port, flush=True)
        await engine.gone()
        await server.stop(grace=None)


def serve(provider_of: _ProviderOf, version: str) -> NoReturn:
    """Serve the provider that `provider_of(engine)` makes until the engine is gone, then end the process.

    The engine's address is the last argument of the command line that does not begin with a dash, as the engine
    passes it. Prints the port on which it listens, as the engine's plugin protocol asks.
    """
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if not addresses:
        sys.exit("This is a Pulumi plugin: the Pulumi engine starts it, with its address. Run `make up` instead.")
    asyncio.run(_serve(provider_of, version, addresses[-1]))
    sys.exit(0)
