"""`python -m deploy` with a real engine's outputs and a vault of local Azure, as identities that may read one secret.

Each run is a process of its own: that is how it is used, and the SDKs take their trust from the environment at import.
"""

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pytest
from azure.keyvault.certificates import CertificatePolicy
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from environment import (
    Deployment,
    cli_environment,
    dynamic_config,
    internal_frontend_environment,
    server_config,
    server_environment,
    ui_environment,
    worker_environment,
)
from localazure.client import LocalAzure
from tests.engine.localazure.sdk import Sdk
from tests.engine.localazure.vault_clients import VaultClients, der, private_encodings
from tools import REPOSITORY
from tools.stack import LocalStack

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("deploy")]

SECRETS_USER = "Key Vault Secrets User"
SERVER_NAME = "temporal.internal"
CONSUMERS = {"server": "cluster", "ui": "ui", "cli": "cli", "workers/orders": "orders"}
OWN_READERS = {"reader-server": "cluster", "reader-ui": "ui"}
UI_SECRET = "a secret of the sign-on"
PROGRAM = """\
import json, pathlib
import pulumi

outputs = json.loads(pathlib.Path("outputs.json").read_text())
outputs["uiEnv"]["TEMPORAL_AUTH_CLIENT_SECRET"] = pulumi.Output.secret(outputs["uiEnv"]["TEMPORAL_AUTH_CLIENT_SECRET"])
for name, value in outputs.items():
    pulumi.export(name, value)
"""


