"""The host of a plugin, and the values that it exchanges with the engine."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.empty_pb2 import Empty
from hypothesis import given
from hypothesis import strategies as st
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import PropertyDiffKind
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc

from plugin import (
    UNKNOWN,
    Engine,
    difference,
    has_unknown,
    plain,
    property_of,
    property_path,
    property_values,
    serve,
)

REPOSITORY = Path(__file__).parents[2]
URN = "urn:pulumi:local::temporal-azure::trial:index:Trial::trial"
PATIENCE_SECONDS = 60
"""How long to wait for what must happen; much longer than it takes."""

# Values

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)
property_names = st.text().filter(lambda name: not name.startswith("__"))
properties = st.dictionaries(property_names, values, max_size=3)


@given(properties)
def test_plain_data_goes_to_the_engine_and_comes_back(data: dict[str, Any]) -> None:
    """The state would differ from the program's inputs, and every run would show a change."""
    wire = PropertyValue.marshal_map(property_values(data))
    assert plain(PropertyValue.unmarshal_map(wire)) == data


def test_whole_numbers_come_back_as_integers() -> None:
    """The protocol has floats only, and a model that asks for whole days refuses 90.0."""
    found = plain(property_values({"days": 90, "limits": [1.0, 1.5], "policy": {"renewal": 0}}))
    assert repr(found) == "{'days': 90, 'limits': [1, 1.5], 'policy': {'renewal': 0}}"


def test_truth_is_no_number() -> None:
    """`True` is an `int` to Python, and 1.0 to a state that was written carelessly."""
    assert plain(property_values({"enabled": True, "count": 1})) == {"enabled": True, "count": 1}
    assert property_values({"enabled": True})["enabled"].value is True
    assert property_values({"count": 1})["count"].value == 1.0


def test_what_is_secret_is_marked_and_nothing_else() -> None:
    """An answer without the mark puts the value into the state in the clear; the engine adds none by itself."""
    values = property_values({"value": "hunter2", "name": "client-secret"}, secrets={"value", "missing"})
    assert {name: value.is_secret for name, value in values.items()} == {"value": True, "name": False}
    assert plain(values) == {"value": "hunter2", "name": "client-secret"}


def test_secrets_and_dependencies_are_seen_through() -> None:
    """A secret map would be compared as a wrapper, and always differ."""
    value = PropertyValue(
        {"pin": PropertyValue("1234", is_secret=True), "pins": PropertyValue([PropertyValue(1.0)], is_secret=True)},
        is_secret=True,
        dependencies=[URN],
    )
    assert plain({"safe": value}) == {"safe": {"pin": "1234", "pins": [1]}}


def test_the_engines_own_properties_are_left_out() -> None:
    """`__defaults` and its like are no inputs: a strict model would refuse them."""
    data = {"__defaults": [], "__internal": {}, "_mine": 1, "name": "a"}
    assert plain(property_values(data)) == {"_mine": 1, "name": "a"}


def test_a_tag_that_begins_with_two_underscores_is_kept() -> None:
    """A user's tag would vanish without a word."""
    data = {"tags": {"__owner": "me"}, "rules": [{"__id": 1}]}
    assert plain(property_values(data)) == data


@given(properties, st.sampled_from([lambda it: it, lambda it: [it], lambda it: {"a": [{"b": it}]}]))
def test_the_unknown_is_found_at_any_depth(data: dict[str, Any], wrap: Callable[[Any], Any]) -> None:
    """What is not known yet would be judged, or taken for a text."""
    assert has_unknown({**data, "later": wrap(UNKNOWN)})
    assert has_unknown(plain(property_values({"later": wrap(UNKNOWN)})))


@pytest.mark.parametrize("value", [None, "", "unknown", 0, False, [], {}, {UNKNOWN: 1}, f"{UNKNOWN}-1"])
def test_what_is_known_is_not_unknown(value: Any) -> None:
    assert not has_unknown(value)


# Differences


@given(properties)
def test_nothing_differs_from_itself(data: dict[str, Any]) -> None:
    """The second `up` must change nothing."""
    assert difference(data, data) == {}
    assert difference(plain(property_values(data)), data) == {}


