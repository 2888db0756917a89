"""What the tests start Temporal from: a deploy directory, and the credentials that it must and must not accept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from environment import (
    AuthorityBundle,
    AuthoritySlot,
    Certificate,
    Deployment,
    Document,
    PrivateKey,
    cli_environment,
    contents,
    dynamic_config,
    internal_frontend_environment,
    relocated,
    server_config,
    server_environment,
    ui_environment,
    worker_environment,
)
from tests.e2e.certificates import CLIENT, NODE, Authority, Pair
from tests.e2e.conversation import Caller
from tests.e2e.temporal import free_ports, read_environment

WORKER = "default"


@dataclass(frozen=True)
class Stack:
    """A deploy directory with, by authority: a leaf of its own, the same from an impostor of it, the same expired."""

    root: Path
    genuine: Mapping[str, Pair]
    impostor: Mapping[str, Pair]
    expired: Mapping[str, Pair]

    @property
    def cli_environment(self) -> dict[str, str]:
        return read_environment(self.root / "cli/cli.env")

    @property
    def worker_environment(self) -> dict[str, str]:
        return read_environment(self.root / f"workers/{WORKER}/worker.env")

    def caller(self, authority: str) -> Caller:
        """Somebody with a certificate of that authority who knows the server by its name."""
        server_name = self.cli_environment["TEMPORAL_TLS_SERVER_NAME"]
        return Caller(self.genuine[authority], self.root / "cli/ca/internode.pem", server_name)

    @classmethod
    def of(cls, root: Path, scratch: Path, expired: Mapping[str, Pair]) -> "Stack":
        """For a deploy directory that exists. Only its authorities can make what has expired, so that is given."""
        genuine = {
            "internode": Pair.at(root / "server/cluster"),
            "clients": Pair.at(root / f"workers/{WORKER}/{WORKER}"),
        }
        impostor = {
            name: Authority.impostor_of(root / f"server/ca/{name}-a.pem").reissue(scratch / name, pair.certificate)
            for name, pair in genuine.items()
        }
        return cls(root, genuine, impostor, expired)


def make_stack(root: Path, scratch: Path) -> Stack:
    """Write a deploy directory whose authorities live as long as this call, and its frontend on a free port."""
    authorities = {name: Authority.named(name) for name in ("internode", "clients")}
    deployment = Deployment(
        internode_authority="internode",
        client_authorities=("clients",),
        frontend_address=f"127.0.0.1:{free_ports(1)[0]}",
        refresh_interval=timedelta(seconds=1),
    )
    environments = {
        "server/server.env": server_environment(deployment),
        "server/internal-frontend.env": internal_frontend_environment(deployment),
        "ui/ui.env": ui_environment(deployment),
        "cli/cli.env": cli_environment(deployment),
        f"workers/{WORKER}/worker.env": worker_environment(deployment, WORKER),
    }
    for path, content in contents(*environments.values()).items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        match content:
            case Certificate("cluster"):
                authorities["internode"].issue(file.with_suffix(""), NODE, [deployment.server_name])
            case Certificate():
                authorities["clients"].issue(file.with_suffix(""), CLIENT)
            case PrivateKey():
                pass  # written with its certificate
            case AuthoritySlot(authority) | AuthorityBundle(authority):
                file.write_bytes(authorities[authority].pem)
            case Document.SERVER_CONFIG:
                file.write_text(server_config(deployment))
            case Document.DYNAMIC_CONFIG:
                file.write_text(dynamic_config())
    for path, environment in environments.items():
        lines = (f"{name}={value}\n" for name, value in relocated(environment, str(root)).items())
        (root / path).write_text("".join(lines))

    leaves = {"internode": root / "server/cluster.pem", "clients": root / f"workers/{WORKER}/{WORKER}.pem"}
    ended = timedelta(minutes=-1)
    expired = {
        name: authorities[name].reissue(scratch / f"expired-{name}", leaf, valid_for=ended)
        for name, leaf in leaves.items()
    }
    return Stack.of(root, scratch, expired)
