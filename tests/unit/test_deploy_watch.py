"""What new files ask of each consumer, and how a watch goes on when a round fails."""

import json
import os
import random
import signal
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.effects import Effect, effect
from deploy.problem import DeployError
from deploy.stack import read_outputs_file
from deploy.watch import ENDING, retry_seconds, undisturbed, watch
from pki import to_pem
from tests.unit.test_deploy import (
    CLIENTS,
    CONSUMERS,
    INTERNODE,
    LEAVES,
    NOW,
    SERVER_NAME,
    Issuer,
    Project,
    Stack,
    project,
    sound,
    stack,
)

__all__ = ["project", "sound", "stack"]

VARIABLES = "the variables in {} are others"
TRUST = "it reads the authorities that it trusts once, at its start"
OWN = "it reads its certificate once, at its start"


def renew(name: str) -> Callable[[Stack], None]:
    """Have one leaf issued anew."""
    issuer, names = (INTERNODE, (SERVER_NAME,)) if name == "cluster" else (CLIENTS, ())
    return lambda stack: stack.issue(name, issuer.issue(name, dns_names=names))


def trust(authority: str) -> Callable[[Stack], None]:
    """A second generation that does not sign yet."""
    return lambda stack: stack.raw["caBundles"][authority].append(to_pem(Issuer(f"{authority} 2").certificate))


def say(output: str, variable: str) -> Callable[[Stack], None]:
    return lambda stack: stack.raw[output].update({variable: "another"})


def append(output: str) -> Callable[[Stack], None]:
    return lambda stack: stack.raw.update({output: f"{stack.raw[output]}# another\n"})


CHANGES: Mapping[str, tuple[Callable[[Stack], None], Mapping[str, tuple[str, ...]]]] = {
    "cluster": (renew("cluster"), {"server": ()}),
    "ui": (renew("ui"), {"ui": ()}),
    "cli": (renew("cli"), {"cli": ()}),
    "worker": (renew("orders"), {"workers/orders": (OWN,)}),
    "clients-trusted": (trust("clients"), {"server": ()}),
    "internode-trusted": (
        trust("internode"),
        {"server": (TRUST,), "ui": (TRUST,), "cli": (), "workers/orders": (TRUST,)},
    ),
    "server-variable": (say("serverEnv", "LOG_LEVEL"), {"server": (VARIABLES.format("server.env"),)}),
    "client-secret": (say("uiEnv", "TEMPORAL_AUTH_CLIENT_SECRET"), {"ui": (VARIABLES.format("ui.env"),)}),
    "cli-variable": (say("cliEnv", "TEMPORAL_NAMESPACE"), {"cli": ()}),
    "server.yaml": (append("serverConfig"), {"server": ("it reads server.yaml once, at its start",)}),
    "dynamicconfig.yaml": (append("dynamicConfig"), {"server": ()}),
}
"""What changes in a stack, and whom that concerns: who is there has other files, and restarts for these reasons."""


def effects(stack: Stack, before: Mapping[str, Mapping[str, bytes]], *, inline: bool = False) -> dict[str, Effect]:
    """For each consumer whose files have changed."""
    after = stack.compose(inline=inline)
    return {
        name: effect(name, stack.outputs.startups[name], before[name], after[name], NOW)
        for name in CONSUMERS
        if before[name] != after[name]
    }


@pytest.mark.parametrize("change", CHANGES)
def test_only_who_would_not_notice_has_to_restart(stack: Stack, change: str) -> None:
    """Somebody would restart what runs well, or go on with what ends."""
    make, expected = CHANGES[change]
    before = stack.compose()
    make(stack)
    assert {name: found.reasons for name, found in effects(stack, before).items()} == expected


def test_another_order_of_the_same_authorities_is_no_other_trust(stack: Stack) -> None:
    """The second step of a rollover would cost a restart of everything, after the first one did."""
    trust("internode")(stack)
    before = stack.compose()
    stack.raw["caBundles"]["internode"].reverse()
    found = effects(stack, before)
    assert found.keys() == {"server", "ui", "cli", "workers/orders"}
    assert not [one for one in found.values() if one.reasons]


def test_server_whose_certificate_had_ended_has_to_restart(stack: Stack) -> None:
    """It says that it serves, and runs no workflow any more."""
    stack.issue("cluster", INTERNODE.issue("cluster", ends=NOW - timedelta(hours=1), dns_names=(SERVER_NAME,)))
    before = stack.compose()
    renew("cluster")(stack)
    (reason,) = effects(stack, before)["server"].reasons
    assert reason.startswith("its certificate had ended")


@pytest.mark.parametrize("consumer", ["server", "ui", "workers/orders"])
def test_what_is_inlined_is_read_at_the_start(stack: Stack, consumer: str) -> None:
    """Whoever has everything in variables would keep the old certificate until it ends."""
    before = stack.compose(inline=True)
    renew(LEAVES[consumer])(stack)
    assert "the variables in" in effects(stack, before, inline=True)[consumer].reasons[0]


def test_trust_for_https_is_read_at_the_start(stack: Stack) -> None:
    """The UI would not reach Entra ID through the proxy, whose authority is another now."""
    before = stack.compose(https_trust=b"one")["ui"]
    after = stack.compose(https_trust=b"two")["ui"]
    (reason,) = effect("ui", stack.outputs.startups["ui"], before, after, NOW).reasons
    assert "HTTPS" in reason


def test_effects_are_said(project: Project) -> None:
    """The reasons would be known to nobody."""
    first = project.run("write")
    assert "Restart" not in first.stdout
    assert "needs nothing" not in first.stdout
    renew("cluster")(project.stack)
    renew("orders")(project.stack)
    second = project.run("write")
    assert "server needs nothing: it reads what has changed again by itself.\n" in second.stdout
    assert f"Restart workers/orders: {OWN}.\n" in second.stdout
    assert "ui needs" not in second.stdout