@given(properties, properties)
def test_whatever_differs_is_found(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert (difference(old, new) == {}) is (old == new)


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"a": 1}, {"a": 2}, {"a": "UPDATE"}),
        ({}, {"a": 1}, {"a": "ADD"}),
        ({"a": 1}, {}, {"a": "DELETE"}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 2, "d": 3}}, {"a.b": "UPDATE", "a.c": "DELETE", "a.d": "ADD"}),
        ({"a": [1, 2]}, {"a": [2, 1]}, {"a": "UPDATE"}),
        ({"a": {"b": 1}}, {"a": [1]}, {"a": "UPDATE"}),
        ({"a": {}}, {"a": None}, {"a": "UPDATE"}),
        ({"a": 1}, {"a": True, "b": None}, {"b": "ADD"}),
        ({"tags": {}}, {"tags": {"cost.center": "1"}}, {'tags["cost.center"]': "ADD"}),
        ({"tags": {"a": {"b c": 1}}}, {"tags": {"a": {"b c": 2}}}, {'tags.a["b c"]': "UPDATE"}),
        ({"a": UNKNOWN}, {"a": UNKNOWN}, {"a": "UPDATE"}),
        ({"a": "x"}, {"a": UNKNOWN}, {"a": "UPDATE"}),
        ({"a": [{"b": "x"}]}, {"a": [{"b": UNKNOWN}]}, {"a": "UPDATE"}),
        ({}, {"a": UNKNOWN}, {"a": "ADD"}),
    ],
)
def test_a_difference_says_where_and_how(old: dict[str, Any], new: dict[str, Any], changes: dict[str, str]) -> None:
    """The preview shows it, and decides by it what is replaced."""
    found = difference(old, new)
    assert {path: change.kind.name for path, change in found.items()} == changes
    assert all(change.input_diff for change in found.values())


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        (("policy", "keyType"), "policy.keyType"),
        (("names", 0), "names[0]"),
        (("names", 0, "value"), "names[0].value"),
        (("tags", "cost.center"), 'tags["cost.center"]'),
        (("tags", 'say "yes"'), 'tags["say \\"yes\\""]'),
        (("tags", "größe"), 'tags["größe"]'),
        (("tags", ""), 'tags[""]'),
        (("cost.center",), '["cost.center"]'),
        ((), ""),
    ],
)
def test_a_path_is_written_as_the_engine_reads_it(steps: tuple[str | int, ...], path: str) -> None:
    """A tag with a period would be shown as a property of a property that does not exist."""
    assert property_path(steps) == path
    if steps and steps[0] != "cost.center":
        assert property_of(path) == steps[0]


def test_kinds_of_change_are_the_engines() -> None:
    assert difference({}, {"a": 1})["a"].kind is PropertyDiffKind.ADD


# The host


class EngineDouble(engine_pb2_grpc.EngineServicer):
    """The part of the engine that a plugin calls."""

    def __init__(self) -> None:
        self.logged: list[engine_pb2.LogRequest] = []

    def Log(self, request: engine_pb2.LogRequest, context: grpc.ServicerContext) -> Empty:
        self.logged.append(request)
        return Empty()


@dataclass(frozen=True)
class Running:
    """A plugin that is served to an engine."""

    process: subprocess.Popen[str]
    engine: grpc.Server
    double: EngineDouble
    stub: Any

    def fails(self, method: str, request: Any) -> grpc.RpcError:
        with pytest.raises(grpc.RpcError) as caught:
            getattr(self.stub, method)(request, timeout=PATIENCE_SECONDS)
        return caught.value


