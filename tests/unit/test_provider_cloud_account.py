"""Where Temporal Cloud's API is and the key to it; what is waited for there, and what is said of a refusal."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.service import RPCError, RPCStatusCode

import provider.temporal_cloud
from plugin import UNKNOWN, PluginError
from provider.temporal_cloud import CloudAccount, TemporalCloud

KEY = "hunter2"
URN = "urn:pulumi:dev::temporal-azure::temporalazure:cloud:NamespaceAccess::orders"


def account(environ: dict[str, str] | None = None, **settings: Any) -> CloudAccount:
    return CloudAccount.found(environ or {}, {f"temporalCloud{name}": value for name, value in settings.items()})


# The account


@pytest.mark.parametrize(
    ("address", "host_and_port", "tls"),
    [
        (None, "saas-api.tmprl.cloud:443", True),
        (UNKNOWN, "saas-api.tmprl.cloud:443", True),
        ("", "saas-api.tmprl.cloud:443", True),
        ("saas-api.example", "saas-api.example:443", True),
        ("https://saas-api.example:7233/", "saas-api.example:7233", True),
        ("127.0.0.1:7233", "127.0.0.1:7233", True),
        ("http://127.0.0.1:7233", "127.0.0.1:7233", False),
        ("http://localhost:7233", "localhost:7233", False),
        ("http://[::1]:7233", "[::1]:7233", False),
        ("[2001:db8::1]:7233", "[2001:db8::1]:7233", True),
    ],
)
def test_an_address_is_spoken_to_with_tls_unless_it_is_this_machines(
    address: str | None, host_and_port: str, tls: bool
) -> None:
    found = account(Address=address)
    assert (found.host_and_port, found.tls) == (host_and_port, tls)


@pytest.mark.parametrize(
    "address",
    [
        "http://saas-api.tmprl.cloud:443",
        "http://10.0.0.4:80",
        "http://localhost.example.com:80",
        "http://127.0.0.1.example.com:80",
        "http://127.0.0.1@example.com:80",
        "ftp://127.0.0.1:80",
        "saas-api.example:port",
        "https://",
        "https://saas-api.example/api",
    ],
)
def test_an_address_that_would_give_the_key_away_is_refused(address: str) -> None:
    """Whoever listens on the way could change every namespace of the account."""
    with pytest.raises(PluginError, match="temporalCloudAddress") as caught:
        account(Address=address, ApiKey=KEY)
    assert KEY not in str(caught.value)


def test_who_is_trusted_is_this_machines_choice_only_for_itself(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="temporalCloudCaFile"):
        account(CaFile=str(tmp_path / "ca.pem"))
    with pytest.raises(PluginError, match="in the clear"):
        account(CaFile=str(tmp_path / "ca.pem"), Address="http://127.0.0.1:1")
    assert account(CaFile="ca.pem", Address="127.0.0.1:1").ca_file == Path("ca.pem")


async def test_a_file_that_is_not_there_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"ca\.pem, which cannot be read \(No such file"):
        await account(CaFile=str(tmp_path / "ca.pem"), Address="127.0.0.1:1", ApiKey=KEY).service()


@pytest.mark.parametrize(
    ("environ", "given", "key"),
    [
        ({"TEMPORAL_CLOUD_API_KEY": "theirs"}, KEY, KEY),
        ({"TEMPORAL_CLOUD_API_KEY": f"{KEY}\n"}, None, KEY),
        ({"TEMPORAL_CLOUD_API_KEY": KEY}, UNKNOWN, KEY),
        ({}, f" {KEY}\n", KEY),
        ({}, "", None),
        ({}, UNKNOWN, None),
    ],
)
def test_the_key_is_the_settings_or_else_the_environments(
    environ: dict[str, str], given: str | None, key: str | None
) -> None:
    assert account(environ, ApiKey=given).api_key == key


async def test_no_key_is_a_message() -> None:
    with pytest.raises(PluginError, match="There is no API key for Temporal Cloud, so nothing was asked of it"):
        await account().service()


@pytest.mark.parametrize("key", [f"{KEY}\n{KEY}", f"{KEY}é", f"{KEY}\x00"])
def test_a_key_that_cannot_be_sent_is_not_shown(key: str) -> None:
    """The client would raise an error with the key in it."""
    with pytest.raises(PluginError, match="characters that no API key has") as caught:
        account(ApiKey=key)
    assert KEY not in str(caught.value)


def test_an_account_does_not_show_its_key() -> None:
    """A traceback would print it."""
    found = account(ApiKey=KEY)
    assert KEY not in f"{found!r} {found}"
    assert found.hushed(f"Bearer {KEY}!") == "Bearer …!"
    assert account().hushed("as it is") == "as it is"


# Patience


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.naps: list[float] = []

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.seconds += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tenacity.time", clock)
    monkeypatch.setattr(provider.temporal_cloud, "time", clock)
    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    return clock


class Listener:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    async def info(self, message: str, urn: str) -> None:
        self.said.append(("info", message))

    async def status(self, message: str, urn: str) -> None:
        self.said.append(("status", message))


class World:
    """A service that gives its answers one after the other, the last one for ever."""

    def __init__(self, *answers: Exception | str) -> None:
        self.answers = [*answers]
        self.timeouts: list[timedelta] = []
        self.listener = Listener()

    async def ask(self, request: str, *, retry: bool, **options: timedelta) -> str:
        assert not retry, "the client would wait in silence"
        self.timeouts.append(options["timeout"])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def call(self, limit_seconds: float = 600, **options: Any) -> Awaitable[str]:
        anything: Any = None
        listener: Any = self.listener
        cloud = TemporalCloud(
            account=account(ApiKey=KEY),
            service=anything,
            engine=listener,
            urn=URN,
            limit_seconds=limit_seconds,
        )
        method: Callable[..., Awaitable[str]] = self.ask
        return cloud.call("read it", method, "request", **options)


def refusal(status: RPCStatusCode, message: str = "as dialled") -> RPCError:
    return RPCError(message, status, b"")


THROTTLED = refusal(RPCStatusCode.RESOURCE_EXHAUSTED)
AWAY = RuntimeError("Failed client connect: Server connection error: tcp connect error")


@pytest.mark.parametrize(
    "passing",
    [
        THROTTLED,
        refusal(RPCStatusCode.UNAVAILABLE),
        refusal(RPCStatusCode.DEADLINE_EXCEEDED),
        refusal(RPCStatusCode.CANCELLED, "Timeout expired"),
        AWAY,
    ],
    ids=["throttled", "unavailable", "late", "timed out", "away"],
)
async def test_what_passes_is_waited_for_and_longer_each_time(clock: Clock, passing: Exception) -> None:
    world = World(*[passing] * 4, "a namespace")
    assert await world.call() == "a namespace"
    assert len(clock.naps) == 4
    assert clock.naps[0] >= 1
    assert clock.naps == sorted(clock.naps)
    assert [kind for kind, _ in world.listener.said] == ["info", *["status"] * 4]
    assert "Waiting to read it: Temporal Cloud" in world.listener.said[0][1]


@pytest.mark.parametrize(("limit", "at_least"), [(10.0, 3), (600.0, 25)])
async def test_the_limit_is_kept(clock: Clock, limit: float, at_least: float) -> None:
    world = World(THROTTLED)
    with pytest.raises(PluginError, match=r"RESOURCE_EXHAUSTED.*timeoutSeconds"):
        await world.call(limit)
    assert limit - 21 <= clock.seconds < limit
    assert len(world.timeouts) >= at_least
    assert all(timedelta(seconds=1) <= timeout <= timedelta(seconds=30) for timeout in world.timeouts)


async def test_an_address_where_nobody_is_is_not_waited_for_as_long(clock: Clock) -> None:
    """A typing error in the address would be ten minutes of silence."""
    with pytest.raises(PluginError, match=r"Could not reach Temporal Cloud at saas-api\.tmprl\.cloud:443 to read it"):
        await World(AWAY).call()
    assert 30 <= clock.seconds < 60


@pytest.mark.parametrize(
    "final",
    [
        RuntimeError("Failed client connect: invalid peer certificate: UnknownIssuer"),
        refusal(RPCStatusCode.INTERNAL),
        refusal(RPCStatusCode.CANCELLED, "by somebody"),
        refusal(RPCStatusCode.PERMISSION_DENIED),
        refusal(RPCStatusCode.UNAUTHENTICATED),
        refusal(RPCStatusCode.INVALID_ARGUMENT),
    ],
    ids=["not trusted", "internal", "cancelled", "denied", "no key", "wrong"],
)
async def test_what_does_not_pass_is_told_at_once_and_without_the_key(clock: Clock, final: Exception) -> None:
    final.args = (f"{final.args[0]} with the key {KEY}",)
    if isinstance(final, RPCError):
        final = refusal(final.status, f"{final.message} with the key {KEY}")
    with pytest.raises(PluginError, match="Nothing was changed by this step") as caught:
        await World(final).call()
    assert clock.naps == []
    assert "with the key …" in str(caught.value)
    assert KEY not in str(caught.value)


async def test_an_answer_that_means_something_is_the_callers(clock: Clock) -> None:
    with pytest.raises(RPCError):
        await World(refusal(RPCStatusCode.NOT_FOUND)).call(expected=[RPCStatusCode.NOT_FOUND])
    with pytest.raises(PluginError, match=r"NAME\.ACCOUNT"):
        await World(refusal(RPCStatusCode.NOT_FOUND)).call()


async def test_a_mistake_of_ours_is_not_dressed_up(clock: Clock) -> None:
    with pytest.raises(RuntimeError, match=r"^no running event loop$"):
        await World(RuntimeError("no running event loop")).call()
