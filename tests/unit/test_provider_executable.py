"""The plugin's executable finds the program's interpreter, wherever the engine starts it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

EXECUTABLE = Path(__file__).parents[2] / "provider/pulumi-resource-temporalazure"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project's root, with blanks in its name, and the executable in it."""
    root = tmp_path / "a project"
    (root / "provider").mkdir(parents=True)
    shutil.copy(EXECUTABLE, root / "provider")
    return root


def _interpreter(path: Path) -> Path:
    """A stand-in that says which it is and how it was called."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('#!/bin/sh\nprintf "%s\\n" "$0" "$PYTHONPATH" "$PYTHONSAFEPATH" "$@"\n')
    path.chmod(0o755)
    return path


def _run(root: Path, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "PYTHON", "VIRTUAL"))}
    return subprocess.run(
        [root / "provider" / EXECUTABLE.name, "--logtostderr", "127.0.0.1:1234"],
        cwd=cwd or root,
        env=clean | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def _assert_handed_over(done: subprocess.CompletedProcess[str], interpreter: str | Path, root: Path) -> None:
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        str(interpreter),
        str(root),
        "1",
        "-m",
        "provider",
        "--logtostderr",
        "127.0.0.1:1234",
    ]


def test_an_environment_beside_the_program_is_found(root: Path) -> None:
    """The older language host says nothing of the environment."""
    interpreter = _interpreter(root / ".venv/bin/python")
    _assert_handed_over(_run(root), interpreter, root)


def test_it_is_found_from_anywhere(root: Path, tmp_path: Path) -> None:
    interpreter = _interpreter(root / ".venv/bin/python")
    _assert_handed_over(_run(root, cwd=tmp_path), interpreter, root)


def test_the_engines_environment_comes_first(root: Path, tmp_path: Path) -> None:
    """The official language host names the environment that the program runs in."""
    for other in (root / ".venv/bin/python", tmp_path / "command/python"):
        _interpreter(other)
    interpreter = _interpreter(tmp_path / "elsewhere/bin/python")
    done = _run(
        root,
        PULUMI_RUNTIME_VIRTUALENV=str(tmp_path / "elsewhere"),
        PULUMI_PYTHON_CMD=str(tmp_path / "command/python"),
    )
    _assert_handed_over(done, interpreter, root)


def test_a_relative_environment_is_the_projects(root: Path, tmp_path: Path) -> None:
    """Pulumi.yaml has it relative to itself, and the engine passes it on as it is."""
    interpreter = _interpreter(root / "environment/bin/python")
    _assert_handed_over(_run(root, PULUMI_RUNTIME_VIRTUALENV="environment"), interpreter, root)
    _assert_handed_over(_run(root, tmp_path, PULUMI_RUNTIME_VIRTUALENV="environment"), interpreter, root)


def test_a_command_comes_before_the_environment_beside_it(root: Path, tmp_path: Path) -> None:
    _interpreter(root / ".venv/bin/python")
    interpreter = _interpreter(tmp_path / "command/python3.11")
    _assert_handed_over(_run(root, PULUMI_PYTHON_CMD=str(interpreter)), interpreter, root)


def test_a_command_on_the_path_is_found(root: Path, tmp_path: Path) -> None:
    interpreter = _interpreter(tmp_path / "bin/python-for-pulumi")
    path = f"{interpreter.parent}{os.pathsep}{os.environ['PATH']}"
    _assert_handed_over(_run(root, PULUMI_PYTHON_CMD="python-for-pulumi", PATH=path), interpreter, root)


@pytest.mark.parametrize("variable", ["PULUMI_RUNTIME_VIRTUALENV", "PULUMI_PYTHON_CMD"])
def test_what_is_named_and_not_there_is_passed_over(root: Path, variable: str) -> None:
    """A variable that is left over from another project would stop every run."""
    interpreter = _interpreter(root / ".venv/bin/python")
    _assert_handed_over(_run(root, None, **{variable: "/nowhere/bin/python"}), interpreter, root)


def test_without_an_interpreter_it_says_what_to_do(root: Path) -> None:
    """The engine shows what a plugin prints before it ends: "exit status 127" helps nobody."""
    done = _run(root)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"temporalazure: no Python environment at {root}/.venv, so certificates cannot be managed. Run: make tools\n"
    )


def test_it_can_be_executed() -> None:
    """A file that lost its bit in git is no plugin."""
    assert os.access(EXECUTABLE, os.X_OK)
