"""The workflows, as far as they can be judged without GitHub: by two checkers, and by rules of this project's own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.toolchain import Toolchain

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
WORKFLOWS: dict[str, dict[Any, Any]] = {file.stem: yaml.safe_load(file.read_text()) for file in FILES}
JOBS = {f"{workflow}/{name}": job for workflow, document in WORKFLOWS.items() for name, job in document["jobs"].items()}
ON_AZURE = {name: job for name, job in JOBS.items() if "ARM_CLIENT_ID" in job.get("env", {})}
PINNED = re.compile(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def zizmor() -> Path:
    """What is on PATH, else what requirements-dev.txt put beside this Python."""
    return Path(shutil.which("zizmor") or Path(sys.executable).with_name("zizmor"))


def test_actionlint_finds_nothing() -> None:
    """A mistake in a workflow is found by the first run that needs it, at night or on the way to prod."""
    found = subprocess.run([Toolchain().actionlint()], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_zizmor_finds_nothing() -> None:
    """Somebody's branch name becomes a command, or a job has rights that it does not need."""
    command = [str(zizmor()), "--offline", "--no-progress", "--persona", "pedantic", ".github"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_checkers_would_find_something(tmp_path: Path) -> None:
    """A checker that is called wrongly finds nothing in anything."""
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    text = next(file for file in FILES if file.stem == "pull-request").read_text()
    (folder / "wrong.yaml").write_text(text.replace("run: make check", "run: echo ${{ github.head_ref }}"))
    commands = [[str(Toolchain().actionlint()), "wrong.yaml"], [str(zizmor()), "--offline", "wrong.yaml"]]
    for command in commands:
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert found.returncode, command
        assert "head_ref" in found.stdout


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_actions_are_pinned_and_say_their_version(file: Path) -> None:
    """Whoever takes over an action's repository moves its tags, and gets this one's identities."""
    used = [line.strip().removeprefix("- ") for line in file.read_text().splitlines() if "uses:" in line]
    assert used
    assert [line for line in used if not PINNED.fullmatch(line)] == []


def test_one_action_has_one_version() -> None:
    """A pin that was brought up to date in one file only."""
    used = {
        line.strip().removeprefix("- ") for file in FILES for line in file.read_text().splitlines() if "uses:" in line
    }
    assert len({line.partition("@")[0] for line in used}) == len(used)


@pytest.mark.parametrize("name", JOBS)
def test_every_job_has_an_end_and_only_the_rights_that_it_names(name: str) -> None:
    """A job that hangs costs hours; one with all rights costs the repository."""
    job = JOBS[name]
    assert 0 < job["timeout-minutes"] <= 150
    workflow = WORKFLOWS[name.partition("/")[0]]
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["group"]
    assert workflow["defaults"] == {"run": {"shell": "bash"}}, "without it a pipe hides what failed in it"
    writes = {scope for scope, right in job["permissions"].items() if right == "write"}
    assert writes == {
        "pull-request/check": set(),
        "pull-request/local-stack": set(),
        "pull-request/comment": {"pull-requests"},
    }.get(name, {"id-token"})
    assert not [step for step in job["steps"] if "${{" in step.get("run", "")]


def test_no_workflow_has_a_secret_or_runs_for_a_fork() -> None:
    """A stored secret is in every log that prints it; `pull_request_target` hands it to whoever forks."""
    for file in FILES:
        assert "secrets." not in file.read_text()
        assert "pull_request_target" not in file.read_text()
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    assert same in JOBS["pull-request/preview"]["if"]
    assert [name for name, job in ON_AZURE.items() if name.startswith("pull-request")] == ["pull-request/preview"]


def test_each_job_on_azure_is_in_the_environment_that_its_identity_trusts() -> None:
    """A pull request runs as whoever may deploy, or a renewal waits all night for somebody to approve it."""
    environments = {name: job["environment"] for name, job in ON_AZURE.items()}
    assert environments == {
        "pull-request/preview": "preview-${{ matrix.stack }}",
        "deploy/dev": "dev",
        "deploy/preview-prod": "preview-prod",
        "deploy/prod": "prod",
        "nightly/renew": "renewal-${{ matrix.stack }}",
        "nightly/watch": "preview-${{ matrix.stack }}",
    }
    ups = {name for name, job in JOBS.items() if any(step.get("run") == ".ci/stack up" for step in job["steps"])}
    assert ups == {"deploy/dev", "deploy/prod", "nightly/renew"}


@pytest.mark.parametrize("name", ["deploy/dev", "deploy/prod", "nightly/renew"])
def test_nothing_goes_up_that_its_summary_did_not_let_through(name: str) -> None:
    """The gate stands behind what it guards."""
    runs = [step["run"] for step in JOBS[name]["steps"] if "run" in step]
    gate = ".ci/stack preview --only-renewals" if name == "nightly/renew" else ".ci/stack preview"
    assert runs[-2:] == [gate, ".ci/stack up"]


SETTING = {
    "PULUMI_BACKEND_URL": "file:///nowhere",
    "SECRETS_PROVIDER": "azurekeyvault://keys.vault.azure.net/keys/state",
    "ARM_CLIENT_ID": "client",
    "ARM_TENANT_ID": "tenant",
    "ARM_SUBSCRIPTION_ID": "subscription",
}


@pytest.mark.parametrize("missing", SETTING)
def test_a_variable_that_is_not_set_stops_before_anything_runs(tmp_path: Path, missing: str) -> None:
    """Without a backend Pulumi takes its own cloud, and without a provider a passphrase that is the empty one."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "stack", tmp_path / ".ci")
    (tmp_path / "Pulumi.dev.yaml").write_text(f"secretsprovider: {SETTING['SECRETS_PROVIDER']}\nconfig: {{}}\n")
    environment = {"PATH": os.environ["PATH"], "STACK": "dev", **SETTING, missing: ""}
    found = subprocess.run(
        [tmp_path / ".ci" / "stack", "up"], env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 2
    assert f"::error::{missing} is empty" in found.stdout
    assert ("does not name the secrets provider" in found.stdout) is (missing == "SECRETS_PROVIDER")
    assert "make" not in found.stderr


def test_the_page_names_every_environment_variable_and_command() -> None:
    """Somebody sets up everything that the page names, and a job stops at what it does not."""
    page = (ROOT / "docs" / "workflows.md").read_text()
    text = "".join(file.read_text() for file in FILES)
    for variable in set(re.findall(r"vars\.(\w+)", text)):
        assert f"gh variable set {variable} " in page
    for name in {job["environment"].partition("-$")[0] for job in ON_AZURE.values()}:
        assert (
            name in ("dev", "prod", "preview-prod")
            or f'environment "{name}-$STACK"' in page
            or f"{name}-$STACK" in page
        )


def test_the_page_lists_every_change_that_breaks() -> None:
    """The check fails over an id that nobody finds an explanation of."""
    source = (ROOT / "deploy" / "preview" / "breaking.py").read_text()
    page = (ROOT / "docs" / "workflows.md").read_text()
    kinds = set(re.findall(r"""id=f?["']([a-z-]+):""", source))
    assert len(kinds) >= 8
    for kind in kinds:
        assert f"`{kind}:" in page
