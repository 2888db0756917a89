"""What is waited for when a vault refuses, how long, and what is said."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

import provider.patience
from cloud import CloudError, inner_code, is_missing_role
from plugin import PluginError
from provider.patience import CRYPTO_USER, SECRETS_OFFICER, Pace, Patience, paces

URN = "urn:pulumi:dev::temporal-azure::temporalazure:keyvault:Certificate::orders"


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
    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    return clock


class World:
    """A session, an engine and a vault, each as much as patience sees of it."""

    def __init__(self, *answers: Exception | str) -> None:
        self.answers = [*answers]
        self.asked = 0
        self.renewed_before: list[int] = []
        self.said: list[tuple[str, str, str]] = []

    def renew(self) -> None:
        self.renewed_before.append(self.asked + 1)

    async def info(self, message: str, urn: str) -> None:
        self.said.append(("info", message, urn))

    async def status(self, message: str, urn: str) -> None:
        self.said.append(("status", message, urn))

    async def ask(self) -> str:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def patience(self, limit_seconds: float = 900, pace: Any = None) -> Patience:
        together: Any = self
        return Patience(session=together, engine=together, urn=URN, limit_seconds=limit_seconds, pace=pace or Pace())


def refusal(
    status: int,
    code: str = "Forbidden",
    inner: str | None = None,
    *,
    kind: type[HttpResponseError] = HttpResponseError,
    body: object = None,
) -> HttpResponseError:
    """What an official client raises for Key Vault's answer."""
    error: dict[str, Any] = {"code": code, "message": "The caller may not.\nTrace: 1"}
    if inner is not None:
        error["innererror"] = {"code": inner}
    text = json.dumps({"error": error}) if body is None else str(body)
    response: Any = SimpleNamespace(status_code=status, reason="Refused", headers={}, text=lambda: text)
    return kind(response=response)


LATE = refusal(403, inner="ForbiddenByRbac")


async def test_what_is_answered_is_returned(clock: Clock) -> None:
    world = World("a certificate")
    assert await world.patience().call("read it", world.ask) == "a certificate"
    assert (world.asked, world.renewed_before, world.said, clock.naps) == (1, [], [], [])


async def test_a_role_on_its_way_is_waited_for_with_a_fresh_token(clock: Clock) -> None:
    """A token that was taken before the assignment never learns of it."""
    world = World(LATE, LATE, LATE, "a certificate")
    assert await world.patience().call("read it", world.ask) == "a certificate"
    assert world.asked == 4
    assert world.renewed_before == [2, 3, 4]


async def test_a_wait_is_said_once_and_shown_throughout(clock: Clock) -> None:
    """Whoever looks at a still screen for ten minutes presses Ctrl-C; a line for each try fills the log."""
    world = World(*[LATE] * 5, "a certificate")
    await world.patience().call('make a key for "orders"', world.ask)
    assert [kind for kind, _, _ in world.said] == ["info"] + ["status"] * 5
    assert all('make a key for "orders"' in message and urn == URN for _, message, urn in world.said)
    assert "(0 s so far, at most 900 s)" in world.said[0][1]
    assert f"({int(sum(clock.naps[:-1]))} s so far" in world.said[-1][1]


async def test_a_wait_grows_and_stays_below_half_a_minute(clock: Clock) -> None:
    world = World(*[LATE] * 12, "a certificate")
    await world.patience().call("read it", world.ask)
    assert clock.naps == sorted(clock.naps)
    assert clock.naps[0] == 1
    assert clock.naps[-1] == 20


@pytest.mark.parametrize("limit_seconds", [0, 1, 60, 900])
async def test_a_wait_has_an_end(clock: Clock, limit_seconds: float) -> None:
    """An identity without the role would wait for ever."""
    world = World(LATE)
    with pytest.raises(PluginError, match=rf"did not come within {limit_seconds} s"):
        await world.patience(limit_seconds).call("read it", world.ask)
    assert limit_seconds <= clock.seconds <= limit_seconds + 20
    assert (world.asked == 1) is (limit_seconds == 0)


async def test_a_missing_role_is_named(clock: Clock) -> None:
    world = World(LATE)
    with pytest.raises(PluginError, match='"Key Vault Crypto User" on the vault'):
        await world.patience(0).call("sign it", world.ask, role=CRYPTO_USER)
    with pytest.raises(PluginError, match='"Key Vault Secrets Officer" on this secret, or name it'):
        await world.patience(0).call("set it", world.ask, role=SECRETS_OFFICER)
    with pytest.raises(PluginError, match='"Key Vault Certificates Officer" on the vault'):
        await world.patience(0).call("read it", world.ask)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refusal(403, inner="ForbiddenByFirewall"), "vaults.network"),
        (refusal(403, inner="ForbiddenByConnection"), "vaults.network"),
        (refusal(403, inner="ForbiddenByPolicy"), "access control"),
        (refusal(403, inner="KeyDisabled"), "access control"),
        (refusal(403), "access control"),
        (refusal(403, body="<html>Forbidden</html>"), "access control"),
        (refusal(400, "BadParameter"), "400 BadParameter: (BadParameter) The caller may not."),
        (refusal(429, "Throttled"), "429 Throttled"),
        (refusal(500, "InternalServerError"), "500 InternalServerError"),
        (refusal(404, "KeyNotFound", kind=ResourceNotFoundError), "404 KeyNotFound"),
        (refusal(409, "Conflict", "ObjectIsBeingDeleted", kind=ResourceExistsError), "409 ObjectIsBeingDeleted"),
        (ServiceRequestError("Cannot connect to host v:443"), "Could not reach the vault to read it: Cannot connect"),
        (ServiceResponseError("Connection reset"), "Could not reach the vault to read it: Connection reset."),
        (ClientAuthenticationError("AADSTS7000215: Invalid client secret."), "Could not sign in to Azure to read it"),
        (CloudError("ARM_CLIENT_ID is not set."), "ARM_CLIENT_ID is not set."),
    ],
)
async def test_any_other_refusal_fails_at_once_and_plainly(clock: Clock, error: Exception, words: str) -> None:
    """A firewall's 403 does not go away, and a traceback says nothing to whoever has to open it."""
    world = World(error)
    with pytest.raises(PluginError) as caught:
        await world.patience().call("read it", world.ask)
    assert words in str(caught.value)
    assert "Trace" not in str(caught.value)
    assert ".." not in str(caught.value)
    assert caught.value.__cause__ is error
    assert (world.asked, world.renewed_before, world.said, clock.naps) == (1, [], [], [])


