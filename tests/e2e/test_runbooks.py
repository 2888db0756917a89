"""Each runbook, typed as it is written, by somebody whose stack has the trouble that it is for.

Pages are about a stack `dev` on Azure. Here it is the stack `local`, on local Azure, and nothing else is changed.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from pki import load_certificate
from provider.clock import VARIABLE as NOW
from tests.e2e.deployed import Deployed
from tests.e2e.newcomer import Newcomer, command_blocks
from tests.e2e.temporal import UI_ENV
from tools import REPOSITORY

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

RUNBOOKS = REPOSITORY / "docs" / "runbooks"
SETTINGS = "Pulumi.local.yaml"
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
_YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """Somebody whose stack has been up for a while."""
    with Newcomer(tmp_path_factory.mktemp("newcomer") / "clone") as somebody:
        typed(somebody, "make up\n", **ago(80))
        typed(somebody, "make up\n")
        yield somebody


@pytest.fixture(autouse=True)
def tracked_settings(newcomer: Newcomer) -> None:
    """Begin with the settings that the repository has."""
    (newcomer.clone / SETTINGS).write_text((REPOSITORY / SETTINGS).read_text())


def typed(newcomer: Newcomer, script: str, **variables: str) -> str:
    """What both streams say of a script that succeeds."""
    done = newcomer.run(script, **variables)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def ago(days: int) -> dict[str, str]:
    """The variables of an `up` that takes place so many days ago."""
    return {NOW: (datetime.now(UTC) - timedelta(days=days)).isoformat()}


def steps(page: str) -> list[str]:
    """The blocks of commands of a runbook, on the local stack."""
    blocks = command_blocks(RUNBOOKS / page)
    assert blocks
    return [block.replace(" STACK=dev", "") for block in blocks]


def told_settings(page: str) -> list[dict[str, Any]]:
    """What a runbook tells to write into the stack's file, block by block."""
    blocks = [yaml.safe_load(block) for block in _YAML.findall((RUNBOOKS / page).read_text())]
    return [block.get("config", block) for block in blocks]


def set_settings(newcomer: Newcomer, changes: Mapping[str, Any]) -> None:
    """Write settings into the stack's file, into maps that are there already."""
    path = newcomer.clone / SETTINGS
    document = yaml.safe_load(path.read_text())
    for name, value in changes.items():
        before = document["config"].get(name)
        document["config"][name] = before | value if isinstance(before, dict) else value
    path.write_text(yaml.safe_dump(document))


def delivered(newcomer: Newcomer, leaf: str) -> x509.Certificate:
    """The certificate in a consumer's directory: `ui/ui`, `workers/orders/orders`."""
    return load_certificate((newcomer.clone / ".deploy/local" / f"{leaf}.pem").read_text())


def test_renew(newcomer: Newcomer) -> None:
    """The runbook that is opened at two in the morning."""
    set_settings(newcomer, {"temporal-azure:certificates": {"default": {}, "late": {}}})
    typed(newcomer, "make up\n", **ago(70))
    before = {name: delivered(newcomer, f"workers/{name}/{name}") for name in ("late", "default")}
    (command,) = steps("renew.md")

    assert re.search(r"~ +temporalazure:keyvault:Certificate +late update", typed(newcomer, "make preview\n"))
    typed(newcomer, command)

    assert delivered(newcomer, "workers/late/late").not_valid_after_utc > datetime.now(UTC) + timedelta(days=80)
    assert delivered(newcomer, "workers/late/late") != before["late"]
    assert delivered(newcomer, "workers/default/default") == before["default"]


def test_rotate_the_ui_secret(newcomer: Newcomer) -> None:
    """A secret that was seen has to be worth nothing as soon as the commands have run."""
    planned, at_once = steps("rotate-the-ui-secret.md")
    (settings,) = told_settings("rotate-the-ui-secret.md")

    def secret() -> str:
        return Deployed(newcomer.clone / ".deploy/local").variables(UI_ENV)["TEMPORAL_AUTH_CLIENT_SECRET"]

    before = secret()
    typed(newcomer, planned)
    assert secret() == before
    set_settings(newcomer, settings)
    typed(newcomer, at_once)
    assert secret() != before


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


def test_every_command_of_a_runbook_is_typed() -> None:
    """A runbook without a test is one that nobody has followed."""
    source = Path(__file__).read_text()
    pages = {page.name for page in RUNBOOKS.iterdir() if command_blocks(page)}

    assert {page for page in pages if f'steps("{page}")' not in source} == set()
