"""Runs of `python -m tools.verify_azure` against a vault of the local Azure, as a person would run them."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localazure.client import LocalAzure
from tools import REPOSITORY

WITHOUT_ROLE = "reader-worker"


@dataclass(frozen=True)
class Run:
    """A run that has ended."""

    status: int
    said: str
    output: Path

    @property
    def folder(self) -> Path:
        """The folder of the run, in the output folder."""
        (folder,) = (path for path in self.output.iterdir() if path.is_dir())
        return folder

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return report

    @property
    def differences(self) -> list[str]:
        """What the report says of checks that did not go as assumed."""
        return [
            f"{check['check']} ({check['keyType']}): {check['remark']} {check['differences']}"
            for check in self.report["checks"]
            if check["verdict"] != "same"
        ]


def command(vault: str, output: Path, *options: str) -> Sequence[str]:
    return [sys.executable, "-m", "tools.verify_azure", vault, "--output", str(output), *options]


def environment(azure: LocalAzure, identity: str = "deployer") -> dict[str, str]:
    """The variables of somebody who is signed in as `identity`, and has a second one without a role."""
    stranger = azure.identities[WITHOUT_ROLE]
    return {
        **os.environ,
        **azure.environment(identity),
        "OTHER_ARM_CLIENT_ID": stranger["clientId"],
        "OTHER_ARM_CLIENT_SECRET": stranger["clientSecret"],
    }


def begin(azure: LocalAzure, vault: str, output: Path, *options: str) -> subprocess.Popen[str]:
    """A run that goes on, unasked."""
    return subprocess.Popen(
        command(vault, output, "--yes", *options),
        cwd=REPOSITORY,
        env=environment(azure),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(
    azure: LocalAzure,
    vault: str,
    output: Path,
    *options: str,
    identity: str = "deployer",
    said: str = "",
    **variables: str,
) -> Run:
    """A whole run; `said` is what the person types, `variables` are added to the environment."""
    ended = subprocess.run(
        command(vault, output, *options),
        cwd=REPOSITORY,
        env=environment(azure, identity) | variables,
        input=said,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Run(ended.returncode, ended.stdout, output)
