"""What the tests start Temporal from: what the program makes on local Azure, and what the server must not accept.

The program and `deploy write` run as `make up` runs them. Certificates that have ended are the program's own too, of an
`up` that took place long ago; only what its authorities never made is made by another one.
"""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from localazure.client import LocalAzure
from tests.e2e.certificates import Authority, Pair
from tests.e2e.conversation import Caller
from tests.e2e.deployed import Deployed
from tests.e2e.ports import free_ports
from tests.e2e.temporal import CLI_ENV
from tests.engine.stacks import Hand, ProgramStack
from tools import REPOSITORY

WORKER = "default"
WORKER_ENV = f"workers/{WORKER}/worker.env"

LEAVES = {"internode": Path("server/cluster"), "clients": Path(f"workers/{WORKER}/{WORKER}")}
"""One leaf of each authority: where its files are, without their suffixes."""

CONTAINER_ROOT = "/etc/temporal"
"""Where the services of deploy/compose.yaml see the stack's directory."""

ENDED = timedelta(days=100)
"""How long ago a leaf was issued that has ended, with the default validity of 90 days."""


class Program(ProgramStack):
    """The program on a stack `local`, with a frontend on a free port."""

    def __init__(self, folder: Path, *, azure: LocalAzure, pulumi_home: Path, **settings: Any) -> None:
        super().__init__(folder / "stack", azure=azure, pulumi_home=pulumi_home, name="local")
        self.set(frontend={"address": f"127.0.0.1:{free_ports(1)[0]}"}, **settings)

    def provision(self, ago: timedelta = timedelta()) -> None:
        """An `up` that takes place so long ago."""
        self.today = datetime.now(UTC) - ago
        self.run("up").check()

    def write(self, directory: Path, *options: str) -> Path:
        """`deploy write` to a directory; the stack's own one in it."""
        command = ["-m", "deploy", "write", "--stack", self.name, "--directory", str(directory), *options]
        written = subprocess.run(
            [sys.executable, *command],
            cwd=REPOSITORY,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert written.returncode == 0, written.stderr
        return directory / self.name

    def fetch(self, directory: Path) -> None:
        """Put the pairs that the vault has now into a directory; `deploy write` would refuse those that have ended."""
        with ExitStack() as closing:
            hand = Hand(self.azure, closing)
            for authority, leaf in LEAVES.items():
                facts = self.facts()[leaf.name]
                pair = Pair.at(directory / authority)
                pair.certificate.write_text("".join([facts["certificatePem"], *facts["chainPem"]]))
                pair.private_key.write_text(str(hand.secrets(facts["vaultUri"]).get_secret(leaf.name).value))


def make_stack(folder: Path, pulumi_home: Path) -> None:
    """Fill a folder with what `Stack.of` wants: a deploy directory, and pairs that have ended. No Azure is left."""
    expired = folder / "expired"
    expired.mkdir()
    with LocalAzure.start(folder / "azure", rbacPropagationSeconds=0, certificatePendingPolls=0) as azure:
        # The keys of authorities are of the default type, as everything else here.
        program = Program(folder, azure=azure, pulumi_home=pulumi_home, certificateAuthorities=None)
        program.provision(ENDED)
        program.fetch(expired)
        program.provision()
        program.write(folder / "deploy")
        program.write(folder / "containers", "--root", CONTAINER_ROOT)


def caller(root: Path, authority: str) -> Caller:
    """Somebody with a certificate of that authority who knows the server by its name, from a deploy directory."""
    server_name = Deployed(root).variables(CLI_ENV)["TEMPORAL_TLS_SERVER_NAME"]
    return Caller(Pair.at(root / LEAVES[authority]), root / "cli/ca/internode.pem", server_name)


def copied(original: Caller, stem: Path) -> Caller:
    """The same caller from files that do not change."""
    assert original.pair
    pair = Pair.at(stem)
    pair.certificate.write_bytes(original.pair.certificate.read_bytes())
    pair.private_key.write_bytes(original.pair.private_key.read_bytes())
    return replace(original, pair=pair)


@dataclass(frozen=True)
class Stack:
    """A deploy directory with, by authority: a leaf of its own, the same from an impostor of it, one that has ended.

    `for_containers` is the same, written for `CONTAINER_ROOT`.
    """

    deployed: Deployed
    for_containers: Path
    genuine: Mapping[str, Pair]
    impostor: Mapping[str, Pair]
    expired: Mapping[str, Pair]

    def caller(self, authority: str) -> Caller:
        return caller(self.deployed.root, authority)

    @classmethod
    def of(cls, folder: Path, scratch: Path) -> Self:
        """The stack that `make_stack` has put into a folder."""
        root = folder / "deploy/local"
        genuine = {authority: Pair.at(root / leaf) for authority, leaf in LEAVES.items()}
        impostor = {
            name: Authority.impostor_of(root / f"server/ca/{name}-a.pem").reissue(scratch / name, pair.certificate)
            for name, pair in genuine.items()
        }
        expired = {name: Pair.at(folder / "expired" / name) for name in LEAVES}
        return cls(Deployed(root), folder / "containers/local", genuine, impostor, expired)
