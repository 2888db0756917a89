"""Runbooks as somebody types them.

Pages are about a stack `dev` on Azure. Here it is the stack `local`, on local Azure, and nothing else is changed.
"""

import re
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from pki import load_certificate
from provider.clock import VARIABLE as NOW
from tests.e2e.deployed import Deployed
from tests.e2e.newcomer import Newcomer, command_blocks
from tests.e2e.temporal import UI_ENV
from tools import REPOSITORY

RUNBOOKS = REPOSITORY / "docs" / "runbooks"
SETTINGS = "Pulumi.local.yaml"
_YAML = re.compile(r"^( *)```yaml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


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
    return [block.replace(" STACK=dev", "") for block in blocks]


def told_settings(page: str) -> list[dict[str, Any]]:
    """What a runbook tells to write into the stack's file, block by block."""
    text = (RUNBOOKS / page).read_text()
    blocks = [yaml.safe_load(textwrap.dedent(block)) for _, block in _YAML.findall(text)]
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


def issuer_number(certificate: x509.Certificate) -> int:
    """The generation of its authority that issued a certificate: the last word of the issuer's name."""
    (name,) = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    return int(str(name.value).rpartition(" ")[2])


def ui_secret(newcomer: Newcomer) -> str:
    """The client secret that the UI would start with."""
    return Deployed(newcomer.clone / ".deploy/local").variables(UI_ENV)["TEMPORAL_AUTH_CLIENT_SECRET"]
