"""What `deploy status` makes of what is issued, delivered and loaded: each state, beside its twin."""

import base64
import copy
import io
import json
import os
import pty
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from deploy import directory, envfile, listeners
from deploy.__main__ import main
from deploy.deliveries import State, compared, deliveries
from deploy.durations import duration
from deploy.findings import Finding, Level, Loaded, Seen
from deploy.listeners import Handshake, Listener, Outcome, Pair, handshakes
from deploy.outputs import HIDDEN
from deploy.report import show
from deploy.secret import Secret
from deploy.status import Status, judge
from environment import carried, contents, inlined
from pki import to_pem
from provider.clock import VARIABLE as CLOCK
from tests.unit.test_deploy import (
    CLIENT_SECRETS,
    CLIENTS,
    CONSUMERS,
    INTERNODE,
    LEAVES,
    NOW,
    SECRETS_END,
    SERVER_NAME,
    STRANGER,
    Issuer,
    Stack,
    sourced,
)
from tools import REPOSITORY

FRONTEND = Listener(host="127.0.0.1", port=7233, server_name=SERVER_NAME, named=False)
LEAF_ENDS = NOW + timedelta(days=89)
RENEWED_FROM = LEAF_ENDS - timedelta(days=30)
NEXT_CLIENTS = Issuer("clients")  # a second generation: another key


@pytest.fixture(scope="module")
def sound() -> Stack:
    return Stack()


@pytest.fixture
def stack(sound: Stack) -> Stack:
    """A stack in order, to be spoiled."""
    copied = copy.copy(sound)
    copied.raw, copied.keys = copy.deepcopy(sound.raw), dict(sound.keys)
    return copied


@pytest.fixture
def base(tmp_path: Path, stack: Stack) -> Path:
    """Where everything is delivered."""
    base = tmp_path / ".deploy" / "dev"
    directory.write(base, stack.compose())
    return base


def status(
    stack: Stack, base: Path, *answers: Handshake, now: datetime = NOW, within: timedelta = timedelta()
) -> Status:
    return judge(
        Seen(
            outputs=stack.outputs,
            stack="dev",
            directory=".deploy/dev",
            deliveries=deliveries(base, stack.outputs),
            answers=answers,
            pair_shown=True,
            now=now,
            within=within,
        )
    )


def found(status: Status, about: str) -> list[Finding]:
    return [one for one in status.findings if one.about == about]


def the_one(status: Status, about: str) -> Finding:
    (one,) = found(status, about)
    return one


def presents(
    secret: Secret,
    *,
    listener: Listener = FRONTEND,
    verifies: bool = True,
    detail: str = "",
    admitted: bool | None = None,
    refusal: str = "",
) -> Handshake:
    return Handshake(
        listener=listener,
        outcome=Outcome.PRESENTED,
        certificate=secret.certificate,
        verifies=verifies,
        detail=detail,
        admitted=admitted,
        refusal=refusal,
    )


def renew(stack: Stack, name: str, ends: datetime, begins: datetime = NOW - timedelta(days=1)) -> None:
    issuer, names = (INTERNODE, (SERVER_NAME,)) if name == "cluster" else (CLIENTS, ())
    stack.issue(name, issuer.issue(name, dns_names=names, begins=begins, ends=ends))


# Durations and listeners, as they are written


@given(st.dictionaries(st.sampled_from("wdhm"), st.integers(0, 10_000), min_size=1))
def test_a_duration_is_what_it_says(counts: dict[str, int]) -> None:
    """A monitor would warn a month too late."""
    hours = {"w": 168.0, "d": 24.0, "h": 1.0, "m": 1 / 60}
    text = "".join(f"{counts[unit]}{unit}" for unit in hours if unit in counts)
    assert duration(text).total_seconds() == pytest.approx(sum(hours[unit] * n for unit, n in counts.items()) * 3600)


@given(st.text())
def test_what_is_no_duration_is_refused(text: str) -> None:
    """ "30" would be taken for seconds, or for days."""
    if not re.fullmatch(r"\s*(\d+[wdhm])+\s*", text, re.ASCII):
        with pytest.raises(ValueError, match="Write weeks, days, hours or minutes"):
            duration(text)


@pytest.mark.parametrize("text", ["30", "", "d", "-1d", "1.5d", "1h1d", "30 days", "٣d"])
def test_near_misses_of_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 30d, 12h"):
        duration(text)


def test_a_duration_beyond_all_time_is_refused() -> None:
    """A monitor would get a traceback for a status."""
    with pytest.raises(ValueError, match="longer than anything lasts"):
        duration("99999999999999d")


@pytest.mark.parametrize(
    ("text", "host", "port", "name"),
    [
        ("10.0.0.4:7236", "10.0.0.4", 7236, "default"),
        ("temporal.example.com:443=other.name", "temporal.example.com", 443, "other.name"),
        ("[::1]:7233=x", "::1", 7233, "x"),
    ],
)
def test_a_listener_is_where_it_says(text: str, host: str, port: int, name: str) -> None:
    listener = Listener.parse(text, "default")
    assert (listener.host, listener.port, listener.server_name, listener.named) == (host, port, name, True)
    assert Listener.parse(f"{listener.address}={name}", "") == listener


@pytest.mark.parametrize("text", ["", "host", ":7233", "host:", "host:0", "host:65536", "host:1=", "::1:7233", "h h:1"])
def test_what_is_no_listener_is_refused(text: str) -> None:
    """A typing error would be an unreachable server."""
    with pytest.raises(ValueError, match=r"is not HOST:PORT or HOST:PORT=NAME, such as"):
        Listener.parse(text, "default")


# What is delivered


@given(
    st.dictionaries(
        st.from_regex(r"X_[A-Z0-9_]{1,8}", fullmatch=True),
        st.text(st.characters(exclude_categories=("C", "Zl", "Zp"), exclude_characters="'\\")),
    )
)
def test_an_environment_file_is_read_as_it_was_written(variables: dict[str, str]) -> None:
    """Every directory would be outdated for ever."""
    sound = {name: value for name, value in variables.items() if not envfile.obstacle(name, value)}
    assert envfile.parse(envfile.render(sound, "It's `a` $comment")) == sound