@contextmanager
def _engine(double: EngineDouble, **options: int) -> Iterator[tuple[grpc.Server, str]]:
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, options=[(f"grpc.{name}", value) for name, value in options.items()])
        engine_pb2_grpc.add_EngineServicer_to_server(double, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield server, f"127.0.0.1:{port}"
        server.stop(None).wait()


@contextmanager
def _running() -> Iterator[Running]:
    double = EngineDouble()
    with _engine(double) as (engine, engine_address):
        command = [sys.executable, "-m", "tests.unit.trial_plugin", "--logtostderr", engine_address]
        process = subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        try:
            assert process.stdout is not None
            address = f"127.0.0.1:{int(process.stdout.readline())}"
            with grpc.insecure_channel(address) as channel:
                yield Running(process, engine, double, provider_pb2_grpc.ResourceProviderStub(channel))
        finally:
            engine.stop(None).wait()
            try:
                process.communicate(timeout=PATIENCE_SECONDS)
            finally:
                process.kill()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with _running() as plugin:
        yield plugin


def test_a_plugin_tells_its_version(running: Running) -> None:
    """Its first line is the port: anything printed before it, and the engine gives up."""
    assert running.stub.GetPluginInfo(Empty(), timeout=PATIENCE_SECONDS).version == "1.2.3"


def test_what_a_person_can_mend_is_its_message_alone(running: Running) -> None:
    """A page of traceback hides the one line that says what to do."""
    error = running.fails("Delete", provider_pb2.DeleteRequest(urn=URN, id="1"))
    assert error.details() == "The vault is closed. Nothing was deleted. Open it."
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_a_bug_keeps_its_traceback(running: Running) -> None:
    """Without it, nobody could mend the bug."""
    error = running.fails("Diff", provider_pb2.DiffRequest(urn=URN, id="1"))
    details = error.details() or ""
    assert "'policy'" in details
    assert "trial_plugin.py" in details
    assert error.code() is grpc.StatusCode.UNKNOWN


def test_a_plugin_goes_on_after_an_error(running: Running) -> None:
    running.fails("Diff", provider_pb2.DiffRequest(urn=URN, id="1"))
    assert running.process.poll() is None
    assert running.stub.GetPluginInfo(Empty(), timeout=PATIENCE_SECONDS).version == "1.2.3"


def test_messages_stand_beside_their_resource(running: Running) -> None:
    """A message without its resource is shown for the stack, and a status that stays fills the screen."""
    running.double.logged.clear()
    sent = PropertyValue.marshal_map(property_values({"message": "Waiting."}))
    running.stub.Create(provider_pb2.CreateRequest(urn=URN, properties=sent), timeout=PATIENCE_SECONDS)
    assert [(it.severity, it.message, it.urn, it.ephemeral) for it in running.double.logged] == [
        (engine_pb2.INFO, "Waiting.", URN, False),
        (engine_pb2.WARNING, "Waiting.", URN, False),
        (engine_pb2.INFO, "Waiting.", URN, True),
        (engine_pb2.INFO, "Waiting.", "", False),
    ]


def test_a_plugin_ends_with_its_engine() -> None:
    """A killed `pulumi up` would leave somebody behind who still writes."""
    with _running() as plugin:
        assert plugin.process.poll() is None
        plugin.engine.stop(None).wait()
        assert plugin.process.wait(PATIENCE_SECONDS) == 0
        _, complaints = plugin.process.communicate()
        assert "Traceback" not in complaints


def test_without_an_engine_a_plugin_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who starts the executable by hand would see a traceback of the command line's parser."""
    monkeypatch.setattr(sys, "argv", ["pulumi-resource-trial", "--logtostderr"])
    with pytest.raises(SystemExit, match="the Pulumi engine starts it"):
        serve(lambda engine: pytest.fail("nothing may be served"), "1.2.3")


class Watched:
    """A channel whose states are told to whoever waits for them."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._seen: list[grpc.ChannelConnectivity] = []
        self._changed = asyncio.Condition()

    def get_state(self, *, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        state = self._channel.get_state(try_to_connect)
        self._seen.append(state)
        return state

    async def wait_for_state_change(self, last: grpc.ChannelConnectivity) -> None:
        async with self._changed:
            self._changed.notify_all()
        await self._channel.wait_for_state_change(last)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    async def has_been(self, *states: grpc.ChannelConnectivity) -> None:
        """Return once the channel has had these states, in this order."""

        def had() -> bool:
            remaining = iter(self._seen)
            return all(state in remaining for state in states)

        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(had), PATIENCE_SECONDS)


async def test_an_idle_connection_is_no_lost_engine() -> None:
    """While a person reads the preview nothing is said for minutes: the plugin must be there when they answer."""
    ready, idle = grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.IDLE
    with _engine(EngineDouble(), max_connection_idle_ms=100) as (server, address):
        async with grpc.aio.insecure_channel(address) as channel:
            watched = Watched(channel)
            gone = asyncio.create_task(Engine(watched).gone())  # type: ignore[arg-type]
            await watched.has_been(ready, idle, ready, idle, ready)
            assert not gone.done()
            server.stop(None)
            await asyncio.wait_for(gone, PATIENCE_SECONDS)


async def test_an_engine_that_was_never_there_is_gone() -> None:
    with _engine(EngineDouble()) as (server, address):
        server.stop(None).wait()
        async with grpc.aio.insecure_channel(address) as channel:
            await asyncio.wait_for(Engine(channel).gone(), PATIENCE_SECONDS)
