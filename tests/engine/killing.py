"""Runs that are killed at one of their writes, and the next ones, which go on from there."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tests.engine.stacks import ProgramStack
from tools.processes import wait_until
from tools.stack import Outcome, Running

When = Literal["before", "after"]
Request = dict[str, Any]


def start(stack: ProgramStack, operation: str, *arguments: str) -> Running:
    """Begin as `make` does, up to the engine's start."""
    stack.take_up()
    return stack.start(operation, "--yes", "--skip-preview", *arguments)


def finished(stack: ProgramStack, operation: str) -> Outcome:
    return (stack.up() if operation == "up" else stack.destroy()).check()


def line(request: Request) -> str:
    return f"{request['method']} {request['path']}"


def pending_operations(stack: ProgramStack) -> list[str]:
    """What the state says was begun and not finished: `creating`, `importing`, …"""
    return [operation["type"] for operation in stack.export()["deployment"].get("pending_operations") or []]


def locks_of(stack: ProgramStack) -> list[Path]:
    return list((stack.backend / ".pulumi" / "locks").rglob("*.json"))


def phase_of(stack: ProgramStack, request: Request) -> str:
    return str(stack.azure.requests(request["n"] - 1)[0]["phase"])


def held_at(stack: ProgramStack, write: str, when: When) -> Request:
    """Let one write go after the other until the one with that method and path is held."""
    held = stack.azure.wait_for_held(120)
    while line(held) != write:
        stack.azure.hold(1, when)
        wait_until(partial(is_held_after, stack, held["n"]), "the next write is held")
        held = stack.azure.wait_for_held()
    return held


def is_held_after(stack: ProgramStack, number: int) -> bool:
    return bool(stack.azure.wait_for_held(120)["n"] > number)


def killed_at(
    stack: ProgramStack,
    operation: str,
    write: int | str,
    when: When,
    *arguments: str,
    kill: Callable[[Running], object] = Running.kill_all,
) -> str:
    """Kill a run at its `write`-th write, or at the one with that method and path, and return these.

    All that could still write must then end.
    """
    stack.azure.hold(write if isinstance(write, int) else 1, when)
    with start(stack, operation, *arguments) as running:
        held = stack.azure.wait_for_held(120) if isinstance(write, int) else held_at(stack, write, when)
        kill(running)
        wait_until(lambda: not writers(running), "all that could still write end")
    stack.azure.release()
    wait_until(lambda: phase_of(stack, held) != "held", "the write goes on")
    # A write let go in the moment its client leaves may still be applied, as in Azure: the end must be the same.
    assert phase_of(stack, held) in {"before": ("abandoned", "done"), "after": ("done",)}[when]
    return line(held)


def writers(running: Running) -> list[str]:
    """The processes of a run, but for the language host: it looks after its engine every five minutes only."""
    return [process.name() for process in running.processes() if process.name() != "pulumi-language-python"]