@pytest.mark.parametrize(
    ("content", "variables"),
    [
        (b"", {}),
        (b"\n \t\n  # A=1 'and \"so on\nA=1\n# the end", {"A": "1"}),
        (b"A=127.0.0.1:7233\nA='$HOME #`id` ~'", {"A": "$HOME #`id` ~"}),
        (b"A=''\nB='-----\n\n# no comment\nC=1\n'\n", {"A": "", "B": "-----\n\n# no comment\nC=1\n"}),
    ],
)
def test_what_all_read_alike_may_be_written_by_hand(content: bytes, variables: dict[str, str]) -> None:
    """A comment beside a variable would make a directory outdated. The shell is the judge."""
    assert envfile.parse(content) == variables == sourced(content)


@pytest.mark.parametrize(
    "line",
    [
        b"export A=1",
        b"A",
        b"A='",
        b"A=",
        b"A='1' ",
        b" A=1",
        b"A=127.0.0.1:7233#old",
        b"A=$HOME",
        b"A=`id`",
        b"A=a;B=c",
        b"A=a&",
        b"A=~",
        b"A=a b",
        b'A="a"',
        b"A='a''b'",
        b"A='a\\'",
        b"A='\x1b'",
        b"A=1\r",
        b"# A\r",
        b"# A\\",
        b"1A=1",
        b"\xff=1",
        b"A='\xff'",
        b"\xef\xbb\xbfA=1",
    ],
)
def test_what_is_read_differently_is_refused_with_its_line(line: bytes) -> None:
    """A shell reads another value than the status, which would call the file current."""
    with pytest.raises(ValueError, match=r"^line 3\b.*; (put|write|save)") as refused:
        envfile.parse(b"# Two lines\nX=1\n" + line + b"\nY=1\n")
    assert "7233" not in str(refused.value)


def test_what_was_inlined_is_found_again(stack: Stack) -> None:
    """The server and the SDKs have a variable of one name, in which each looks for something else."""
    pem = to_pem(INTERNODE.certificate).encode()
    for startup in stack.outputs.startups.values():
        for environment in startup.environments.values():
            found = carried(inlined(environment, lambda _: pem))
            documents = ("TEMPORAL_SERVER_CONFIG_FILE_PATH", "DYNAMIC_CONFIG_FILE_PATH")
            wanted = {v for v, path in environment.items() if path in contents(environment) and v not in documents}
            assert found == dict.fromkeys(wanted, pem)


@pytest.mark.parametrize("options", [{}, {"inline": True}, {"https_trust": b"trust"}])
def test_what_was_just_written_is_current(stack: Stack, base: Path, options: dict[str, Any]) -> None:
    """`status` would ask for a `deploy write` that changes nothing."""
    directory.write(base, stack.compose(**options))
    found = status(stack, base)
    assert {one.state for one in found.consumers} == {State.CURRENT}
    assert {one.delivered for one in found.certificates} == {State.CURRENT, None}
    assert {one.delivered for one in found.client_secrets} == {State.CURRENT}
    assert {one.name: set(one.trusts) for one in found.consumers} == {
        "server": {"internode-1", "clients-1"},
        **{name: {"internode-1"} for name in ("ui", "cli", "workers/orders")},
    }
    assert not found.findings
    assert not found.failing


def _other_variable(stack: Stack) -> None:
    stack.raw["uiEnv"]["TEMPORAL_DEFAULT_NAMESPACE"] = "other"


def _new_variable(stack: Stack) -> None:
    stack.raw["uiEnv"]["TEMPORAL_NEW"] = "new"


def _other_secret(stack: Stack) -> None:
    stack.raw["uiEnv"]["TEMPORAL_AUTH_CLIENT_SECRET"] = "a newer one"


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_variable, "TEMPORAL_DEFAULT_NAMESPACE in ui.env is not the stack's"),
        (_new_variable, "TEMPORAL_NEW in ui.env is missing"),
        (_other_secret, "TEMPORAL_AUTH_CLIENT_SECRET in ui.env is not the stack's"),
    ],
)
def test_each_change_of_the_stack_makes_a_directory_outdated(
    stack: Stack, base: Path, change: Callable[[Stack], None], said: str, inline: bool
) -> None:
    """A consumer would start with what is of yesterday, and the status call it current."""
    directory.write(base, stack.compose(inline=inline))
    change(stack)
    found = status(stack, base)
    assert {one.name: one.state for one in found.consumers} == {
        **dict.fromkeys(CONSUMERS, State.CURRENT),
        "ui": State.OUTDATED,
    }
    finding = the_one(found, "ui")
    assert finding.level is Level.DUE
    assert finding.text.startswith(
        f"its directory is outdated: {said}. Run `python -m deploy write --stack dev --only ui`"
    )
    assert not found.failing


def test_a_variable_that_the_stack_has_not_makes_a_directory_outdated(stack: Stack, base: Path) -> None:
    """What a setting no longer says would go on for ever."""
    stack.raw["uiEnv"]["TEMPORAL_NEW"] = "new"
    directory.write(base, stack.compose())
    del stack.raw["uiEnv"]["TEMPORAL_NEW"]
    assert "TEMPORAL_NEW in ui.env is not among the stack's variables" in the_one(status(stack, base), "ui").text


def test_a_changed_document_makes_the_server_outdated(stack: Stack, base: Path) -> None:
    stack.raw["dynamicConfig"] += "other: []\n"
    assert "dynamicconfig.yaml is not the stack's" in the_one(status(stack, base), "server").text


def _no_key(folder: Path) -> None:
    (folder / "ui.key").resolve().unlink()


def _other_key(folder: Path) -> None:
    (folder / "ui.key").resolve().write_bytes(CLIENTS.issue("ui").private_key_pem)


def _garbage(folder: Path) -> None:
    (folder / "ui.env").resolve().write_text("export A=1\n")


def _edited(folder: Path) -> None:
    file = (folder / "ui.env").resolve()
    content, count = re.subn(r"(?m)^(TEMPORAL_ADDRESS=.*)$", r"\1#old", file.read_text())
    assert count == 1
    file.write_text(content)


def _no_pem(folder: Path) -> None:
    with (folder / "ui.env").resolve().open("a") as file:
        file.write("TEMPORAL_TLS_KEY_DATA=1\n")


def _stranger(folder: Path) -> None:
    (folder / "..data").resolve().joinpath("left.pem").touch(0o600)


