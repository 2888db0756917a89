"""Each runbook, typed as it is written, by somebody whose stack has the trouble that it is for."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.newcomer import Newcomer
from tests.e2e.runbooks import RUNBOOKS, SETTINGS, ago, delivered, set_settings, steps, told_settings, typed, ui_secret
from tools import REPOSITORY

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PYTHON = ".venv/bin/python"
DELETE_A_VAULT = """\
from contextlib import ExitStack
from pathlib import Path
from localazure.client import LocalAzure
from tests.engine.localazure.sdk import Sdk

with ExitStack() as closing:
    vaults = Sdk(LocalAzure.attach(Path(".local/azure")), closing).vaults().vaults
    group = "temporal-azure-local"
    for vault in vaults.list_by_resource_group(group):
        if vault.tags["pulumi-stack"] == "local":
            vaults.delete(group, vault.name)
            break
"""
KILLED_UP = """\
setsid make up >up.log 2>&1 & up=$!
until grep -q 'Certificate killed creating' up.log; do kill -0 $up; sleep 0.02; done
kill -KILL -- -$up
"""


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """Somebody whose stack has been up for a while."""
    with Newcomer(tmp_path_factory.mktemp("newcomer") / "clone") as somebody:
        typed(somebody, "make up\n", **ago(80))
        typed(somebody, "make up\n")
        yield somebody


@pytest.fixture(autouse=True)
def track_settings_first(newcomer: Newcomer) -> None:
    """Begin with the settings that the repository has."""
    track_settings(newcomer)


def track_settings(newcomer: Newcomer) -> None:
    """Set what the repository has."""
    (newcomer.clone / SETTINGS).write_text((REPOSITORY / SETTINGS).read_text())


def test_renew(newcomer: Newcomer) -> None:
    """The runbook that is opened at two in the morning."""
    set_settings(newcomer, {"temporal-azure:certificates": {"default": {}, "late": {}}})
    # Its files are not written then: to the others, which were issued since, it is not yet their time.
    assert re.search(r"Certificate +late created", newcomer.run("make up\n", **ago(70)).stdout)
    before = delivered(newcomer, "workers/default/default")
    (command,) = steps("renew.md")

    assert re.search(r"~ +temporalazure:keyvault:Certificate +late update", typed(newcomer, "make preview\n"))
    typed(newcomer, command)

    assert delivered(newcomer, "workers/late/late").not_valid_after_utc > datetime.now(UTC) + timedelta(days=80)
    assert delivered(newcomer, "workers/default/default") == before


def test_rotate_the_ui_secret(newcomer: Newcomer) -> None:
    """A secret that was seen has to be worth nothing as soon as the commands have run."""
    planned, at_once = steps("rotate-the-ui-secret.md")
    (settings,) = told_settings("rotate-the-ui-secret.md")

    before = ui_secret(newcomer)
    typed(newcomer, planned)
    assert ui_secret(newcomer) == before
    set_settings(newcomer, settings)
    typed(newcomer, at_once)
    assert ui_secret(newcomer) != before


def test_restore_a_vault(newcomer: Newcomer) -> None:
    """What was deleted by mistake comes back with its keys, and no consumer needs new files."""
    before = delivered(newcomer, "ui/ui")
    (commands,) = steps("restore-a-vault.md")
    typed(newcomer, f"{PYTHON} - <<'END'\n{DELETE_A_VAULT}END\n")

    typed(newcomer, commands)

    assert delivered(newcomer, "ui/ui") == before


def test_after_a_killed_up(newcomer: Newcomer) -> None:
    """Whoever lost the connection in the middle of an `up` runs it again, and is done."""
    set_settings(newcomer, {"temporal-azure:certificates": {"default": {}, "killed": {}}})
    (command,) = steps("after-a-killed-up.md")
    typed(newcomer, KILLED_UP)
    assert not (newcomer.clone / ".deploy/local/workers/killed").exists()

    typed(newcomer, command)

    assert delivered(newcomer, "workers/killed/killed").not_valid_after_utc > datetime.now(UTC)


def test_revoke_a_worker(newcomer: Newcomer) -> None:
    """Whoever has its machine must have nothing but a certificate that ends, and no role."""
    assert not steps("revoke-a-person-or-worker.md")
    set_settings(newcomer, {"temporal-azure:certificates": {"default": {}, "lost": {}}})
    typed(newcomer, "make up\n")
    assert (newcomer.clone / ".deploy/local/workers/lost/lost.pem").exists()
    track_settings(newcomer)

    shown = typed(newcomer, "make preview\n")
    for kind in ("Certificate", "Application", "ApplicationPassword", "AppRoleAssignment"):
        assert re.search(rf"- +\S+:{kind} +lost\S* delete", shown), kind
    typed(newcomer, "make up\n")

    assert not (newcomer.clone / ".deploy/local/workers/lost").exists()


def test_every_runbook_is_typed() -> None:
    """A runbook without a test is one that nobody has followed."""
    sources = "".join(path.read_text() for path in Path(__file__).parent.glob("test_runbooks*.py"))
    pages = {page.name for page in RUNBOOKS.iterdir()}

    assert {page for page in pages if f'"{page}"' not in sources} == set()
