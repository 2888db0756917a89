"""Checks of the work tree that no other tool makes: lock files that lag behind, and tests that nobody runs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")


def problems(repository: Path) -> list[str]:
    """What is wrong, a line each. Needs no network."""
    return [*_lagging_locks(repository), *_uncollected_tests(repository)]


def _lagging_locks(repository: Path) -> Iterator[str]:
    pins: dict[str, str] = {}
    for name in ("requirements", "requirements-dev"):
        source, lock = f"{name}.in", f"{name}.txt"
        wanted = _requirements(repository / source)
        pinned, direct = _read_lock(repository / lock, source)
        for key, requirement in wanted.items():
            if key not in pinned or not requirement.specifier.contains(pinned[key]):
                yield f"{lock} has {key} {pinned.get(key, 'not at all')}, {source} asks for {requirement}: `make lock`"
        for key in sorted(direct - wanted.keys()):
            yield f"{lock} has {key} for {source}, which no longer asks for it: `make lock`"
        for key, version in pins.items():
            if pinned.get(key) != version:
                yield f"{lock} has {key} {pinned.get(key, 'not at all')}, requirements.txt has {version}: `make lock`"
        pins = pinned


def _requirements(source: Path) -> dict[str, Requirement]:
    lines = (line.split("#")[0].strip() for line in source.read_text().splitlines())
    found = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def _read_lock(lock: Path, source: str) -> tuple[dict[str, str], set[str]]:
    """The pinned versions, and which of them `source` itself asked for when the lock was made."""
    pinned: dict[str, str] = {}
    direct: set[str] = set()
    key = ""
    for line in lock.read_text().splitlines():
        if match := _PIN.match(line):
            key = canonicalize_name(match[1])
            pinned[key] = match[2]
        elif line.lstrip().startswith("#") and line.endswith(f"-r {source}"):
            direct.add(key)
    return pinned, direct


def _uncollected_tests(repository: Path) -> Iterator[str]:
    for path in sorted(repository.rglob("*.py")):
        place = path.relative_to(repository)
        if place.parts[0].startswith("."):
            continue
        collected = place.parts[0] == "tests" and place.name.startswith("test_")
        if not collected and any(_is_test(node) for node in ast.parse(path.read_text()).body):
            yield f"{place} has tests that pytest does not collect: name it tests/…/test_….py"


def _is_test(node: ast.stmt) -> bool:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name.startswith("test_")
        case ast.ClassDef(name=name):
            return name.startswith("Test")
    return False
