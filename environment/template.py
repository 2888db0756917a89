"""YAML with Go template actions, out of Python values: the form of a configuration file that the server renders itself.

Mappings and scalars become YAML. A `Pipeline` is a value that the server computes from its environment, `Cases`
a subtree that it chooses. Strings, given or computed, are written as JSON, which YAML contains: a password with quotes
or a colon in it stays a string.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Pipeline:
    """A Go template pipeline. Its result is a string unless `bare`: numbers, flags, durations, JSON."""

    text: str
    bare: bool = False


@dataclass(frozen=True)
class Cases:
    """The subtree of the first condition that holds; with none, the key is left out."""

    subtrees: Mapping[str, "Node"]


Scalar: TypeAlias = str | bool | int | Pipeline
Node: TypeAlias = Scalar | Cases | Mapping[str, "Node"]


def text(name: str, default: str | Pipeline = "") -> Pipeline:
    """The variable `name` as a string; `default` when it is unset or empty."""
    return Pipeline(_lookup(name, default))


def bare(name: str, default: str | int) -> Pipeline:
    """The variable `name` as a number, a flag or a duration; `default` when it is unset or empty."""
    return Pipeline(_lookup(name, str(default)), bare=True)


def texts(names: Iterable[str]) -> Pipeline:
    """The list of those variables that are set."""
    variables = " ".join(f'(env "{name}")' for name in names)
    return Pipeline(f"list {variables} | compact | toJson", bare=True)


def render(document: Mapping[str, Node]) -> str:
    """The template's text."""
    return "".join(f"{line}\n" for key, node in document.items() for line in _lines(key, node, depth=0))


def refusal(condition: str, message: str) -> str:
    """A line that stops the server with `message` when `condition` holds."""
    return f"{{{{- if {condition} }}}}{{{{ fail {json.dumps(message)} }}}}{{{{ end }}}}\n"


def _lookup(name: str, default: str | Pipeline) -> str:
    match default:
        case Pipeline():
            return f'env "{name}" | default ({default.text})'
        case "":
            return f'env "{name}"'
        case _:
            return f'env "{name}" | default {json.dumps(default)}'


def _lines(key: str, node: Node, depth: int) -> Iterator[str]:
    indent = "  " * depth
    match node:
        case Cases(subtrees):
            for number, (condition, subtree) in enumerate(subtrees.items()):
                yield f"{{{{- {'else if' if number else 'if'} {condition} }}}}"
                yield from _lines(key, subtree, depth)
            yield "{{- end }}"
        case Mapping():
            yield f"{indent}{key}:"
            for child, subtree in node.items():
                yield from _lines(child, subtree, depth + 1)
        case _:
            yield f"{indent}{key}: {_scalar(node)}"


def _scalar(value: Scalar) -> str:
    match value:
        case Pipeline(pipeline, bare):
            return f"{{{{ {pipeline if bare else f'{pipeline} | toJson'} }}}}"
        case _:
            return json.dumps(value)
