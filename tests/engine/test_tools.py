"""The local stack on the real engine, with a program of a few lines that needs no Azure."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from settings import parse
from tools import REPOSITORY, ToolError
from tools.environments import make_environment
from tools.hosted import hosted_environment, require_stack
from tools.plugins import install_plugins
from tools.processes import wait_until
from tools.stack import EngineError, LocalStack
from tools.toolchain import PULUMI, Engine, Toolchain

pytestmark = pytest.mark.engine

SECRET = "a value that only the passphrase opens"
SETTINGS = """\
# Tracked: the engine must not write here.
config:
  tiny:greeting: hello   # kept
"""
# Waits, where told to, with the stack locked.
PROGRAM = f"""\
import os, pathlib, time
import pulumi

if gate := os.environ.get("TEST_GATE"):
    pathlib.Path(gate, "reached").touch()
    while not pathlib.Path(gate, "open").exists():
        time.sleep(0.02)
pulumi.export("greeting", pulumi.Config().require("greeting"))
pulumi.export("secret", pulumi.Output.secret({SECRET!r}))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A Pulumi project without a virtual environment of its own."""
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "Pulumi.yaml").write_text("name: tiny\nruntime: python\n")
    (directory / "Pulumi.local.yaml").write_text(SETTINGS)
    (directory / "__main__.py").write_text(PROGRAM)
    return directory


@pytest.fixture
def stack(tmp_path: Path, project: Path) -> LocalStack:
    return LocalStack(tmp_path / "local", azure=None, project=project)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    directory = tmp_path / "gate"
    directory.mkdir()
    return directory


def gated(stack: LocalStack, gate: Path) -> LocalStack:
    """The same stack, whose program waits at `gate`."""
    return LocalStack(stack.root, azure=None, project=stack.project, environment={"TEST_GATE": str(gate)})


def resources(stack: LocalStack) -> list[object]:
    return list(stack.export()["deployment"].get("resources", []))


def test_stack_goes_up_stays_and_comes_down(stack: LocalStack) -> None:
    """The whole life of a stack: a preview that creates nothing, an up, an up without changes, a refresh, the end."""
    assert stack.preview().check().changes == {"create": 1}
    assert resources(stack) == []
    assert stack.up().check().changes == {"create": 1}
    assert stack.outputs() == {"greeting": "hello", "secret": SECRET}
    assert stack.preview().check().changes == {"same": 1}
    assert stack.up().check().changes == {"same": 1}
    assert stack.refresh().check().changes == {"same": 1}
    assert stack.destroy().check().changes == {"delete": 1}
    assert resources(stack) == []


def test_failed_program_is_an_outcome_with_its_words(stack: LocalStack, project: Path) -> None:
    """A test that expects a refusal must see its text; a test that does not must fail on it."""
    (project / "__main__.py").write_text("raise ValueError('no such vault')\n")
    outcome = stack.up()
    assert outcome.exit_status != 0
    assert "no such vault" in outcome.output
    assert outcome.changes == {}
    with pytest.raises(EngineError, match="no such vault"):
        outcome.check()


@pytest.mark.parametrize("tracked", [SETTINGS, SETTINGS + "encryptionsalt: v1:AAAAAAAAAAA=:v1:AAAAAAAAAAAAAAAA:AAAA\n"])
def test_tracked_stack_file_is_neither_written_nor_asked_for_a_salt(
    stack: LocalStack, project: Path, tmp_path: Path, tracked: str
) -> None:
    """A salt in the tracked file is a change that nobody made, and "incorrect passphrase" for everybody else."""
    file = project / "Pulumi.local.yaml"
    file.write_text(tracked)
    stack.up().check()
    stack.outputs()
    stack.export(show_secrets=True)
    assert file.read_text() == tracked
    assert "encryptionsalt: v1:" in stack.config_file.read_text()

    elsewhere = LocalStack(tmp_path / "elsewhere", azure=None, project=project)
    assert elsewhere.up().check().changes == {"create": 1}
    stack.destroy().check()
    assert file.read_text() == tracked


def test_salt_outlives_a_change_of_settings(stack: LocalStack, project: Path) -> None:
    """With a new salt the engine could not read the secrets of the state before."""
    stack.up().check()
    (project / "Pulumi.local.yaml").write_text(SETTINGS.replace("hello", "good evening"))
    stack.up().check()
    assert stack.outputs() == {"greeting": "good evening", "secret": SECRET}


def test_lost_passphrase_is_said_before_the_engine_is_asked(stack: LocalStack) -> None:
    """A new passphrase for an old state ends in the engine's "incorrect passphrase", which nobody ever chose."""
    stack.up().check()
    (stack.root / "passphrase").unlink()
    with pytest.raises(ToolError, match="passphrase was gone"):
        stack.up()