# The watch


class EndError(Exception):
    """Ends a watch that goes on for ever."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A watch leaves its own behind."""
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a watch has slept each time, without the jitter."""
    found: list[float] = []
    monkeypatch.setattr("deploy.watch.sleep", found.append)
    monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 2)
    return found


def rounds(*outcomes: Exception | None) -> Callable[[], None]:
    """A delivery with these outcomes, one a round, and then the end."""
    left = iter(outcomes)

    def deliver() -> None:
        outcome = next(left, EndError())
        if outcome:
            raise outcome

    return deliver


def test_failing_rounds_are_told_and_tried_again_less_and_less_often(pauses: list[float]) -> None:
    """A vault in trouble would be asked without a pause, by every host at once; or a host give up at night."""
    said: list[str] = []
    failed = DeployError("The vault is on fire.")
    with pytest.raises(EndError):
        watch(rounds(None, failed, failed, failed, None, failed), 3600, said.append)
    assert pauses == [3600, 30, 60, 120, 3600, 30]
    assert said[0] == "The vault is on fire.\nThe next attempt is in 30 s."
    assert [text for text in said if "again" in text] == ["It works again."]


def test_what_no_later_round_can_mend_ends_the_watch(pauses: list[float]) -> None:
    """A slip in an option would be tried again for ever."""
    with pytest.raises(ValueError, match="slip"):
        watch(rounds(ValueError("slip")), 60, lambda _: None)
    assert pauses == []


@given(st.integers(1, 10_000), st.floats(1, 1e6))
def test_retries_come_neither_more_often_than_at_first_nor_less_often_than_ever(failures: int, interval: float) -> None:
    """After a weekend's outage the next attempt would be next week, or a number that no clock has."""
    assert min(30, interval) <= retry_seconds(failures, interval) <= max(900, interval)
    assert retry_seconds(failures, interval) <= retry_seconds(failures + 1, interval)


def test_hosts_do_not_ask_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All hosts that were started together would ask the vault together, and be throttled together."""
    found: list[float] = []
    monkeypatch.setattr("deploy.watch.sleep", found.append)
    with pytest.raises(EndError):
        watch(rounds(*[None] * 50), 100, lambda _: None)
    assert all(90 <= pause <= 110 for pause in found)
    assert len(set(found)) > 1


@pytest.mark.parametrize("number", ENDING)
def test_signal_ends_the_watch_in_order(number: signal.Signals, pauses: list[float]) -> None:
    """An ended service would count as one that failed, with a traceback in its log."""
    said: list[str] = []
    with pytest.raises(SystemExit) as ended:
        watch(lambda: os.kill(os.getpid(), number), 60, said.append)
    assert ended.value.code == 0
    assert said == [f"Ended by {number.name}. What was written is whole."]


def test_signal_waits_until_it_is_told_who_must_restart() -> None:
    """The files would be new, and the next round find nothing to tell."""
    heard: list[str] = []
    signal.signal(signal.SIGTERM, lambda *_: heard.append("signal"))
    with undisturbed():
        os.kill(os.getpid(), signal.SIGTERM)
        heard.append("told")
    assert heard == ["told", "signal"]


def test_watch_tells_only_what_is_new(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What matters would be lost among a thousand times `unchanged`."""
    steps: Iterator[Callable[[Stack], None]] = iter([lambda _: None, renew("ui"), lambda _: signal.raise_signal(15)])

    def sleep(_: float) -> None:
        next(steps)(project.stack)
        (project.folder / "outputs.json").write_text(json.dumps(project.stack.raw))

    monkeypatch.setattr("deploy.watch.sleep", sleep)
    result = project.run("write", "--watch", "--interval", "5")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        *(f"written    .deploy/dev/{name}" for name in sorted(CONSUMERS)),
        "written    .deploy/dev/ui",
        "ui needs nothing: it reads what has changed again by itself.",
    ]
    assert result.stderr.startswith("Watching the stack dev, every 5 s or so.\n")


def test_watch_ends_when_its_consumer_is_none_of_the_stacks(project: Project, pauses: list[float]) -> None:
    """A host would look for ever for a worker whose name was mistyped."""
    assert project.run("write", "--watch", "--only", "workers/order").exit_code == 2
    assert pauses == []


# Outputs from a file


def test_outputs_of_a_file_are_those_of_the_stack(project: Project) -> None:
    """A host without the state could not be served, or would be served something else."""
    file = project.folder / "given.json"
    file.write_text(json.dumps(project.stack.raw))
    (project.folder / "bin/pulumi").unlink()
    assert project.run("write", "--outputs", str(file)).exit_code == 0
    assert project.run("write").exit_code == 1


@pytest.mark.parametrize("content", [None, b"{", b"\xff", b"{}", b"[]"])
def test_file_without_outputs_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """Half a file would be half a deployment, or end the watch."""
    file = tmp_path / "outputs.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DeployError, match=r"outputs"):
        read_outputs_file(file, "dev")


def test_secret_that_is_not_told_is_asked_for_where_it_is_needed(project: Project) -> None:
    """The UI would start with a placeholder; or a worker's host need the UI's secret."""
    project.stack.raw["uiEnv"]["TEMPORAL_AUTH_CLIENT_SECRET"] = "[secret]"
    refused = project.run("write")
    assert refused.exit_code == 1
    assert "ui: TEMPORAL_AUTH_CLIENT_SECRET in ui.env is a secret that the outputs do not tell" in refused.stderr
    assert project.run("write", "--only", "server").exit_code == 0