def _no_authority(folder: Path) -> None:
    (folder / "..data/ca/internode.pem").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_no_key, "ui.pem or its private key is missing or unreadable"),
        (_other_key, "ui.key does not belong to ui.pem"),
        (_garbage, "ui.env cannot be read as an environment file: line 1 is no comment"),
        (_edited, "ui.env cannot be read as an environment file: line "),
        (_no_pem, "ui.env holds certificates or keys that are neither PEM nor base64"),
        (_stranger, "left.pem is not among the stack's files"),
        (_no_authority, "ca/internode.pem is missing"),
    ],
)
def test_each_thing_that_is_wrong_with_a_directory_is_told(
    stack: Stack, base: Path, spoil: Callable[[Path], None], said: str
) -> None:
    """A process that does not start, or trusts nobody, would have a current directory."""
    spoil(base / "ui")
    (ui,) = (one for one in status(stack, base).consumers if one.name == "ui")
    assert ui.state is State.OUTDATED
    assert any(difference.startswith(said) for difference in ui.differences), ui.differences


def test_client_secrets_that_cannot_be_read_are_not_taken_for_current(stack: Stack, base: Path) -> None:
    """Whoever may not decrypt the stack's secrets would be told that all is well, or that nothing is."""
    for env in (stack.raw["uiEnv"], stack.raw["workerEnvs"]["orders"]):
        env |= {name: HIDDEN for name in env if name.endswith("CLIENT_SECRET")}
    found = status(stack, base)
    assert {one.state for one in found.consumers} == {State.CURRENT}
    assert {one.delivered for one in found.client_secrets} == {None}
    assert any("Client secrets were not compared" in one for one in found.unknown)
    (base / "ui/ui.env").resolve().write_text("A=1\n")
    assert {one.consumer: one.delivered for one in status(stack, base).client_secrets}["ui"] is State.OUTDATED


def test_an_old_client_secret_is_told_of_the_secret_as_well(stack: Stack, base: Path) -> None:
    stack.raw["workerEnvs"]["orders"]["AZURE_CLIENT_SECRET"] = "a newer one"
    found = status(stack, base)
    assert {one.consumer: one.delivered for one in found.client_secrets} == {
        "ui": State.CURRENT,
        "workers/orders": State.OUTDATED,
    }
    assert not [secret for secret in CLIENT_SECRETS.values() if secret in found.model_dump_json()]


def test_what_is_not_delivered_here_may_be_as_it_should(stack: Stack, base: Path) -> None:
    """A host with nothing but a worker would fail its monitor for the server's missing files."""
    for name in ("server", "ui", "cli"):
        shutil.rmtree(base / name)
    found = status(stack, base)
    assert {one.level for one in found.findings} == {Level.OPEN}
    assert "--only server --only ui --only cli`" in the_one(found, "server, ui, cli").text
    assert not found.failing
    shutil.rmtree(base)
    nothing = status(stack, base)
    assert the_one(nothing, ".deploy/dev").text == (
        "nothing is delivered here. Run `python -m deploy write --stack dev`."
    )
    assert {one.delivered for one in nothing.certificates} == {State.MISSING, None}


# What is issued


def test_a_certificate_says_who_issued_it_when_it_ends_and_from_when_it_is_renewed(stack: Stack, base: Path) -> None:
    one = next(one for one in status(stack, base).certificates if one.name == "orders")
    assert one.model_dump(mode="json") == {
        "name": "orders",
        "role": "client",
        "issuer": "clients-1",
        "serialNumber": f"{stack.keys['orders'].certificate.serial_number:x}",
        "notAfter": f"{LEAF_ENDS:%Y-%m-%dT%H:%M:%SZ}",
        "daysLeft": 89,
        "renewsOn": f"{RENEWED_FROM:%Y-%m-%d}",
        "consumer": "workers/orders",
        "delivered": "current",
    }


@pytest.mark.parametrize(
    ("before_the_end", "within", "level"),
    [
        (timedelta(days=31), timedelta(), None),
        (timedelta(days=31), timedelta(days=31), Level.ENDING),
        (timedelta(days=31), timedelta(days=30), None),
        (timedelta(days=29), timedelta(), Level.DUE),
        (timedelta(days=29), timedelta(days=30), Level.ENDING),
        (timedelta(seconds=1), timedelta(), Level.DUE),
        (timedelta(), timedelta(), Level.BROKEN),
        (timedelta(days=-1), timedelta(days=30), Level.BROKEN),
    ],
)
def test_a_leaf_is_more_urgent_the_nearer_its_end(
    stack: Stack, base: Path, before_the_end: timedelta, within: timedelta, level: Level | None
) -> None:
    """A monitor would be silent until everything stands still, or never be."""
    renew(stack, "ui", begins=NOW - timedelta(days=200), ends=NOW + timedelta(days=50))
    directory.write(base, stack.compose())
    now = NOW + timedelta(days=50) - before_the_end
    found = status(stack, base, now=now, within=within)
    assert {one.level for one in found.findings if one.about == "ui"} == ({level} if level else set())
    assert found.failing == (level in (Level.BROKEN, Level.ENDING))


def test_what_to_do_names_the_stack_and_the_day(stack: Stack, base: Path) -> None:
    """On a stack called dev, `make up` would provision the local one."""
    late = LEAF_ENDS - timedelta(days=1)
    assert "`make up STACK=dev` renews it. It is read at start" in the_one(status(stack, base, now=late), "ui").text
    early = status(stack, base, within=timedelta(days=89))
    assert f"`make up STACK=dev` renews it from {RENEWED_FROM:%Y-%m-%d} on." in the_one(early, "ui").text


def test_a_leaf_that_ends_with_its_authority_is_not_said_to_be_renewed(stack: Stack, base: Path) -> None:
    """Somebody would run `make up` each day, and wonder."""
    stack.issue("ui", CLIENTS.issue("ui", ends=NOW + timedelta(days=1000)))
    directory.write(base, stack.compose())
    one = next(one for one in status(stack, base).certificates if one.name == "ui")
    assert one.renews_on is None
    found = the_one(status(stack, base, now=NOW + timedelta(days=990)), "ui")
    assert "as its authority does, so `make up STACK=dev` cannot renew it" in found.text


