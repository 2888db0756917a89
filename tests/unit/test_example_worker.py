"""The example's token, with a credential and a clock of the test's own: time passes only when somebody sleeps."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from temporalio.client import Client

import temporal_token
from temporal_token import TokenError, connected, renewed, token_for
from tools import REPOSITORY

SCOPE = "api://temporal/.default"
HOUR = 3600.0
START = 1_800_000_000.0

give_way = asyncio.sleep
"""The real one, which the fixture `clock` replaces."""


class Clock:
    """Unix time, and everybody's sleeps."""

    def __init__(self) -> None:
        self.now = START
        self.naps: list[float] = []

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await give_way(0)
        self.naps.append(seconds)
        self.now += seconds


class Entra:
    """Gives token after token of `lifetime`, unless something else is to happen at that attempt."""

    def __init__(self, clock: Clock, *, lifetime: float = HOUR, mishaps: dict[int, Exception | AccessToken]) -> None:
        self.asked_at: list[float] = []
        self.scopes: set[tuple[str, ...]] = set()
        self.credentials = 0
        self.closed = 0
        self._clock, self._lifetime, self._mishaps = clock, lifetime, mishaps

    async def get_token(self, *scopes: str) -> AccessToken:
        self.scopes.add(scopes)
        self.asked_at.append(self._clock.now)
        attempt = len(self.asked_at)
        mishap = self._mishaps.get(attempt)
        if isinstance(mishap, Exception):
            raise mishap
        return mishap or AccessToken(f"token-{attempt}", int(self._clock.now + self._lifetime))

    async def __aenter__(self) -> "Entra":
        self.credentials += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock.time)
    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    return clock


@pytest.fixture
def entra(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Entra]:
    """Make the Entra that the example asks: by attempt, what goes wrong."""

    def make(mishaps: dict[int, Exception | AccessToken] | None = None, *, lifetime: float = HOUR) -> Entra:
        entra = Entra(clock, lifetime=lifetime, mishaps=mishaps or {})
        monkeypatch.setattr(temporal_token, "DefaultAzureCredential", lambda: entra)
        return entra

    return make


@pytest.fixture
async def client() -> Client:
    """One that never connects: it has the token that it would send."""
    return await Client.connect("127.0.0.1:1", lazy=True)


async def until(condition: Callable[[], bool]) -> None:
    """Let time pass, as much as it takes."""
    for _ in range(1000):
        if condition():
            return
        await give_way(0)
    raise AssertionError("it never came to that")


@asynccontextmanager
async def renewed_from_entra(client: Client) -> AsyncIterator[None]:
    """As `connected` has it, but for the connection."""
    token = await token_for(SCOPE)
    client.api_key = token.token
    async with renewed(client, token, lambda: token_for(SCOPE)):
        yield


async def test_token_is_renewed_with_a_third_of_its_time_left(
    clock: Clock, entra: Callable[..., Entra], client: Client
) -> None:
    """Renewed at its end, one failure would be an outage; renewed all the time, Entra ID would throttle."""
    found = entra()

    async with renewed_from_entra(client):
        await until(lambda: len(found.asked_at) == 4)

    assert found.asked_at == pytest.approx([START + number * HOUR * 2 / 3 for number in range(4)], abs=3)
    assert client.api_key == "token-4"
    assert found.scopes == {(SCOPE,)}


async def test_each_token_is_asked_for_by_a_new_credential(entra: Callable[..., Entra], client: Client) -> None:
    """One that is kept answers from its cache; one that is not closed leaves its connections open."""
    found = entra()

    async with renewed_from_entra(client):
        await until(lambda: len(found.asked_at) == 3)

    assert found.credentials == found.closed == 3


