"""`python -m deploy write --watch` on a host, as the identity of that host, through renewals, refusals and outages."""

import os
import re
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509

from tests.engine.test_deploy import SECRETS_USER, UI_SECRET, Deployed, deployed, target
from tools.processes import wait_until

__all__ = ["deployed", "target"]

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("deploy-watch")]

ENDED = "Ended by {}. What was written is whole."


class Watch:
    """A watch that runs, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[str], said: Path) -> None:
        self._process = process
        self._said = said

    @property
    def said(self) -> str:
        return self._said.read_text()

    def wait_for(self, pattern: str) -> None:
        """Wait until it has said so."""
        wait_until(lambda: re.search(pattern, self.said) or self._process.poll() is not None, f"it says {pattern}")
        assert re.search(pattern, self.said), self.said
        assert self._process.poll() is None, self.said

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit status, once it has ended."""
        self._process.send_signal(number)
        return self._process.wait(30)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def watching(
    deployed: Deployed, target: Path, only: str, identity: str, *arguments: str, **changes: str
) -> Iterator[Watch]:
    """`deploy write --watch` for one consumer, every second."""
    said = target.parent / f"watch-{identity}.log"
    command = ("--watch", "--interval", "1", "--only", only, "--directory", str(target), *arguments)
    with said.open("w") as output:
        process = deployed.start("write", *command, identity=identity, output=output, **changes)
        watch = Watch(process, said)
        try:
            yield watch
        finally:
            watch.kill()
    assert UI_SECRET not in watch.said
    assert "PRIVATE KEY" not in watch.said
    assert "Traceback" not in watch.said


def presented(folder: Path, name: str) -> x509.Certificate:
    """The certificate in a directory, which has its key beside it."""
    ssl.create_default_context().load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())


def test_a_renewal_arrives_by_itself(deployed: Deployed, target: Path) -> None:
    """A worker's host would keep the certificate that it was set up with, until it ends."""
    folder = target / "local" / "workers" / "orders"
    deployed.vault.assign("reader-cli", SECRETS_USER, "/secrets/orders")
    with watching(deployed, target, "workers/orders", "reader-cli") as watch:
        watch.wait_for("written +.*/local/workers/orders\n")
        before = presented(folder, "orders")
        assert "Restart" not in watch.said

        deployed.renew("orders")
        watch.wait_for("Restart workers/orders: it reads its certificate once, at its start.\n")
        assert presented(folder, "orders") != before
        assert watch.end() == 0
    assert watch.said.endswith(ENDED.format("SIGTERM") + "\n")
    assert os.listdir(target / "local") == ["workers"]


def test_a_missing_right_is_told_and_waited_for(deployed: Deployed, target: Path) -> None:
    """A host that comes up before its role has arrived would need somebody to start the watch again."""
    with watching(deployed, target, "ui", "nobody") as watch:
        watch.wait_for(r"may not read the secret ui \(403 ForbiddenByRbac\)[^$]*The next attempt is in \d+ s\.")
        assert not (target / "local" / "ui").exists()

        deployed.vault.assign("nobody", SECRETS_USER, "/secrets/ui")
        watch.wait_for("It works again.\n")
        presented(target / "local" / "ui", "ui")
        assert watch.end(signal.SIGINT) == 0
    assert watch.said.endswith(ENDED.format("SIGINT") + "\n")


def test_an_outage_changes_nothing_and_is_waited_out(deployed: Deployed, target: Path) -> None:
    """A vault that cannot be reached for a minute would leave a host without its files, or without its watch."""
    folder = target / "local" / "ui"
    with watching(deployed, target, "ui", "reader-ui") as watch:
        watch.wait_for("written +.*/local/ui\n")
        before = presented(folder, "ui")

        with deployed.outage():
            (folder / "ui.key").resolve().write_bytes(b"")  # has to be read again, and cannot be
            watch.wait_for(r"The next attempt is in \d+ s\.")
            assert (folder / "ui.pem").exists()
        watch.wait_for("It works again.\n")
        assert presented(folder, "ui") == before
        assert watch.end() == 0


def test_outputs_may_come_as_a_file(deployed: Deployed, target: Path) -> None:
    """A worker's host would need the state, and so every secret of the stack, for its one key."""
    outputs = target.parent / "outputs.json"
    written = deployed.outputs()
    machine = {"ARM_USE_MSI": "true", "ARM_CLIENT_ID": "", "ARM_CLIENT_SECRET": ""}
    machine |= deployed.azure.managed_identity_environment("reader-server")
    with watching(deployed, target, "server", "nobody", "--outputs", str(outputs), **machine) as watch:
        watch.wait_for(r"outputs.json does not hold a stack's outputs .*No such file")
        outputs.write_text(written)
        watch.wait_for("It works again.\n")
        presented(target / "local" / "server", "cluster")
        assert watch.end() == 0

    found = deployed.run(
        "write", "--only", "ui", "--outputs", str(outputs), "--directory", str(target), identity="deployer"
    )
    assert found.returncode == 1
    assert "TEMPORAL_AUTH_CLIENT_SECRET in ui.env is a secret that the outputs do not tell" in found.stderr