@pytest.mark.parametrize(
    ("expected", "error"),
    [
        (ResourceNotFoundError, refusal(404, kind=ResourceNotFoundError)),
        (ResourceExistsError, refusal(409, kind=ResourceExistsError)),
    ],
)
async def test_an_expected_refusal_is_the_callers(
    clock: Clock, expected: type[HttpResponseError], error: HttpResponseError
) -> None:
    """That there is no certificate yet is how a creation begins."""
    world = World(LATE, error)
    with pytest.raises(expected):
        await world.patience().call("read it", world.ask, expected=expected)
    assert world.asked == 2


async def test_only_the_expected_refusal_is_the_callers(clock: Clock) -> None:
    world = World(refusal(409, "Conflict", kind=ResourceExistsError))
    with pytest.raises(PluginError, match="409 Conflict"):
        await world.patience().call("read it", world.ask, expected=ResourceNotFoundError)


async def test_a_bug_is_not_explained_away(clock: Clock) -> None:
    world = World(KeyError("policy"))
    with pytest.raises(KeyError):
        await world.patience().call("read it", world.ask)
    assert world.asked == 1


async def test_a_refusal_after_a_wait_is_explained(clock: Clock) -> None:
    """The role came, and the firewall is closed."""
    world = World(LATE, refusal(403, inner="ForbiddenByFirewall"))
    with pytest.raises(PluginError, match=r"vaults\.network"):
        await world.patience().call("read it", world.ask)
    assert world.asked == 2


# The pace


class Turnstile:
    """A pace that notes how many pass."""

    def __init__(self) -> None:
        self.passed = 0

    async def __aenter__(self) -> None:
        self.passed += 1

    async def __aexit__(self, *_: object) -> None: ...


async def test_only_what_makes_a_key_waits_its_turn(clock: Clock) -> None:
    """Reading is not limited as the making of keys is: everything else would wait, too."""
    turnstile, world = Turnstile(), World(LATE, "a request")
    assert await world.patience(pace=turnstile).create("request it", world.ask) == "a request"
    assert turnstile.passed == 1
    await world.patience(pace=turnstile).call("read it", world.ask)
    assert turnstile.passed == 1


async def test_a_request_that_is_there_already_is_the_callers(clock: Clock) -> None:
    world = World(refusal(409, kind=ResourceExistsError))
    with pytest.raises(ResourceExistsError):
        await world.patience().create("request it", world.ask, expected=ResourceExistsError)


async def test_in_no_window_are_more_keys_made_than_the_vault_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past twenty keys in ten seconds the vault answers 429, to everybody who uses it."""
    monkeypatch.setattr(provider.patience, "KEY_CREATIONS", 3)
    monkeypatch.setattr(provider.patience, "KEY_CREATION_PERIOD_SECONDS", 0.05)
    pace, loop = Pace(), asyncio.get_running_loop()
    begun: list[float] = []

    async def make_key() -> None:
        async with pace:
            begun.append(loop.time())

    await asyncio.gather(*(make_key() for _ in range(10)))
    assert len(begun) == 10
    assert all(later - earlier >= 0.049 for earlier, later in zip(begun, begun[3:], strict=False))


async def test_each_vault_has_its_own_pace() -> None:
    """The limit is a vault's: leaves need not wait for authorities."""
    by_vault = paces()
    assert by_vault["https://one/"] is by_vault["https://one/"]
    assert by_vault["https://one/"] is not by_vault["https://other/"]


# What a refusal means


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (refusal(403, "Forbidden", "ForbiddenByRbac"), "ForbiddenByRbac"),
        (refusal(404, "CertificateNotFound"), "CertificateNotFound"),
        (refusal(403, body="<html>Forbidden</html>"), ""),
        (refusal(403, body='{"error": "invalid_token", "error_description": "expired"}'), ""),
        (refusal(403, body="[]"), ""),
        (refusal(403, body='{"error": {"message": "no code"}}'), ""),
        (HttpResponseError("nothing was answered"), ""),
    ],
)
def test_the_innermost_code_is_read(error: HttpResponseError, code: str) -> None:
    """A proxy's page, or Entra's form of an error, must not end in a traceback."""
    assert inner_code(error) == code


@pytest.mark.parametrize(
    "error",
    [
        refusal(401, inner="ForbiddenByRbac"),
        refusal(403, inner="ForbiddenByFirewall"),
        refusal(403, "ForbiddenByPolicy"),
        AzureError("ForbiddenByRbac"),
        ValueError("ForbiddenByRbac"),
        None,
    ],
)
def test_only_a_missing_role_is_a_missing_role(error: object) -> None:
    assert is_missing_role(LATE)
    assert not is_missing_role(error)
