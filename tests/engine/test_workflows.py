"""The workflows' own steps, run as they stand on the real engine and local Azure.

Left to GitHub are the actions (checkout, Python, sign-in) and when a job runs. `make` and `gh` are stand-ins that note
how they are called: the former would install packages, the latter would comment.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from azure.keyvault.certificates import CertificatePolicy

from localazure.client import LocalAzure
from tests.engine.stacks import QUICK_SETTINGS, Hand, ProgramStack, Watch, stored, versions
from tools import REPOSITORY

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("workflows")]

DEPLOYER, PREVIEWER = "deployer", "previewer"
TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
START = TODAY - timedelta(days=70)
LEAVES = ("cluster", "ui", "cli", "default")
MAKE = """#!/bin/sh
echo "$@" >> "$NOTES/make"
"""
GH = """#!/bin/sh
echo "$@" >> "$NOTES/gh"
case "$*" in *--paginate*) cat "$NOTES/comments" ;; *body=@*) cp "$RUNNER_TEMP/comment.md" "$NOTES/body" ;; esac
"""


def step(workflow: str, job: str, name: str) -> dict[str, Any]:
    """A step that runs something, by its name."""
    document = yaml.safe_load((REPOSITORY / ".github" / "workflows" / f"{workflow}.yaml").read_text())
    (found,) = (step for step in document["jobs"][job]["steps"] if step.get("name") == name)
    return dict(found)


def touched(folder: Path) -> dict[Path, int]:
    """When each file and folder in it was written last; a lock that came and went shows in its folder."""
    return {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


class Runner:
    """A machine of GitHub's with the work tree checked out, and the stack `dev` in it."""

    def __init__(self, folder: Path, stack: ProgramStack) -> None:
        self.stack = stack
        self.work_tree = folder / "work"
        self.notes, self.temp = folder / "notes", folder / "temp"
        programs = folder / "programs"
        for made in (self.notes, self.temp, programs):
            made.mkdir()
        tracked = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=REPOSITORY, capture_output=True, text=True, check=True,
        ).stdout.split("\0")  # fmt: skip
        for file in filter(None, tracked):
            target = self.work_tree / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / file, target)
        (self.work_tree / ".venv").symlink_to(sys.prefix)
        (self.work_tree / ".tools").symlink_to(REPOSITORY / ".tools")
        for name, text in (("make", MAKE), ("gh", GH)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self._programs = programs

    def run(self, found: dict[str, Any], identity: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a step as GitHub does, on a page and with outputs of its own."""
        self.stack.prepare()
        settings = self.stack.config_file.read_text()
        (self.work_tree / f"Pulumi.{self.stack.name}.yaml").write_text(f"secretsprovider: passphrase\n{settings}")
        environment = self.stack.environment(identity)
        environment |= {
            "PATH": f"{self._programs}{os.pathsep}{environment['PATH']}",
            "STACK": self.stack.name,
            "SECRETS_PROVIDER": "passphrase",
            "RUNNER_TEMP": str(self.temp),
            "NOTES": str(self.notes),
            "GITHUB_STEP_SUMMARY": str(self.temp / "page.md"),
            "GITHUB_OUTPUT": str(self.temp / "outputs"),
            "GITHUB_REPOSITORY": "contoso/temporal",
        }
        for name in ("page.md", "outputs"):
            (self.temp / name).write_text("")
        script = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", found["run"]]
        return subprocess.run(
            script, cwd=self.work_tree, env=environment | variables, capture_output=True, text=True, check=False
        )

    def outputs(self) -> dict[str, str]:
        """What a step handed on."""
        found: dict[str, str] = {}
        lines = iter((self.temp / "outputs").read_text().splitlines())
        for line in lines:
            name, _, delimiter = line.partition("<<")
            found[name] = "\n".join(iter(lines.__next__, delimiter))
        return found


@pytest.fixture(scope="module")
def runner(azure: LocalAzure, pulumi_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A stack that was made seventy days ago, so that its certificates are due."""
    stack = ProgramStack(tmp_path_factory.mktemp("stack"), azure=azure, pulumi_home=pulumi_home, name="dev")
    stack.variables = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "false"}
    deployer = {"id": azure.identities[DEPLOYER]["objectId"], "kind": "ServicePrincipal"}
    # Nobody listens on port 1: a hosted runner does not reach the frontend.
    stack.set(access={"deployers": [deployer]}, frontend={"address": "127.0.0.1:1"})
    stack.today = START
    stack.run("up").check()
    stack.today = TODAY
    return Runner(tmp_path_factory.mktemp("runner"), stack)


def assert_that_soon_end(names: Sequence[str], runner: Runner, azure: LocalAzure) -> None:
    """The nightly step fails for these and for nothing else, and needs no more than to read the stack's state."""
    watch, state = Watch(azure), touched(runner.stack.backend)
    found = runner.run(step("nightly", "watch", "See that nothing ends within 30 days"), PREVIEWER)
    assert found.returncode == bool(names), found.stdout + found.stderr
    told = re.findall(r"^  (broken|ending|due|open) +(\S+): (.+)$", found.stdout, re.MULTILINE)
    renews = f"`make up STACK={runner.stack.name}` renews it"
    assert {(level, about) for level, about, text in told if renews in text} == {("ending", name) for name in names}
    # It is no machine of the stack's: nothing is delivered there, and the server is out of its reach.
    assert [(level, about) for level, about, text in told if renews not in text] == [("due", ".deploy/dev")]
    assert "no listener was reached (127.0.0.1:1: Connection refused)" in found.stdout
    assert watch.requests() == []
    assert touched(runner.stack.backend) == state


def test_a_pull_request_gets_a_comment_and_then_the_same_one(runner: Runner, azure: LocalAzure) -> None:
    """A reviewer reads the summary of an earlier push, or one comment for each."""
    watch = Watch(azure)
    runner.stack.set(certificates={"shipping": {}})
    previewed = runner.run(step("pull-request", "preview", "Preview"), PREVIEWER)
    runner.stack.set(certificates=None)
    assert previewed.returncode == 1, previewed.stdout + previewed.stderr
    assert watch.writes() == []
    page = (runner.temp / "page.md").read_text()
    assert "- **Breaking** `remove-worker:default`" in page
    assert "- `shipping` is **issued**" in page

    runner.run(step("pull-request", "preview", "Hand the summary on"), PREVIEWER)
    handed_on = runner.outputs()
    assert handed_on == {"dev": page.rstrip("\n")}

    comment = step("pull-request", "comment", "Write the comment, or bring it up to date")
    given = {"NUMBER": "7", "GH_TOKEN": "stand-in", "SUMMARY_dev": handed_on["dev"], "SUMMARY_prod": ""}
    comments = "repos/contoso/temporal/issues/"
    for known, expected in (("", f"POST {comments}7/comments"), ("41\n42\n", f"PATCH {comments}comments/41")):
        (runner.notes / "comments").write_text(known)
        written = runner.run(comment, PREVIEWER, **given)
        assert written.returncode == 0, written.stderr
        asked, sent = (runner.notes / "gh").read_text().splitlines()[-2:]
        assert f"{comments}7/comments" in asked
        assert 'startswith("<!-- preview-summary: dev -->")' in asked
        assert f"--method {expected} " in sent
        assert (runner.notes / "body").read_text() == page
    before = (runner.notes / "gh").read_text()
    nothing = runner.run(comment, PREVIEWER, **given | {"STACK": "prod"})
    assert nothing.returncode == 0
    assert "::warning::There is no summary of prod" in nothing.stdout
    assert (runner.notes / "gh").read_text() == before


def test_a_preview_that_fails_is_told_in_the_comment(runner: Runner) -> None:
    """The comment still has the summary of the push before, with a green check beside it."""
    runner.stack.set(location="nowhere at all")
    failed = runner.run(step("pull-request", "preview", "Preview"), PREVIEWER)
    runner.stack.set(location=QUICK_SETTINGS["location"])
    assert failed.returncode == 2
    page = (runner.temp / "page.md").read_text()
    assert page.startswith("<!-- preview-summary: dev -->\n")
    assert '"nowhere at all" is not the name of an Azure region.' in page


def test_the_night_renews_what_is_due_and_stops_at_anything_more(runner: Runner, azure: LocalAzure, hand: Hand) -> None:
    """What somebody left in the settings goes up at night, and what somebody changed by hand is seen by nobody.

    Where renewals fail, night after night, the first to tell would be a server whose certificate has ended.
    """
    gate, up = step("nightly", "renew", "See that there are only renewals"), step("nightly", "renew", "Up")
    drift = step("nightly", "watch", "See that nobody changed anything by hand")
    state = touched(runner.stack.backend)
    due = runner.run(drift, PREVIEWER)
    assert due.returncode == 0, due.stdout + due.stderr
    assert touched(runner.stack.backend) == state
    assert_that_soon_end(LEAVES, runner, azure)

    runner.stack.set(tags={"team": "payments"})
    more = runner.run(gate, DEPLOYER)
    runner.stack.set(tags=None)
    assert more.returncode == 1
    assert "There is more than renewals in this." in (runner.temp / "page.md").read_text()

    passed = runner.run(gate, DEPLOYER)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "Only renewals" in (runner.temp / "page.md").read_text()
    watch = Watch(azure)
    renewed = runner.run(up, DEPLOYER)
    assert renewed.returncode == 0, renewed.stdout + renewed.stderr
    assert watch.writes("arm") == []
    leaves = runner.stack.vault("leaves")
    kept = stored(azure, leaves["name"])
    assert {name: len(versions(kept[name])) for name in kept} == dict.fromkeys(LEAVES, 2)
    assert_that_soon_end((), runner, azure)

    policy = CertificatePolicy("Self", subject="CN=ui", validity_in_months=1)
    hand.create(leaves["uri"], "ui", policy)
    drifted = runner.run(drift, PREVIEWER)
    assert drifted.returncode == 1
    assert "- `ui` (Certificate) is not as `up` left it: `certificatePem`." in (runner.temp / "page.md").read_text()


def test_deploying_shows_before_it_does(runner: Runner) -> None:
    """The step that goes up is another command than the one that was tried."""
    for job in ("dev", "prod"):
        assert step("deploy", job, "Preview") == step("pull-request", "preview", "Preview")
        assert step("deploy", job, "Up") == step("nightly", "renew", "Up")
    assert step("deploy", "preview-prod", "Preview") == step("pull-request", "preview", "Preview")


@pytest.mark.parametrize(
    ("job", "name", "target"), [("check", "Check", "check"), ("local-stack", "Prove everything", "test")]
)
def test_checks_are_those_of_the_makefile(runner: Runner, job: str, name: str, target: str) -> None:
    """Something is checked on GitHub alone, or on laptops alone."""
    assert runner.run(step("pull-request", job, name), PREVIEWER).returncode == 0
    assert (runner.notes / "make").read_text().splitlines()[-1] == target
