"""The examples as somebody copies them: each with the variables of its worker.env and no other, on a real Temporal.

The Temporal with sign-on is the module's own, where tokens end after seconds. The one without is the session's.
"""

import asyncio
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from filelock import FileLock
from jwt.algorithms import RSAAlgorithm
from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile

from tests.e2e.deployed import Deployed
from tests.e2e.sign_on import SignedOn, signed_on
from tests.e2e.stack import WORKER_ENV
from tests.e2e.temporal import Cluster
from tools import REPOSITORY
from tools.processes import Process, wait_until
from tools.toolchain import Toolchain

pytestmark = pytest.mark.e2e

TOKEN_LIFETIME_SECONDS = 6
PYTHON, JAVA = REPOSITORY / "examples/python", REPOSITORY / "examples/java"

Identity = Callable[[SignedOn, Path], dict[str, str]]
"""What a worker signs in with where it has no secret: arranges it in Entra ID, and gives the variables that say so."""


@dataclass(frozen=True)
class Example:
    """How the example in one language is started."""

    task_queue: str
    worker: Sequence[str]
    starter: Sequence[str]
    """Names follow it."""
    without_token: str
    """What the worker says when it has done something and cannot tell Temporal."""


@pytest.fixture(scope="session")
def jar() -> Path:
    """The example in Java, built as its README says, but outside of the source tree."""
    target = REPOSITORY / ".tools/examples-java"
    target.mkdir(parents=True, exist_ok=True)
    options = ["--quiet", "--batch-mode", "--file", str(JAVA), f"-Dtarget={target}"]
    with FileLock(target / ".lock"):
        built = subprocess.run(
            [Toolchain().maven(), *options, "package"], capture_output=True, text=True, timeout=600, check=False
        )
    assert built.returncode == 0, built.stdout
    return target / "greetings.jar"


@pytest.fixture(params=["python", "java"])
def example(request: pytest.FixtureRequest) -> Example:
    if request.param == "python":
        worker, starter = ([sys.executable, str(PYTHON / name)] for name in ("worker.py", "starter.py"))
        return Example("greetings-python", worker, starter, "Request unauthorized.")
    java = shutil.which("java")
    assert java
    command = [java, "-jar", str(request.getfixturevalue("jar"))]
    return Example("greetings-java", command, command, "Failure while reporting workflow progress to the server.")


class Running:
    """An example's worker, which works until the end of the block and then ends as it should."""

    def __init__(self, example: Example, deployed: Deployed, environment: Mapping[str, str], log: Path) -> None:
        self._command = deployed.command(WORKER_ENV, example.worker)
        self._environment, self._log = environment, log

    def __enter__(self) -> "Running":
        self._process = Process(self._command, self._environment, self._log)
        return self

    def __exit__(self, *_: object) -> None:
        self.status = self._process.stop()

    def wait(self) -> int:
        """Its exit status, once it has ended by itself."""
        wait_until(lambda: self._process.status is not None, "the worker ends")
        return self._process.stop()

    @property
    def said(self) -> str:
        return self._log.read_text()


def greet(environment: Mapping[str, str], task_queue: str, token: str | None) -> str:
    """Have one name greeted by whoever works on the task queue."""

    async def start() -> str:
        profile = ClientConfigProfile.load(override_env_vars=environment, disable_file=True)
        connection: Any = profile.to_client_connect_config()
        client = await Client.connect(**connection | {"api_key": token})
        greeting: str = await client.execute_workflow(
            "Greeting",
            "Ada",
            id=str(uuid.uuid4()),
            task_queue=task_queue,
            result_type=str,
            execution_timeout=timedelta(seconds=60),
        )
        return greeting

    return asyncio.run(start())


def test_example_needs_no_sign_on(example: Example, cluster: Cluster, tmp_path: Path) -> None:
    """Somebody without Entra ID would have to write another worker."""
    environment = cluster.deployed.variables(WORKER_ENV)
    with Running(example, cluster.deployed, environment, tmp_path / "worker.log") as running:
        greeted = cluster.deployed.run(WORKER_ENV, *example.starter, "Ada", "Bob")

    assert greeted.stdout == "Hello, Ada\nHello, Bob\n", f"{greeted.stderr}\n{running.said}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path) -> Iterator[SignedOn]:
    with signed_on(tmp_path_factory.mktemp("sign-on"), pulumi_home) as site:
        yield site