async def test_failure_is_tried_again_and_said(
    clock: Clock, entra: Callable[..., Entra], client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """One refusal of Entra ID's would end a worker an hour later, and nobody would know why."""
    throttled = ClientAuthenticationError(message="AADSTS90055: throttled")
    found = entra({2: throttled, 3: OSError("no token file"), 4: throttled})

    async with renewed_from_entra(client):
        await until(lambda: client.api_key == "token-5")

    assert found.asked_at[-1] < START + HOUR, "there was time enough"
    assert all(nap >= 1 for nap in clock.naps)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert ["AADSTS90055" in warning for warning in warnings] == [True, False, True]
    assert all("the present one ends in 1" in warning and SCOPE in warning for warning in warnings)


async def test_long_outage_is_neither_given_up_nor_hammered_at(
    clock: Clock, entra: Callable[..., Entra], client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that gave up would stay dead once Entra ID is back; a thousand that hammer would keep it from that."""
    found = entra({attempt: ClientAuthenticationError(message="AADSTS90033") for attempt in range(2, 200)})

    async with renewed_from_entra(client):
        await until(lambda: client.api_key == "token-200")

    assert found.asked_at[-1] > START + HOUR
    assert 20 < (found.asked_at[-1] - found.asked_at[1]) / 198 < 60
    assert "the last one ended" in caplog.text


async def test_same_token_again_is_no_reason_to_hurry(
    clock: Clock, entra: Callable[..., Entra], client: Client
) -> None:
    """A managed identity's token is in a cache of the machine's, which gives it for hours."""
    same = AccessToken("token-1", int(START + 24 * HOUR))
    found = entra({attempt: same for attempt in range(1, 7)}, lifetime=24 * HOUR)

    async with renewed_from_entra(client):
        await until(lambda: client.api_key == "token-7")

    assert found.asked_at[1] == pytest.approx(START + 16 * HOUR)
    assert found.asked_at[-1] < START + 24 * HOUR, "it was asked for again before its end"
    assert all(nap >= 1 for nap in clock.naps)


async def test_token_that_has_ended_is_refused(clock: Clock, entra: Callable[..., Entra]) -> None:
    """To a clock that is hours ahead each token has ended: the worker would ask for the next one without a pause."""
    entra({1: AccessToken("token-1", int(START))})

    with pytest.raises(TokenError, match="has ended before it came: is this machine's clock right"):
        await token_for(SCOPE)


async def test_renewal_ends_with_the_block(entra: Callable[..., Entra], client: Client) -> None:
    """A task that is left behind keeps the process alive, or is complained of when it ends."""
    found = entra()
    before = asyncio.all_tasks()

    async def work() -> None:
        async with renewed_from_entra(client):
            assert asyncio.all_tasks() > before
            raise RuntimeError("the worker's own")

    with pytest.raises(RuntimeError, match="the worker's own"):
        await work()

    assert asyncio.all_tasks() == before
    assert len(found.asked_at) == 1


async def test_no_token_is_logged(
    entra: Callable[..., Entra], client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Who reads a worker's log could act as the worker."""
    caplog.set_level(logging.DEBUG)
    entra({2: ClientAuthenticationError(message="AADSTS90033")})

    async with renewed_from_entra(client):
        await until(lambda: client.api_key == "token-4")

    assert "token renewed, for 3600 s" in caplog.text
    assert not [number for number in range(1, 5) if f"token-{number}" in caplog.text]


@pytest.mark.parametrize(("scope", "sent"), [(SCOPE, "token-1"), ("", None), (None, None)])
async def test_client_connects_with_a_token_only_if_told_what_for(
    monkeypatch: pytest.MonkeyPatch,
    entra: Callable[..., Entra],
    client: Client,
    scope: str | None,
    sent: str | None,
) -> None:
    """Without sign-on there is no Entra ID to ask; with it the very first call needs the token."""
    found = entra()
    connections: list[dict[str, Any]] = []

    async def connect(**config: Any) -> Client:
        connections.append(config)
        return client

    monkeypatch.setattr(Client, "connect", connect)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.example:7233")
    monkeypatch.setenv("TEMPORAL_TOKEN_SCOPE", scope or "")
    if scope is None:
        monkeypatch.delenv("TEMPORAL_TOKEN_SCOPE")

    async with connected() as yielded:
        assert yielded is client

    assert [(config["target_host"], config.get("api_key")) for config in connections] == [
        ("temporal.example:7233", sent)
    ]
    assert len(found.asked_at) == (1 if sent else 0)


async def test_worker_does_not_start_without_a_token(
    monkeypatch: pytest.MonkeyPatch, entra: Callable[..., Entra]
) -> None:
    """It would connect, be refused with every poll, and look alive."""
    entra({1: ClientAuthenticationError(message="AADSTS7000215: Invalid client secret provided.")})
    monkeypatch.setenv("TEMPORAL_TOKEN_SCOPE", SCOPE)

    with pytest.raises(TokenError, match=f"no token for {SCOPE}: AADSTS7000215"):
        async with connected():
            raise AssertionError("it started")


def test_example_is_tried_with_what_it_asks_for() -> None:
    """What is pinned for the example would be what nobody has ever run."""
    pins = re.compile(r"^[a-z0-9-]+==\S+", re.MULTILINE)
    tried, asked_for = (
        set(pins.findall((REPOSITORY / lock).read_text()))
        for lock in ("requirements-dev.txt", "examples/python/requirements.txt")
    )

    assert asked_for
    assert asked_for - tried == set()