def test_an_authority_is_warned_about_early_and_broken_when_it_ends(stack: Stack, base: Path) -> None:
    """It takes every certificate with it, and no run renews it."""
    end = CLIENTS.certificate.not_valid_after_utc
    assert not found(status(stack, base, now=end - timedelta(days=182)), "clients-1")
    assert the_one(status(stack, base, now=end - timedelta(days=179)), "clients-1").level is Level.DUE
    ended = the_one(status(stack, base, now=end), "clients-1")
    assert ended.level is Level.BROKEN
    assert "raise its renewal, or roll it over" in ended.text


def test_an_authority_that_begins_later_is_told_while_there_is_time(stack: Stack, base: Path) -> None:
    """Whoever lets it sign too early locks everybody out; whoever has a wrong clock looks for it elsewhere."""
    begins = NOW + timedelta(days=2)
    early = Issuer("clients of tomorrow", begins=begins)
    stack.raw["caBundles"]["clients"].append(to_pem(early.certificate))
    directory.write(base, stack.compose())
    told = the_one(status(stack, base), "clients of tomorrow")
    assert told.level is Level.DUE
    assert f"begins on {begins:%Y-%m-%d %H:%M} UTC, and here it is {NOW:%Y-%m-%d %H:%M} UTC" in told.text
    assert not found(status(stack, base, now=begins), "clients of tomorrow")


def test_a_client_secret_ends_as_a_certificate_does(stack: Stack, base: Path) -> None:
    about = "ui's client secret"
    assert not found(status(stack, base), about)
    assert the_one(status(stack, base, now=SECRETS_END - timedelta(days=29)), about).level is Level.DUE
    assert the_one(status(stack, base, within=timedelta(days=100)), about).level is Level.ENDING
    ended = the_one(status(stack, base, now=SECRETS_END), about)
    assert ended.level is Level.BROKEN
    assert "`make up STACK=dev` makes another; then restart ui." in ended.text


def test_findings_come_most_urgent_first(stack: Stack, base: Path) -> None:
    shutil.rmtree(base / "cli")
    stack.raw["uiEnv"]["TEMPORAL_NEW"] = "new"
    stack.issue("orders", CLIENTS.issue("orders", ends=NOW - timedelta(hours=1)))
    levels = [one.level for one in status(stack, base, within=timedelta(days=90)).findings]
    assert set(levels) == set(Level)
    assert levels == sorted(levels, key=list(Level).index)


DAYS = st.integers(-5, 80)


@settings(max_examples=40, deadline=None)
@given(issued=DAYS, delivered=DAYS, presented=DAYS, within=st.integers(0, 80))
def test_a_monitor_fails_exactly_for_what_has_ended_or_ends_within(
    issued: int, delivered: int, presented: int, within: int
) -> None:
    """Issued, delivered and loaded: the first of the three to end is what stands still."""
    stack = Stack()

    def leaf(days: int) -> Secret:
        begins, ends = NOW - timedelta(days=10), NOW + timedelta(days=days)
        return INTERNODE.issue("cluster", dns_names=(SERVER_NAME,), begins=begins, ends=ends)

    stack.issue("cluster", leaf(delivered))
    files = stack.compose()
    stack.issue("cluster", leaf(issued))
    judged = judge(
        Seen(
            outputs=stack.outputs,
            stack="dev",
            directory=".deploy/dev",
            deliveries=[compared(stack.outputs, name, files[name]) for name in CONSUMERS],
            answers=[presents(leaf(presented))],
            pair_shown=True,
            now=NOW,
            within=timedelta(days=within),
        )
    )
    assert judged.failing is (min(issued, delivered, presented) <= within)
    broken = any(one.level is Level.BROKEN for one in judged.findings)
    assert broken is (min(issued, delivered, presented) <= 0)


# Trust


def roll_over(stack: Stack, *, trusted: tuple[Issuer, ...], signs: Issuer, names: tuple[str, ...]) -> None:
    """Trust these generations of `clients`, and have these leaves issued by one of them."""
    stack.raw["caBundles"]["clients"] = [to_pem(one.certificate) for one in trusted]
    generations = {f"clients-{number}": one for number, one in ((1, CLIENTS), (2, NEXT_CLIENTS)) if one in trusted}
    kept = {name: one for name, one in stack.raw["certificates"].items() if not name.startswith("clients-")}
    authority = dict(stack.raw["certificates"]["internode-1"])
    for name, one in generations.items():
        kept[name] = authority | {"certificatePem": to_pem(one.certificate), "chainPem": []}
    stack.raw["certificates"] = kept
    for name in names:
        stack.issue(name, signs.issue(name))
        kept[name]["chainPem"] = [to_pem(signs.certificate)]


def test_trust_on_each_side_is_compared_with_the_stacks(stack: Stack, base: Path) -> None:
    """A rollover would go on to its next step while the server's files are those of the last."""
    roll_over(stack, trusted=(CLIENTS, NEXT_CLIENTS), signs=CLIENTS, names=())
    server = next(one for one in status(stack, base).consumers if one.name == "server")
    assert (server.lacks, server.keeps) == (("clients-2",), ())
    assert "it does not trust clients-2" in the_one(status(stack, base), "server").text
    directory.write(base, stack.compose())
    assert not status(stack, base).findings

    roll_over(stack, trusted=(NEXT_CLIENTS,), signs=NEXT_CLIENTS, names=("ui", "cli", "orders"))
    server = next(one for one in status(stack, base).consumers if one.name == "server")
    assert (server.lacks, server.keeps) == ((), ("clients",))
    assert "it still trusts clients" in the_one(status(stack, base), "server").text


def test_a_delivered_certificate_of_a_distrusted_generation_is_broken(stack: Stack, base: Path) -> None:
    """A worker would be refused as soon as the server has its files, and nobody knows why."""
    names = ("ui", "cli", "orders")
    roll_over(stack, trusted=(NEXT_CLIENTS,), signs=NEXT_CLIENTS, names=names)
    directory.write(base, {name: files for name, files in stack.compose().items() if name != "workers/orders"})
    found_now = status(stack, base)
    orders = next(one for one in found_now.consumers if one.name == "workers/orders")
    assert orders.certificate
    assert not orders.certificate.trusted
    broken = [one for one in found(found_now, "workers/orders") if one.level is Level.BROKEN]
    assert len(broken) == 1
    assert "was issued by clients, which the stack trusts no longer" in broken[0].text
    assert found_now.failing
    directory.write(base, stack.compose())
    assert not status(stack, base).failing