class Authority:
    """An authority outside the vault, which signs what the vault asks to have signed."""

    def __init__(self, common_name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        self.certificate = self._certify(self._name, self._key.public_key(), authority=True)

    def issue(self, csr: bytes, dns_names: tuple[str, ...]) -> x509.Certificate:
        request = x509.load_der_x509_csr(csr)
        public_key = request.public_key()
        assert isinstance(public_key, rsa.RSAPublicKey)
        return self._certify(request.subject, public_key, dns_names=dns_names)

    def _certify(
        self,
        subject: x509.Name,
        public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
        *,
        authority: bool = False,
        dns_names: tuple[str, ...] = (),
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(self._name, subject, public_key, x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=90))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if dns_names:
            names = x509.SubjectAlternativeName([x509.DNSName(name) for name in dns_names])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


class Deployed:
    """A stack that is up, its leaves in a vault of the local Azure, and a folder to deploy from."""

    def __init__(self, folder: Path, azure: LocalAzure, vault: VaultClients) -> None:
        self.azure = azure
        self.vault = vault
        self.authorities = {name: Authority(name) for name in ("internode", "clients")}
        self._key_material: list[str] = []
        leaves = {name: self.issue(name) for name in CONSUMERS.values()}
        self.project = folder / "project"
        self.project.mkdir()
        (self.project / "Pulumi.yaml").write_text("name: tiny\nruntime: python\n")
        (self.project / "Pulumi.local.yaml").write_text("config: {}\n")
        (self.project / "__main__.py").write_text(PROGRAM)
        (self.project / "outputs.json").write_text(json.dumps(self._outputs(leaves)))
        self._stack = LocalStack(folder / "stack", azure=None, project=self.project)
        self._stack.up().check()

    def issue(self, name: str) -> dict[str, Any]:
        """A new version of the leaf `name`, as the outputs describe it."""
        client = self.vault.certificates()
        dns_names = (SERVER_NAME,) if name == "cluster" else ()
        policy = CertificatePolicy("Unknown", subject=f"CN={name}", content_type="application/x-pem-file")
        client.begin_create_certificate(name, policy)
        csr = client.get_certificate_operation(name).csr
        assert csr is not None
        authority = self.authorities["internode" if name == "cluster" else "clients"]
        leaf = authority.issue(bytes(csr), dns_names)
        merged = client.merge_certificate(name, [der(leaf), der(authority.certificate)])
        secret = self.vault.secrets().get_secret(name).value
        assert secret
        key = serialization.load_pem_private_key(secret.encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key_material += private_encodings(key)
        return {
            "role": "node" if name == "cluster" else "client",
            "renewBeforeDays": 30,
            "secretId": merged.secret_id,
            "vaultUri": self.vault.uri,
            "certificatePem": pem(leaf),
            "chainPem": [pem(authority.certificate)],
        }

    def renew(self, name: str) -> None:
        """An `up` that issues the leaf `name` anew."""
        file = self.project / "outputs.json"
        outputs = json.loads(file.read_text())
        outputs["certificates"][name] = self.issue(name)
        file.write_text(json.dumps(outputs))
        self._stack.up().check()

    def run(self, command: str, *arguments: str, identity: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """`python -m deploy COMMAND`, which never says anything of a key or of a secret."""
        process = self.start(command, *arguments, identity=identity, output=None, **changes)
        stdout, stderr = process.communicate()
        said = stdout + stderr
        assert not [encoding for encoding in self._key_material if encoding in said]
        assert UI_SECRET not in said
        assert self.azure.identities[identity]["clientSecret"] not in said
        assert "Traceback" not in said
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def outputs(self) -> str:
        """What `pulumi stack output --json` prints, which tells no secret."""
        command = ["pulumi", "stack", "output", "--json", "--stack", "local"]
        environment = self._stack.environment()
        found = subprocess.run(command, cwd=self.project, env=environment, capture_output=True, text=True, check=True)
        return found.stdout

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Nobody reaches Azure, as long as the context lasts."""
        port = int(self.azure.metadata_host.rpartition(":")[2])
        self.azure.stop()
        try:
            yield
        finally:
            self.azure = LocalAzure.start(self.azure.state, port=port)

    def start(
        self, command: str, *arguments: str, identity: str, output: IO[str] | None = None, **changes: str
    ) -> subprocess.Popen[str]:
        """`python -m deploy COMMAND`, begun; all that it says goes to `output`, if that is given."""
        environment = self._stack.environment() | self.azure.environment(identity) | {"PYTHONPATH": str(REPOSITORY)}
        return subprocess.Popen(
            [sys.executable, "-m", "deploy", command, "--stack", "local", *arguments],
            cwd=self.project,
            env=environment | changes,
            stdout=output or subprocess.PIPE,
            stderr=subprocess.STDOUT if output else subprocess.PIPE,
            text=True,
        )

    def _outputs(self, leaves: dict[str, dict[str, Any]]) -> dict[str, Any]:
        deployment = Deployment(internode_authority="internode", client_authorities=("clients",))
        return {
            "serverEnv": server_environment(deployment),
            "internalFrontendEnv": internal_frontend_environment(deployment),
            "uiEnv": ui_environment(deployment) | {"TEMPORAL_AUTH_CLIENT_SECRET": UI_SECRET},
            "cliEnv": cli_environment(deployment),
            "workerEnvs": {"orders": worker_environment(deployment, "orders")},
            "serverConfig": server_config(deployment),
            "dynamicConfig": dynamic_config(),
            "certificates": leaves,
            "caBundles": {name: [pem(authority.certificate)] for name, authority in self.authorities.items()},
            "keyVaults": {"leaves": {"name": self.vault.name, "id": self.vault.id, "uri": self.vault.uri}},
            "signOn": {},
        }


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("deploy")
    with LocalAzure.start(folder / "azure", rbacPropagationSeconds=0) as azure, ExitStack() as stack:
        vault = VaultClients(Sdk(azure, stack), stack)
        for identity, name in OWN_READERS.items():
            vault.assign(identity, SECRETS_USER, f"/secrets/{name}")
        deployed = Deployed(folder, azure, vault)
        yield deployed
        deployed.azure.stop()  # another process than the first, after an outage


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the stacks' directories are, for one test."""
    return tmp_path / ".deploy"


def test_one_consumer_needs_the_right_to_its_one_secret(deployed: Deployed, target: Path) -> None:
    """Whoever runs the server would have to be allowed to read every client's key."""
    before = deployed.azure.requests()[-1]["n"]
    found = deployed.run("write", "--only", "server", "--directory", str(target), identity="reader-server")
    assert found.returncode == 0, found.stderr
    server = target / "local" / "server"
    ssl.create_default_context().load_cert_chain(server / "cluster.pem", server / "cluster.key")
    assert os.listdir(target / "local") == ["server"]
    read = {request["path"] for request in deployed.azure.requests(before) if "/secrets/" in request["path"]}
    assert {path.split("/")[2] for path in read} == {"cluster"}
    assert not deployed.azure.writes(before)


def test_a_missing_right_is_named_and_nothing_is_written(deployed: Deployed, target: Path) -> None:
    """Whoever gets a bare 403 gives the identity the whole vault."""
    found = deployed.run("write", "--directory", str(target), identity="reader-server")
    assert found.returncode == 1
    identity = deployed.azure.identities["reader-server"]["objectId"]
    for consumer, name in list(CONSUMERS.items())[1:]:
        assert f"{consumer}: the ServicePrincipal {identity} may not read the secret {name} (403" in found.stderr
        assert f'"{SECRETS_USER}" on that one secret, {deployed.vault.id}/secrets/{name}:' in found.stderr
        assert f"access.readers.{name}" in found.stderr
    assert "3 problems" in found.stderr
    assert found.stderr.rstrip().endswith("What can be written without the rest: --only server")
    assert not (target / "local").exists()


def test_who_may_read_all_writes_all_and_the_next_run_nothing(deployed: Deployed, target: Path) -> None:
    """Each consumer would get a pair that does not match, or each run a restart."""
    first = deployed.run("write", "--directory", str(target), identity="deployer")
    assert first.returncode == 0, first.stderr
    for consumer, name in CONSUMERS.items():
        folder = target / "local" / consumer
        ssl.create_default_context().load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    assert f"TEMPORAL_AUTH_CLIENT_SECRET='{UI_SECRET}'" in (target / "local" / "ui" / "ui.env").read_text()
    before = deployed.azure.requests()[-1]["n"]
    second = deployed.run("write", "--directory", str(target), identity="nobody")
    assert [line.split()[0] for line in second.stdout.splitlines()] == ["unchanged"] * len(CONSUMERS), second.stderr
    assert deployed.azure.requests(before) == []


def test_a_key_that_is_gone_from_the_disk_is_read_again(deployed: Deployed, target: Path) -> None:
    """A consumer would stay without its key, because the rest of its files are there."""
    arguments = ("write", "--only", "ui", "--directory", str(target))
    assert deployed.run(*arguments, identity="reader-ui").returncode == 0
    key = target / "local" / "ui" / "ui.key"
    lost = key.read_bytes()
    key.resolve().write_bytes(b"")
    found = deployed.run(*arguments, identity="reader-ui")
    assert found.returncode == 0, found.stderr
    assert key.read_bytes() == lost


def test_what_was_written_can_be_removed(deployed: Deployed, target: Path) -> None:
    """The keys of a stack that is gone would lie about."""
    assert deployed.run("write", "--directory", str(target), identity="deployer").returncode == 0
    own = target / "local" / "ui" / "notes.txt"
    own.write_text("a person's own")
    found = deployed.run("remove", "--directory", str(target), identity="nobody")
    assert found.returncode == 0, found.stderr
    left = [path for path in target.rglob("*") if path.is_file() and path.stat().st_size]
    assert left == [own]


def test_the_version_that_the_stack_knows_is_written(deployed: Deployed, target: Path) -> None:
    """A certificate that somebody issued by hand would be deployed beside the stack's chain and names."""
    deployed.issue("ui")
    found = deployed.run("write", "--only", "ui", "--directory", str(target), identity="reader-ui")
    assert found.returncode == 0, found.stderr
    outputs = json.loads((deployed.project / "outputs.json").read_text())
    written = x509.load_pem_x509_certificate((target / "local" / "ui" / "ui.pem").read_bytes())
    assert pem(written) == outputs["certificates"]["ui"]["certificatePem"]


def test_the_summary_asks_azure_for_nothing(deployed: Deployed, target: Path) -> None:
    """Whoever only looks would need a right on the vault."""
    before = deployed.azure.requests()[-1]["n"]
    found = deployed.run("summary", "--json", "--directory", str(target), identity="nobody")
    assert found.returncode == 0, found.stderr
    assert {one["state"] for one in json.loads(found.stdout)["consumers"]} == {"missing"}
    assert deployed.azure.requests(before) == []


def test_a_new_right_is_waited_for_when_told_to(deployed: Deployed, target: Path) -> None:
    """The first `make up` would end with a 403, because the vault hears of a role assignment minutes later."""
    arguments = ("write", "--only", "cli", "--directory", str(target))
    deployed.azure.dials(rbacPropagationSeconds=3600)
    try:
        deployed.vault.assign("reader-cli", SECRETS_USER, "/secrets/cli")
        assert deployed.run(*arguments, identity="reader-cli").returncode == 1
        with deployed.start(*arguments, "--wait", "60", identity="reader-cli") as waiting:
            assert waiting.stderr is not None
            assert "Waiting for the permission to read private keys" in waiting.stderr.readline()
            deployed.azure.dials(rbacPropagationSeconds=0)
            assert waiting.wait(60) == 0
    finally:
        deployed.azure.dials(rbacPropagationSeconds=0)
    assert os.listdir(target / "local") == ["cli"]


def test_a_firewall_is_not_taken_for_a_missing_right(deployed: Deployed, target: Path) -> None:
    """Somebody would hand out roles, and wait for them, while the network is closed."""
    vaults, group = deployed.vault.sdk.vaults().vaults, deployed.vault.id.split("/")[4]
    parameters = deployed.vault.sdk.vault_parameters

    def set_default_action(action: str) -> None:
        closed = parameters(networkAcls={"defaultAction": action, "bypass": "None"})
        vaults.begin_create_or_update(group, deployed.vault.name, closed).result()

    set_default_action("Deny")
    try:
        found = deployed.run("write", "--only", "ui", "--wait", "60", "--directory", str(target), identity="reader-ui")
    finally:
        set_default_action("Allow")
    assert found.returncode == 1
    assert "(403 ForbiddenByFirewall)" in found.stderr
    assert "vaults.network" in found.stderr
    assert SECRETS_USER not in found.stderr
    assert "Waiting" not in found.stderr


def test_a_deleted_certificate_is_said_to_be_gone(deployed: Deployed, target: Path) -> None:
    """A bare 404 says neither what is missing nor how to get it back."""
    client = deployed.vault.certificates()
    client.begin_delete_certificate("orders", _polling_interval=0).result()
    try:
        found = deployed.run("write", "--directory", str(target), identity="deployer")
    finally:
        client.begin_recover_deleted_certificate("orders", _polling_interval=0).result()
    assert found.returncode == 1
    assert "workers/orders: the vault has no secret" in found.stderr
    assert "pulumi refresh" in found.stderr
    assert "--only server --only ui --only cli" in found.stderr


def test_a_failed_sign_in_is_said_once(deployed: Deployed, target: Path) -> None:
    """Every consumer would seem to lack a right, when the client secret has ended."""
    found = deployed.run(
        "write", "--directory", str(target), identity="reader-server", ARM_CLIENT_SECRET="not the secret"
    )
    assert found.returncode == 1
    assert found.stderr.count("Could not sign in to Azure") == 1
    assert "not the secret" not in found.stderr
