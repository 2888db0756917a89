"""The rooms know each other in one direction only, as docs/decisions/0001-rooms.md has it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_KNOW: dict[str, set[str]] = {
    "__main__.py": {"components", "environment", "provider", "settings"},
    "settings": {"pki"},
    "components": {"pki", "provider"},
    "environment": set(),
    "provider": {"cloud", "pki", "plugin"},
    "deploy": {"cloud", "environment", "pki", "provider", "settings"},
    "cloud": set(),
    "plugin": set(),
    "pki": set(),
    "localazure": {"plugin"},
}
PURE = {"pki", "environment", "settings"}
ROOMS = {name.removesuffix(".py") for name in MAY_KNOW} | {"tools", "tests"}


def modules(room: str) -> Iterator[Path]:
    path = ROOT / room
    yield from [path] if path.is_file() else path.rglob("*.py")


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "rooms are imported by their names"
            yield node.module or ""


def packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("room", MAY_KNOW)
def test_a_room_knows_only_what_is_below_it(room: str) -> None:
    """A way back lets a change in one room break all."""
    own = room.removesuffix(".py")
    for path in modules(room):
        strangers = packages(path) & ROOMS - MAY_KNOW[room] - {own}
        assert not strangers, f"{path.relative_to(ROOT)} knows {', '.join(sorted(strangers))}"


@pytest.mark.parametrize("room", sorted(PURE))
def test_a_pure_room_knows_no_engine_and_no_cloud(room: str) -> None:
    """What is pure can be tested without a network, and used without an account."""
    for path in modules(room):
        assert not packages(path) & {"pulumi", "pulumi_azure_native", "pulumi_azuread", "azure", "aiohttp"}, (
            path.relative_to(ROOT)
        )


def test_deploy_knows_the_clock_of_the_provider_and_nothing_else_of_it() -> None:
    """Both ask one clock what day it is; how certificates are issued is no business of who writes them."""
    for path in modules("deploy"):
        source = path.read_text(encoding="utf-8")
        assert not [name for name in imported(source) if name.startswith("provider.")], path.relative_to(ROOT)
        assert source.count("from provider import") == source.count("from provider import clock\n")


def test_local_azure_is_known_to_tools_and_tests_alone() -> None:
    """To the program it is an Azure cloud with other addresses."""
    for room in MAY_KNOW.keys() - {"localazure"}:
        for path in modules(room):
            assert "localazure" not in path.read_text(encoding="utf-8").lower(), path.relative_to(ROOT)


def test_only_the_plugins_of_local_azure_know_the_plugin_host() -> None:
    """The cloud is not made of what runs on top of it."""
    for path in modules("localazure"):
        if "plugins" not in path.parts:
            assert "plugin" not in packages(path), path.relative_to(ROOT)


def test_main_is_wiring() -> None:
    """Logic in the program's main module is logic that no test calls."""
    lines = (ROOT / "__main__.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 100


@pytest.mark.parametrize(
    ("source", "found"),
    [("import provider.clock", "provider"), ("def f():\n    from deploy import keys", "deploy"), ("import pki", "pki")],
)
def test_an_import_is_seen_wherever_it_stands(source: str, found: str) -> None:
    """The tests above would pass on anything that they cannot see."""
    assert {name.partition(".")[0] for name in imported(source)} == {found}
