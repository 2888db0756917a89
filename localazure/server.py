"""The process: one per state directory, listening on 127.0.0.1 and nowhere else.

Ports are allotted once and kept with the state, below the range that systems hand to outgoing connections, so that a
restart finds them free; a deleted vault's stays taken, for its recovery. `endpoint.json` is there exactly while every
listener is up (a killed process leaves it behind: its `pid` tells).
"""

import asyncio
import json
import logging
import os
import random
import signal
import socket
import ssl
import uuid
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from aiohttp import web
from filelock import FileLock, Timeout
from pydantic import ValidationError
from yarl import URL

from localazure import identities, tls
from localazure.app import main_app, vault_app
from localazure.context import Context
from localazure.dials import Dials
from localazure.entra.tokens import Tokens
from localazure.files import write_atomically
from localazure.requestlog import RequestLog
from localazure.store import Document, Store
from localazure.vaults import DELETED_VAULTS, VAULTS, Vault

_HOST = "127.0.0.1"
_MAIN = ""
_PORTS = range(20_000, 32_768)
_SHUTDOWN_SECONDS = 2

_log = logging.getLogger(__name__)


class StartError(Exception):
    """The local Azure cannot start; the message says why and what to do."""


def serve(state: Path, port: int | None) -> None:
    """Serve until SIGTERM, SIGINT or `POST /_local/shutdown`. StartError if the state is in use, or a port is.

    `port` is the main listener's; by default the one it had before, or a free one.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with FileLock(state / "lock", timeout=0):
            (state / "endpoint.json").unlink(missing_ok=True)
            asyncio.run(_serve(state, port))
    except Timeout as error:
        raise StartError(f"a local Azure already runs on {state}: stop it, or use another --state") from error


async def _serve(state: Path, port: int | None) -> None:
    async with AsyncExitStack() as stack:
        store = Store(state / "state.sqlite3")
        stack.callback(store.close)
        cloud = _cloud(store, port)
        identities.seed(store, cloud["tenantId"], cloud["otherTenantId"], cloud["subscriptionId"])
        identities.write(store, state / "identities.json")
        log = RequestLog(state / "requests.jsonl")
        stack.callback(log.close)
        listeners = _Listeners(tls.server_context(state))
        stack.push_async_callback(listeners.close_all)
        stopped = asyncio.Event()
        origin = f"https://{_HOST}:{cloud['port']}"

        async def open_vault(vault: Vault) -> None:
            await listeners.open(vault.name, _port_of(vault.document), vault_app(vault, context))

        async def close_vault(vault: Vault) -> None:
            await listeners.close(vault.name)

        context = Context(
            state=state,
            store=store,
            tokens=Tokens(store, origin, cloud["tenantId"]),
            log=log,
            dials=_dials(state),
            origin=origin,
            tenant_id=cloud["tenantId"],
            other_tenant_id=cloud["otherTenantId"],
            subscription_id=cloud["subscriptionId"],
            open_vault=open_vault,
            close_vault=close_vault,
            allot_port=listeners.allot,
            stop=stopped.set,
        )
        await listeners.open(_MAIN, cloud["port"], main_app(context))
        for _, deleted in store.items(DELETED_VAULTS):
            listeners.keep(_port_of(deleted))
        for name, _ in store.items(VAULTS):
            await open_vault(Vault(name, store))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        endpoint = {
            "pid": os.getpid(),
            "port": cloud["port"],
            "metadataHost": f"{_HOST}:{cloud['port']}",
            "tenantId": cloud["tenantId"],
            "otherTenantId": cloud["otherTenantId"],
            "subscriptionId": cloud["subscriptionId"],
        }
        stack.callback((state / "endpoint.json").unlink, missing_ok=True)
        write_atomically(state / "endpoint.json", json.dumps(endpoint).encode(), mode=0o600)
        _log.info("local Azure listens on %s, state in %s", origin, state)
        await stopped.wait()
        _log.info("local Azure stops")


class _Listeners:
    """The listening applications by name, the vaults' and the main one, and the ports that are kept for others."""

    def __init__(self, tls_context: ssl.SSLContext) -> None:
        self._tls_context = tls_context
        self._runners: dict[str, web.AppRunner] = {}
        self._kept: dict[int, socket.socket] = {}

    def allot(self) -> int:
        """Return a port that was free, and that nobody else gets from now on."""
        port = _free_port()
        self.keep(port)
        return port

    def keep(self, port: int) -> None:
        """See that nobody else gets a port before it is listened on; one that somebody has already is theirs."""
        with suppress(OSError):
            self._kept[port] = _taken(port)

    async def open(self, name: str, port: int, app: web.Application) -> None:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            kept = self._kept.pop(port, None) or _taken(port)
            # So that the port can be taken again while what was connected to it still winds down.
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            await web.SockSite(runner, kept, ssl_context=self._tls_context).start()
        except OSError as error:
            await runner.cleanup()
            what = f"vault {name}" if name else "the local Azure"
            raise StartError(
                f"port {port} of {what} is taken by another process: its address is in stacks and tokens, so it is not "
                "changed; free the port, or start over with a new --state"
            ) from error
        self._runners[name] = runner

    async def close(self, name: str) -> None:
        """Listen no more; the port is kept."""
        runner = self._runners.pop(name, None)
        if runner is not None:
            ports = [port for _, port in runner.addresses]
            await runner.cleanup()
            for port in ports:
                self.keep(port)

    async def close_all(self) -> None:
        await asyncio.gather(*(self.close(name) for name in list(self._runners)))
        for kept in self._kept.values():
            kept.close()


def _cloud(store: Store, port: int | None) -> Document:
    """The tenants, the subscription and the main port, made up once for a state directory."""
    made_up = {name: str(uuid.uuid4()) for name in ("tenantId", "otherTenantId", "subscriptionId")}
    cloud: Document = made_up | (store.get("cloud", "ids") or {})
    if port is not None or "port" not in cloud:
        cloud["port"] = port or _free_port()
    store.put("cloud", "ids", cloud)
    return cloud


def _dials(state: Path) -> Dials:
    given = state / "dials.json"
    if not given.exists():
        return Dials()
    try:
        return Dials.model_validate_json(given.read_bytes())
    except ValidationError as error:
        raise StartError(f"{given}: {error}") from error


def _port_of(vault: Document) -> int:
    return URL(vault["properties"]["vaultUri"]).port or 0


def _taken(port: int) -> socket.socket:
    """Return a socket that has a port and does not listen: whoever asks for the port is refused it.

    Raises OSError if another process has it.
    """
    taken = socket.socket()
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((_HOST, port))
    except OSError:
        taken.close()
        raise
    # With it, a socket that does not listen keeps nobody from the port who sets it too, as servers do.
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return taken


def _free_port() -> int:
    for port in random.sample(_PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((_HOST, port))
            return port
    raise StartError(f"none of 100 ports tried between {_PORTS.start} and {_PORTS.stop} is free on {_HOST}")