@pytest.fixture(scope="module")
def signed_on_cluster(site: SignedOn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    # Keys are rolled over here more often than the server would read them, which Entra ID never does.
    with Cluster(site.deployed, tmp_path_factory.mktemp("signed-on-cluster"), TEMPORAL_JWT_KEY_REFRESH="1s") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def lasting(site: SignedOn) -> str:
    """The one token that does not end after seconds, for who only asks for greetings."""
    site.azure.dials(tokenLifetimeSeconds=3600)
    token = site.token_of_worker()
    site.azure.dials(tokenLifetimeSeconds=TOKEN_LIFETIME_SECONDS)
    return token


def test_example_works_beyond_its_first_token(
    example: Example, site: SignedOn, signed_on_cluster: Cluster, lasting: str, tmp_path: Path
) -> None:
    """A worker that keeps its first token works for an hour, and then looks alive."""
    environment = site.deployed.variables(WORKER_ENV)
    with Running(example, site.deployed, environment, tmp_path / "worker.log") as running:
        assert greet(environment, example.task_queue, lasting) == "Hello, Ada", running.said
        later = site.token_of_worker()
        wait_until(lambda: has_ended(later), "a token has ended that is newer than the worker's first one")
        with pytest.raises(Exception, match="Request unauthorized"):
            greet(environment, example.task_queue, later)
        assert greet(environment, example.task_queue, lasting) == "Hello, Ada", running.said

    assert_said_nothing_wrong(running)


def test_example_goes_on_when_the_signing_keys_are_rolled_over(
    example: Example, site: SignedOn, signed_on_cluster: Cluster, lasting: str, tmp_path: Path
) -> None:
    """Entra ID changes its keys without notice, and every worker is refused from its next token on."""
    environment = site.deployed.variables(WORKER_ENV)
    with Running(example, site.deployed, environment, tmp_path / "worker.log") as running:
        assert greet(environment, example.task_queue, lasting) == "Hello, Ada", running.said
        site.azure.roll_over_keys()
        under_the_new_key = site.token_of_worker()
        wait_until(lambda: has_ended(under_the_new_key), "every token of the worker's under the old key has ended")
        assert greet(environment, example.task_queue, lasting) == "Hello, Ada", running.said

    assert_said_nothing_wrong(running)


def test_example_outlives_an_outage_of_entra(
    example: Example, site: SignedOn, signed_on_cluster: Cluster, lasting: str, tmp_path: Path
) -> None:
    """A worker that does not come back by itself has to be found and restarted, and so has every other one."""
    environment = site.deployed.variables(WORKER_ENV)
    with Running(example, site.deployed, environment, tmp_path / "worker.log") as running, ThreadPoolExecutor() as pool:
        assert greet(environment, example.task_queue, lasting) == "Hello, Ada", running.said
        later = site.token_of_worker()
        site.azure.dials(faults=[{"match": "POST /oauth2/v2.0/token$", "status": 503, "times": 1_000_000}])
        try:
            wait_until(lambda: has_ended(later), "a token has ended that is newer than the worker's")
            greeting = pool.submit(greet, environment, example.task_queue, lasting)
            wait_until(lambda: example.without_token in running.said, "the worker is refused")
        finally:
            site.azure.dials(faults=[])

        assert greeting.result() == "Hello, Ada", running.said


def workload_identity(site: SignedOn, folder: Path) -> dict[str, str]:
    """A token of somebody else's, such as a Kubernetes cluster's, in a file, which the worker's application trusts."""
    issuer, subject, key = "https://cluster.example/oidc", f"system:serviceaccount:{folder.name}", _issuer_key()
    jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "k1", "alg": "RS256", "use": "sig"}
    site.azure.trust_issuer(issuer, {"keys": [jwk]})
    client_id = site.deployed.variables(WORKER_ENV)["AZURE_CLIENT_ID"]
    audience = "api://AzureADTokenExchange"
    with site.graph() as graph:
        found = graph.get("applications", params={"$filter": f"appId eq '{client_id}'"}).raise_for_status().json()
        path = f"applications/{found['value'][0]['id']}/federatedIdentityCredentials"
        credential = {"name": f"c{folder.name}", "issuer": issuer, "subject": subject, "audiences": [audience]}
        graph.post(path, json=credential).raise_for_status()
    claims = {"iss": issuer, "sub": subject, "aud": audience, "exp": time.time() + 3600}
    file = folder / "token"
    file.write_text(jwt.encode(claims, key, algorithm="RS256", headers={"kid": "k1"}))
    return {"AZURE_FEDERATED_TOKEN_FILE": str(file)}


def managed_identity(site: SignedOn, folder: Path) -> dict[str, str]:
    """The machine's, which is given the role at Temporal that the worker's application has."""
    nobody = site.identity("nobody")
    resource, roles = site.facts["objectId"], site.facts["roles"]
    assignment = {"principalId": nobody["objectId"], "resourceId": resource, "appRoleId": roles["default:write"]}
    with site.graph() as graph:
        graph.post(f"servicePrincipals/{resource}/appRoleAssignedTo", json=assignment)
    return {"AZURE_CLIENT_ID": nobody["clientId"], **site.azure.managed_identity_environment("nobody")}


@pytest.mark.parametrize("identity", [workload_identity, managed_identity])
def test_example_needs_no_secret(
    example: Example,
    identity: Identity,
    site: SignedOn,
    signed_on_cluster: Cluster,
    lasting: str,
    tmp_path: Path,
) -> None:
    """Where a platform vouches for the worker, a secret would be one more that ends and leaks."""
    environment = site.deployed.variables(WORKER_ENV)
    del environment["AZURE_CLIENT_SECRET"]
    with Running(example, site.deployed, environment | identity(site, tmp_path), tmp_path / "worker.log") as running:
        assert greet(environment, example.task_queue, lasting) == "Hello, Ada", running.said

    assert_said_nothing_wrong(running)


def test_example_ends_without_a_token(
    example: Example, site: SignedOn, signed_on_cluster: Cluster, tmp_path: Path
) -> None:
    """Refused with every poll, and with no word of Entra ID's, it would look alive."""
    environment = site.deployed.variables(WORKER_ENV) | {"AZURE_CLIENT_SECRET": "a-wrong-secret"}
    with Running(example, site.deployed, environment, tmp_path / "worker.log") as running:
        assert running.wait() == 1

    assert "AADSTS7000215" in running.said
    assert "a-wrong-secret" not in running.said


def assert_said_nothing_wrong(running: Running) -> None:
    assert "unauthorized" not in running.said.lower()
    assert "not renewed" not in running.said
    assert "eyJ" not in running.said, "a token is in the log"


def has_ended(token: str) -> bool:
    return float(jwt.decode(token, options={"verify_signature": False})["exp"]) < time.time()


@cache
def _issuer_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)