def test_a_leaf_of_the_stack_that_nobody_trusts_is_broken(stack: Stack, base: Path) -> None:
    stack.issue("orders", STRANGER.issue("orders"))
    stack.raw["certificates"]["orders"]["chainPem"] = [to_pem(STRANGER.certificate)]
    assert any("is in none of the caBundles" in one.text for one in found(status(stack, base), "workers/orders"))


def test_a_server_that_would_refuse_a_client_is_broken(stack: Stack, base: Path) -> None:
    """The worker has the new generation's certificate, and the server's files have not heard of it."""
    roll_over(stack, trusted=(CLIENTS, NEXT_CLIENTS), signs=NEXT_CLIENTS, names=("orders",))
    directory.write(base, {"workers/orders": stack.compose()["workers/orders"]})
    broken = [one for one in found(status(stack, base), "server") if one.level is Level.BROKEN]
    assert [one.text for one in broken] == [
        "its files do not trust clients-2, which issued the certificate of workers/orders: once it has read them the "
        "server refuses workers/orders. Run `python -m deploy write --stack dev --only server`: it reads certificates "
        "and its clients' authorities again by itself; restart it for all else."
    ]


def test_a_client_that_would_refuse_the_server_is_broken(stack: Stack, base: Path) -> None:
    second = Issuer("internode")
    stack.raw["caBundles"]["internode"].append(to_pem(second.certificate))
    stack.raw["certificates"]["internode-2"] = stack.raw["certificates"]["internode-1"] | {
        "certificatePem": to_pem(second.certificate)
    }
    stack.issue("cluster", second.issue("cluster", dns_names=(SERVER_NAME,)))
    stack.raw["certificates"]["cluster"]["chainPem"] = [to_pem(second.certificate)]
    directory.write(base, {"server": stack.compose()["server"]})
    for name in ("ui", "cli", "workers/orders"):
        broken = [one for one in found(status(stack, base), name) if one.level is Level.BROKEN]
        assert ["its files do not trust internode-2" in one.text for one in broken] == [True]


def test_a_renewed_authority_is_called_by_its_name(stack: Stack, base: Path) -> None:
    """Renewed with the same key it is the same authority; the older certificate is still good."""
    renewed = INTERNODE._certify(INTERNODE.name, INTERNODE.key, ends=NOW + timedelta(days=3000), authority=True)
    stack.raw["caBundles"]["internode"] = [to_pem(renewed)]
    stack.raw["certificates"]["internode-1"]["certificatePem"] = to_pem(renewed)
    stack.raw["certificates"]["cluster"]["chainPem"] = [to_pem(renewed)]
    cli = next(one for one in status(stack, base).consumers if one.name == "cli")
    assert (cli.trusts, cli.lacks) == (("internode-1 before its renewal",), ("internode-1",))
    assert not status(stack, base).failing


# Renewed, and not delivered


def test_a_renewed_certificate_that_is_not_delivered_is_told_by_its_end(stack: Stack, base: Path) -> None:
    """`up` was fine for months, and on the host the old one ends tonight."""
    renew(stack, "orders", ends=NOW + timedelta(days=150))
    one = next(one for one in status(stack, base).certificates if one.name == "orders")
    assert one.delivered is State.OUTDATED
    assert {each.level for each in found(status(stack, base), "workers/orders")} == {Level.DUE}
    soon = status(stack, base, within=timedelta(days=89))
    assert Level.ENDING in {each.level for each in found(soon, "workers/orders")}
    ended = [each for each in found(status(stack, base, now=LEAF_ENDS), "workers/orders") if each.level is Level.BROKEN]
    assert [each.text for each in ended] == [
        f"the certificate in its directory ended on {LEAF_ENDS:%Y-%m-%d}, and the stack's newer one is not delivered. "
        "Run `python -m deploy write --stack dev --only workers/orders`, then restart it."
    ]


# Revoked workers


REVOKED = "revoked: never renewed nor delivered again, its roles are gone"


@pytest.fixture
def revoked(stack: Stack, base: Path) -> Stack:
    """A stack whose worker was removed from the settings, but not from this host."""
    stack.raw["workerEnvs"] = {}
    stack.raw["signOn"]["workers"] = {}
    del stack.raw["certificates"]["orders"]
    return stack


def test_a_revoked_worker_is_trusted_until_its_end(revoked: Stack, base: Path) -> None:
    """Somebody would believe that its certificate is of no use to a thief."""
    finding = the_one(status(revoked, base), "workers/orders")
    assert finding.text.startswith(
        f"{REVOKED}; trusted until it ends on {LEAF_ENDS:%Y-%m-%d}, or until clients-1 is rolled over. "
    )
    assert "docs/runbooks/revoke-a-person-or-worker.md" in finding.text
    assert finding.level is Level.DUE
    assert next(one for one in status(revoked, base).consumers if one.state is State.REVOKED).name == "workers/orders"


def test_a_revoked_worker_is_harmless_after_its_end_and_after_a_rollover(revoked: Stack, base: Path) -> None:
    late = status(revoked, base, now=LEAF_ENDS + timedelta(days=1), within=timedelta(days=30))
    ended = the_one(late, "workers/orders")
    assert ended.text.startswith(f"{REVOKED}; its certificate ended on {LEAF_ENDS:%Y-%m-%d}. ")
    assert ended.level is Level.OPEN
    roll_over(revoked, trusted=(NEXT_CLIENTS,), signs=NEXT_CLIENTS, names=("ui", "cli"))
    distrusted = the_one(status(revoked, base), "workers/orders")
    assert distrusted.text.startswith(f"{REVOKED}; its certificate is trusted no longer, as clients is not. ")


def test_without_sign_on_a_revoked_worker_had_no_roles(revoked: Stack, base: Path) -> None:
    """Its certificate alone is an administrator's: nothing was taken away."""
    revoked.raw["signOn"] = {}
    text = the_one(status(revoked, base), "workers/orders").text
    assert "nothing was taken away: without sign-on its certificate is an administrator's" in text


def test_an_inlined_revoked_worker_is_found_too(stack: Stack, base: Path) -> None:
    directory.write(base, stack.compose(inline=True))
    stack.raw["workerEnvs"] = {}
    assert f"{LEAF_ENDS:%Y-%m-%d}" in the_one(status(stack, base), "workers/orders").text