def test_settings_of_a_test_take_the_place_of_the_tracked_ones(stack: LocalStack) -> None:
    """Tests of wrong settings must reach the program with exactly these."""
    stack.configure({"tiny:greeting": "from the test"})
    stack.up().check()
    assert stack.outputs()["greeting"] == "from the test"


def test_up_after_a_killed_engine_goes_on(stack: LocalStack, gate: Path) -> None:
    """After SIGKILL the stack is locked by nobody; `make up` must not ask a person to find that out."""
    with gated(stack, gate).start("up", "--yes", "--skip-preview") as running:
        wait_until((gate / "reached").exists, "the program runs")
        assert len(running.processes()) > 1
        assert running.kill_all().exit_status == -9
        assert running.processes() == []
    assert stack.up().check().changes


def test_running_engine_keeps_its_stack(stack: LocalStack, gate: Path) -> None:
    """Two engines on one state lose resources. The refusal names the process to wait for."""
    with gated(stack, gate).start("up", "--yes", "--skip-preview") as running:
        wait_until((gate / "reached").exists, "the program runs")
        with pytest.raises(ToolError, match=f"locked by process {running.pid} "):
            stack.up()
        (gate / "open").touch()
        running.wait().check()
    assert stack.up().check().changes == {"same": 1}


def test_built_engine_says_the_pinned_version() -> None:
    """An engine without a version fails the version checks of plugins and programs."""
    toolchain = Toolchain()
    built = toolchain.built(PULUMI)
    answer = subprocess.run([built, "version"], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == toolchain.pinned_version(PULUMI)


def test_engine_on_path_runs_the_stack_with_nothing_of_ours(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's own installation, laid out as the official one is, must do all that the built one does."""
    installation = tmp_path / "official"
    installation.mkdir()
    built = Toolchain().built(PULUMI).parent
    for name in ("pulumi", "pulumi-language-python", "pulumi-language-python-exec"):
        shutil.copy2(built / name, installation / name)
    monkeypatch.setenv("PATH", f"{installation}:/usr/bin:/bin")
    toolchain = Toolchain(tmp_path / "tools")
    assert toolchain.engine() == Engine(installation / "pulumi")
    stack = LocalStack(tmp_path / "local", azure=None, project=project, toolchain=toolchain)
    assert stack.up().check().changes == {"create": 1}
    assert not (tmp_path / "tools").exists()


def test_plugins_are_installed_once_and_follow_the_choice(stack: LocalStack, tmp_path: Path) -> None:
    """A reinstallation at each run costs seconds; a stand-in left behind would pass for the official plugin."""
    official = tmp_path / "path" / "pulumi-resource-azure-native"
    official.parent.mkdir()
    official.write_text("#!/bin/sh\n")
    official.chmod(0o755)
    stack.prepare()
    pulumi = stack.engine.executable
    environment = stack.environment()
    environment["PATH"] = f"{official.parent}:{environment['PATH']}"
    name = f"resource-azure-native-v{version('pulumi-azure-native')}"
    installed = stack.root / "pulumi-home" / "plugins" / name / official.name

    install_plugins(pulumi, environment)
    stand_in = installed.read_text()
    assert stand_in == (REPOSITORY / "localazure/plugins/azure_native" / official.name).read_text()
    assert os.access(installed, os.X_OK)
    before = installed.stat()
    install_plugins(Path("/nonexistent/pulumi"), environment)
    assert installed.stat() == before

    install_plugins(pulumi, environment, frozenset({"azure-native"}))
    assert str(official) in installed.read_text()
    install_plugins(pulumi, environment)
    assert installed.read_text() == stand_in


@pytest.fixture
def hosted(tmp_path: Path) -> dict[str, str]:
    """The variables of somebody who is logged in to an empty backend."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    variables |= {
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_BACKEND_URL": tmp_path.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "test",
    }
    return hosted_environment(Toolchain().engine(), variables)


def test_stack_that_does_not_exist_is_one_line_with_the_command(project: Path, hosted: dict[str, str]) -> None:
    """The engine's "no stack named" does not say how to make one, nor that it needs a backend first."""
    engine = Toolchain().engine()
    with pytest.raises(ToolError, match="pulumi stack init dev`"):
        require_stack(engine, "dev", hosted, project=project)
    subprocess.run([engine.executable, "stack", "init", "dev", "--no-select"], cwd=project, env=hosted, check=True)
    require_stack(engine, "dev", hosted, project=project)


def test_new_environment_is_one_that_settings_accept(project: Path, hosted: dict[str, str]) -> None:
    """A template that the program refuses is a bad beginning."""
    engine = Toolchain().engine()
    assert make_environment("staging", "northeurope", engine=engine, variables=hosted, project=project)

    require_stack(engine, "staging", hosted, project=project)
    written = yaml.safe_load((project / "Pulumi.staging.yaml").read_text())
    assert written["encryptionsalt"]
    settings = parse(written["config"], project="temporal-azure", stack="staging")
    assert settings.location == "northeurope"
    assert [warning.partition(":")[0] for warning in settings.warnings] == ["signOn.roles"]


def test_environment_that_has_its_file_keeps_it(project: Path, hosted: dict[str, str]) -> None:
    """Somebody else's settings would be gone."""
    file = project / "Pulumi.staging.yaml"
    file.write_text(SETTINGS)
    assert not make_environment("staging", "x", engine=Toolchain().engine(), variables=hosted, project=project)

    assert file.read_text().startswith(SETTINGS.splitlines()[0])
    assert yaml.safe_load(file.read_text())["config"] == {"tiny:greeting": "hello"}


@pytest.mark.parametrize("name", ["local", "Prod", "a_b", "", "1st", "x" * 31, "../up"])
def test_environment_of_an_impossible_name_is_refused(project: Path, hosted: dict[str, str], name: str) -> None:
    """Names of vaults, groups and files come from it."""
    before = set(project.iterdir())
    with pytest.raises(ToolError, match="cannot be an environment"):
        make_environment(name, "westeurope", engine=Toolchain().engine(), variables=hosted, project=project)
    assert set(project.iterdir()) == before


def test_environment_without_a_backend_leaves_nothing(project: Path, hosted: dict[str, str], tmp_path: Path) -> None:
    """A file without its stack looks like an environment that there is."""
    nowhere = hosted | {"PULUMI_BACKEND_URL": (tmp_path / "file" / "below").as_uri()}
    (tmp_path / "file").touch()
    with pytest.raises(ToolError, match="there is no new file: "):
        make_environment("staging", "x", engine=Toolchain().engine(), variables=nowhere, project=project)
    assert not (project / "Pulumi.staging.yaml").exists()


def test_missing_go_is_one_line_on_a_fresh_clone(tmp_path: Path) -> None:
    """The first thing that many will meet: it must say what to install, not where a subprocess was started."""
    clone = tmp_path / "clone"
    shutil.copytree(REPOSITORY / "tools", clone / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    answer = subprocess.run(
        [sys.executable, "-m", "tools", "ensure", "engine"],
        cwd=clone,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert len(answer.stderr.strip().splitlines()) == 1, answer.stderr
    assert "or newer from https://go.dev/dl/" in answer.stderr