# What is loaded, judged


def test_the_stacks_certificate_is_loaded(stack: Stack, base: Path) -> None:
    found = status(stack, base, presents(stack.keys["cluster"], admitted=True))
    (listener,) = found.listeners
    assert (listener.loaded, listener.verifies, listener.name_fits, listener.admitted) == (
        Loaded.CURRENT,
        True,
        True,
        True,
    )
    assert listener.serial_number == f"{stack.keys['cluster'].certificate.serial_number:x}"
    assert not found.findings


@pytest.mark.parametrize(
    ("delivered", "said"),
    [
        ("new", "The stack's is delivered, and not loaded. The server reads it again every 5m"),
        ("old", "The stack's is not delivered: run `python -m deploy write --stack dev --only server`."),
        ("none", "The server's files are not here: write them on its host"),
    ],
)
@pytest.mark.parametrize(
    ("now", "within", "level"),
    [
        (NOW, timedelta(), Level.DUE),
        (NOW, timedelta(days=89), Level.ENDING),
        (LEAF_ENDS, timedelta(), Level.BROKEN),
    ],
)
def test_an_older_certificate_is_told_apart_by_what_is_delivered(
    stack: Stack, base: Path, delivered: str, said: str, now: datetime, within: timedelta, level: Level
) -> None:
    """Issued, delivered and loaded are three things, and each has its own remedy."""
    old = stack.keys["cluster"]
    renew(stack, "cluster", ends=NOW + timedelta(days=150))
    if delivered == "new":
        directory.write(base, stack.compose())
    if delivered == "none":
        shutil.rmtree(base / "server")
    judged = status(stack, base, presents(old), now=now, within=within)
    finding = the_one(judged, FRONTEND.address)
    assert said in finding.text
    assert finding.level is level
    assert judged.listeners[0].loaded is Loaded.OLDER


def test_a_certificate_that_does_not_verify_is_foreign(stack: Stack, base: Path) -> None:
    """Clients refuse it, whatever it is called."""
    stranger = STRANGER.issue("cluster", dns_names=(SERVER_NAME,))
    judged = status(stack, base, presents(stranger, verifies=False, detail="self-signed certificate"))
    finding = the_one(judged, FRONTEND.address)
    assert finding.level is Level.BROKEN
    assert "of stranger, which the stack does not trust (self-signed certificate)" in finding.text
    assert judged.listeners[0].loaded is Loaded.FOREIGN


def test_a_name_that_does_not_fit_is_broken(stack: Stack, base: Path) -> None:
    other = replace(FRONTEND, server_name="other.name")
    finding = the_one(status(stack, base, presents(stack.keys["cluster"], listener=other)), FRONTEND.address)
    assert finding.level is Level.BROKEN
    assert "which has no name other.name" in finding.text


@pytest.mark.parametrize(
    ("named", "outcome", "broken"),
    [
        (False, Outcome.UNREACHABLE, False),
        (True, Outcome.UNREACHABLE, True),
        (False, Outcome.NO_TLS, True),
        (False, Outcome.FAILED, True),
    ],
)
def test_a_listener_without_a_certificate_is_broken_unless_nobody_said_that_it_is_there(
    stack: Stack, base: Path, named: bool, outcome: Outcome, broken: bool
) -> None:
    """A laptop would fail for a server that runs elsewhere; a monitor would not notice one that is down."""
    answer = Handshake(listener=replace(FRONTEND, named=named), outcome=outcome, detail="why")
    judged = status(stack, base, answer)
    assert judged.failing is broken
    assert [one.level for one in found(judged, FRONTEND.address)] == [Level.BROKEN] * broken
    not_told = any("no listener was reached (127.0.0.1:7233: why)" in one for one in judged.unknown)
    assert not_told is (outcome is Outcome.UNREACHABLE)


@pytest.mark.parametrize(("named", "broken"), [(False, True), (True, False)])
def test_the_frontend_must_admit_the_cli(stack: Stack, base: Path, named: bool, broken: bool) -> None:
    """Of the frontend that is known; a listener of the internode side refuses the CLI as it should."""
    listener = replace(FRONTEND, named=named)
    answer = presents(stack.keys["cluster"], listener=listener, admitted=False, refusal="unknown ca")
    judged = status(stack, base, answer)
    assert judged.failing is broken
    assert judged.listeners[0].admitted is False


# What is loaded, asked


Served = Callable[[socket.socket], None]


class Listening:
    """A listener that does something with each connection, until the test ends."""

    def __init__(self, serve: Served) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._serve = serve
        self.listener = Listener(host="127.0.0.1", port=self._socket.getsockname()[1], server_name=SERVER_NAME)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._attend, args=(connection,), daemon=True).start()

    def _attend(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._serve(connection)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def listening() -> Iterator[Callable[[Served], Listener]]:
    opened: list[Listening] = []

    def listen(serve: Served) -> Listener:
        opened.append(Listening(serve))
        return opened[-1].listener

    yield listen
    for one in opened:
        one.close()


def served_with(secret: Secret, folder: Path, *, admits: Issuer | None = None, greets: bool = True) -> Served:
    """A TLS server with this certificate; it greets whom it admits."""
    folder.mkdir()
    (folder / "leaf.pem").write_text(to_pem(secret.certificate))
    (folder / "leaf.key").write_bytes(secret.private_key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "leaf.pem", folder / "leaf.key")
    if admits:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=to_pem(admits.certificate))

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            if greets:
                secured.sendall(b"settings")
            secured.recv(1)

    return serve


def plain(connection: socket.socket) -> None:
    connection.recv(1024)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def plain_greeting(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH\r\n")
    connection.recv(1024)


def hangs_up(connection: socket.socket) -> None:
    connection.recv(1024)


def silent(connection: socket.socket) -> None:
    while connection.recv(1024):
        pass


@pytest.fixture
def pair(stack: Stack, base: Path) -> Pair:
    pair = Pair.below(base / "cli", "cli")
    assert pair
    return pair


def ask(listener: Listener, pair: Pair | None = None) -> Handshake:
    (answer,) = handshakes([listener], [INTERNODE.certificate], pair)
    return answer


def test_what_a_listener_presents_is_seen(
    stack: Stack, listening: Callable[[Served], Listener], tmp_path: Path, pair: Pair
) -> None:
    listener = listening(served_with(stack.keys["cluster"], tmp_path / "s", admits=CLIENTS))
    answer = ask(listener, pair)
    assert (answer.outcome, answer.certificate) == (Outcome.PRESENTED, stack.keys["cluster"].certificate)
    assert (answer.verifies, answer.admitted, answer.detail) == (True, True, "")


@pytest.mark.parametrize("shown", [True, False])
def test_whom_a_listener_refuses_it_shows_its_certificate_all_the_same(
    stack: Stack, listening: Callable[[Served], Listener], tmp_path: Path, pair: Pair, shown: bool
) -> None:
    """Under TLS 1.3 the refusal comes after the handshake: who stops there takes it for an admission."""
    listener = listening(served_with(stack.keys["cluster"], tmp_path / "s", admits=STRANGER))
    answer = ask(listener, pair if shown else None)
    assert answer.certificate == stack.keys["cluster"].certificate
    assert answer.admitted is False
    assert answer.refusal == ("unknown ca" if shown else "certificate required")


def test_a_listener_that_says_nothing_of_admission_is_not_taken_for_one_that_admits(
    stack: Stack, listening: Callable[[Served], Listener], tmp_path: Path, pair: Pair
) -> None:
    listener = listening(served_with(stack.keys["cluster"], tmp_path / "s", greets=False))
    assert ask(listener, pair).admitted is None


def test_an_impostors_certificate_is_seen_and_does_not_verify(
    stack: Stack, listening: Callable[[Served], Listener], tmp_path: Path
) -> None:
    """It has the names of the real one, and its authority's name as well."""
    impostor = Issuer("internode").issue("cluster", dns_names=(SERVER_NAME,))
    answer = ask(listening(served_with(impostor, tmp_path / "s")))
    assert answer.certificate == impostor.certificate
    assert not answer.verifies
    assert answer.detail


def test_an_ended_certificate_verifies_and_its_end_is_for_the_clock(
    listening: Callable[[Served], Listener], tmp_path: Path
) -> None:
    """OpenSSL's clock is not the one that the status was asked for."""
    ended = INTERNODE.issue(
        "cluster", begins=NOW - timedelta(days=9), ends=NOW - timedelta(days=1), dns_names=(SERVER_NAME,)
    )
    assert ask(listening(served_with(ended, tmp_path / "s"))).verifies


@pytest.mark.parametrize(
    ("serve", "outcome", "detail"),
    [
        (plain, Outcome.NO_TLS, ""),
        (plain_greeting, Outcome.NO_TLS, ""),
        (hangs_up, Outcome.FAILED, "it hangs up on a TLS greeting"),
        (silent, Outcome.FAILED, "it does not answer a TLS greeting"),
    ],
)
def test_what_speaks_no_tls_is_told_by_what_it_does(
    listening: Callable[[Served], Listener],
    monkeypatch: pytest.MonkeyPatch,
    serve: Served,
    outcome: Outcome,
    detail: str,
) -> None:
    monkeypatch.setattr(listeners, "_HANDSHAKE_SECONDS", 0.5)
    answer = ask(listening(serve))
    assert answer.outcome is outcome
    assert detail in answer.detail
    assert answer.certificate is None


def test_a_listener_that_is_not_there_is_unreachable(closed_port: int) -> None:
    assert ask(replace(FRONTEND, port=closed_port)).outcome is Outcome.UNREACHABLE
    assert ask(replace(FRONTEND, port=closed_port)).detail == "Connection refused"
    nowhere = ask(replace(FRONTEND, host="nowhere.invalid"))
    assert nowhere.outcome is Outcome.UNREACHABLE
    assert nowhere.detail


def test_listeners_are_asked_all_at_once(
    listening: Callable[[Served], Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten hosts that do not answer would take a minute."""
    monkeypatch.setattr(listeners, "_HANDSHAKE_SECONDS", 1.0)
    begun = time.monotonic()
    answers = handshakes([listening(silent) for _ in range(10)], [INTERNODE.certificate], None)
    assert [one.outcome for one in answers] == [Outcome.FAILED] * 10
    assert time.monotonic() - begun < 5


def test_a_key_that_was_inlined_or_does_not_fit_is_not_shown(stack: Stack, base: Path) -> None:
    """A private key would be written to another file, or the status end with a traceback."""
    assert Pair.below(base / "cli", "cli")
    (base / "cli/cli.key").resolve().write_bytes(stack.keys["ui"].private_key_pem)
    assert Pair.below(base / "cli", "cli") is None
    directory.write(base, stack.compose(inline=True))
    assert Pair.below(base / "cli", "cli") is None
    assert Pair.below(base / "none", "cli") is None


# The command


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and that nobody else gets."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


class Project:
    """A folder with a Pulumi CLI that knows one stack, and hides its secrets from whoever may not decrypt them."""

    def __init__(self, folder: Path, stack: Stack) -> None:
        self.folder = folder
        self.stack = stack
        self.may_decrypt = True
        self.pulumi = folder / "bin" / "pulumi"
        self.pulumi.parent.mkdir()
        self.write_pulumi('case "$*" in *--show-secrets*) exec cat shown.json;; *) exec cat hidden.json;; esac')

    def write_pulumi(self, command: str) -> None:
        self.pulumi.write_text(f"#!/bin/sh\n{command}\n")
        self.pulumi.chmod(0o755)

    def prepare(self) -> None:
        shown, hidden = json.dumps(self.stack.raw), json.dumps(self.stack.raw)
        for secret in CLIENT_SECRETS.values():
            hidden = hidden.replace(secret, HIDDEN)
        (self.folder / "shown.json").write_text(shown)
        (self.folder / "hidden.json").write_text(hidden)

    def run(self, *arguments: str) -> Result:
        self.prepare()
        result = CliRunner().invoke(main, [*arguments, "--stack", "dev"])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert not [secret for secret in CLIENT_SECRETS.values() if secret in result.output]
        return result


@pytest.fixture
def project(tmp_path: Path, stack: Stack, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> Project:
    stack.raw["cliEnv"]["TEMPORAL_ADDRESS"] = f"127.0.0.1:{closed_port}"
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    directory.write(tmp_path / ".deploy" / "dev", stack.compose())
    return Project(tmp_path, stack)


def test_the_exit_status_tells_a_monitor(project: Project) -> None:
    """0 fine, 1 not, 2 not known: a monitor that cannot tell them apart cries for a passphrase, or is silent."""
    assert project.run("status").exit_code == 0
    assert project.run("status", "--fail-within", "80d").exit_code == 0
    assert project.run("status", "--fail-within", "90d").exit_code == 1
    named = project.run("status", "--listener", project.stack.raw["cliEnv"]["TEMPORAL_ADDRESS"])
    assert named.exit_code == 1
    assert "it cannot be reached (Connection refused)" in named.stdout
    project.write_pulumi("echo 'error: no such stack' >&2; exit 255")
    untold = project.run("status")
    assert untold.exit_code == 2
    assert "error: no such stack" in untold.stderr


@pytest.mark.parametrize("options", [("--fail-within", "30"), ("--fail-within", ""), ("--listener", "host")])
def test_options_that_are_wrong_are_no_bad_status(project: Project, options: tuple[str, ...]) -> None:
    assert project.run("status", *options).exit_code == 2


def test_the_clock_can_be_moved_and_must_be_one(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal of renewals would be judged by today."""
    monkeypatch.setenv(CLOCK, (LEAF_ENDS + timedelta(days=1)).isoformat())
    ended = project.run("status", "--json")
    assert ended.exit_code == 1
    assert "the certificate ui ended on" in ended.stdout
    monkeypatch.setenv(CLOCK, "tomorrow")
    refused = project.run("status")
    assert refused.exit_code == 2
    assert f"{CLOCK} is no instant" in refused.stderr


def test_json_has_everything_and_no_secret(project: Project) -> None:
    data = json.loads(project.run("status", "--json").stdout)
    assert data["failing"] is False
    assert data["findings"] == []
    assert {one["name"]: one["delivered"] for one in data["certificates"]} == {
        **dict.fromkeys(LEAVES.values(), "current"),
        "internode-1": None,
        "clients-1": None,
    }
    assert {one["outcome"] for one in data["listeners"]} == {"unreachable"}
    for key in project.stack.keys.values():
        assert base64.b64encode(key.private_key_pem).decode() not in json.dumps(data)


def test_who_may_not_decrypt_gets_the_rest_and_is_told(project: Project) -> None:
    """A monitor would need the right to read every client secret."""
    project.write_pulumi('case "$*" in *--show-secrets*) exit 1;; *) exec cat hidden.json;; esac')
    for command in ("status", "summary"):
        result = project.run(command)
        assert result.exit_code == 0, result.output
        assert "Client secrets were not compared" in result.stdout


def test_the_summary_notices_an_old_client_secret(project: Project) -> None:
    """Somebody would restart the UI with a secret that has ended."""
    assert re.search(r"^ui +current", project.run("summary").stdout, re.MULTILINE)
    project.stack.raw["uiEnv"]["TEMPORAL_AUTH_CLIENT_SECRET"] = "a newer one"
    summary = project.run("summary")
    assert re.search(r"^ui +outdated", summary.stdout, re.MULTILINE)
    assert "python -m deploy write --stack dev" in summary.stdout


def in_a_terminal(width: int, *arguments: str) -> str:
    """What a person sees of `python -m deploy` in a terminal of that width."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment |= {"TERM": "xterm", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "deploy", *arguments]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment):
        os.close(slave)
        said = b""
        with suppress(OSError):  # what a terminal says when its last user is gone
            while read := os.read(master, 65536):
                said += read
    os.close(master)
    return re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).replace("\r\n", "\n")


@pytest.mark.parametrize("width", [80, 160])
def test_nothing_is_lost_in_a_narrow_terminal(project: Project, width: int) -> None:
    """Three dots where a day or a host should be help nobody at two in the morning."""
    project.stack.raw["uiEnv"]["TEMPORAL_NEW"] = "new"
    address = project.stack.raw["cliEnv"]["TEMPORAL_ADDRESS"]
    directory.write(project.folder / ".deploy" / "dev", {"cli": project.stack.compose()["cli"]})
    project.prepare()
    said = in_a_terminal(width, "status", "--stack", "dev")
    assert "…" not in said
    tables, _, rest = said.partition("Not known")
    assert max(map(len, tables.splitlines())) <= width
    row = rf"^cluster +node +internode-1 +{LEAF_ENDS:%Y-%m-%d} +88 d +{RENEWED_FROM:%Y-%m-%d} +current *$"
    assert re.search(row, tables, re.MULTILINE)
    assert re.search(r"^clients-1 +authority +clients-1 +\S+ +999 d +by hand *$", tables, re.MULTILINE)
    assert f"{address}=" in tables
    assert "TEMPORAL_NEW in ui.env is missing. Run `python -m deploy write --stack dev --only ui`" in rest


@pytest.mark.parametrize("name", ["[/red]evil", "[bold red]hidden[/]", "[link=x]a[/link]", "a\x1b[2Jb\nc"])
def test_names_are_shown_as_they_are(project: Project, name: str) -> None:
    """A name in brackets would be a traceback, or vanish, and one with an escape would rewrite what stands above it."""
    authority = Issuer(name)
    project.stack.raw["caBundles"]["internode"].append(to_pem(authority.certificate))
    project.stack.raw["certificates"]["spare"] = {
        **project.stack.raw["certificates"]["ui"],
        "certificatePem": to_pem(authority.issue("spare").certificate),
        "chainPem": [to_pem(authority.certificate)],
    }
    directory.write(project.folder / ".deploy" / "dev", project.stack.compose())
    shown = name.replace("\x1b", "\\u001b").replace("\n", "\\u000a")
    for command in ("status", "summary"):
        result = project.run(command)
        assert re.search(rf"^spare +client +{re.escape(shown)} ", result.stdout, re.MULTILINE)
        assert "\x1b" not in result.stdout


def test_a_listener_in_brackets_is_shown_whole(stack: Stack, base: Path) -> None:
    """An address of IPv6 would be taken for markup, and leave a port."""
    listener = Listener.parse("[fd00::1]:7236=temporal.internal", "")
    console = Console(width=120, file=io.StringIO())
    with console.capture() as shown:
        show(status(stack, base, presents(stack.keys["cluster"], listener=listener)), console)
    assert re.search(r"^\[fd00::1\]:7236=temporal\.internal  the stack's ", shown.get(), re.MULTILINE)
