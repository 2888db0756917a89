"""A namespace of Temporal Cloud that `up` itself sets up: the program on local Azure, and on a local CloudService.

What the service does in its own time, or against one's hopes, is in test_cloud_namespace.py; here is what the program
makes of it, and of the key. The tests are one life of one stack, in their order.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
import yaml
from temporalio.api.cloud.namespace.v1 import CertificateFilterSpec, NamespaceSpec

from localazure.client import LocalAzure
from tests.engine.cloudservice import READ, UPDATE, CloudService, filters, fingerprint
from tests.engine.stacks import ProgramStack, Run, Watch
from tests.engine.test_secrets_stay import leaks

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("cloud-access")]

PAYMENTS = "payments.a1b2c"
API_KEY, VARIABLE = "temporalazure:temporalCloudApiKey", "TEMPORAL_CLOUD_API_KEY"
EC = {"keyType": "EC-P256"}
ORDERS, BILLING = ({"common_name": name, "organization": "temporal-azure"} for name in ("orders", "billing"))
BY_HAND = CertificateFilterSpec(common_name="by-hand")


@dataclass(kw_only=True)
class CloudStack:
    """The program's stack, the service that it sets up, every API key that there was, and all that runs said."""

    stack: ProgramStack
    service: CloudService
    keys: list[str] = field(default_factory=list)
    said: dict[str, bytes] = field(default_factory=dict)

    @property
    def urn(self) -> str:
        return self.stack.urn(f"temporal-azure:components:MutualTls$temporalazure:cloud:NamespaceAccess::{PAYMENTS}")

    @property
    def provider_urn(self) -> str:
        return self.stack.urn("pulumi:providers:temporalazure::temporalazure")

    @property
    def spec(self) -> NamespaceSpec:
        return self.service.namespace(PAYMENTS).spec

    @property
    def output(self) -> dict[str, Any]:
        return dict(self.stack.outputs()["temporalCloud"][PAYMENTS])

    def configure(self, *workers: str, generations: dict[str, Any] | None = None, **namespace: Any) -> None:
        """Who may connect to the namespace, what else is said of it, and the authority's generations."""
        if generations is not None:
            self.stack.set(certificateAuthorities={"internode": EC, "clients": {**EC, **generations}})
        settings = {"certificates": list(workers or ("orders",)), "apply": True, **namespace}
        self.stack.set(temporalCloud={"namespaces": {PAYMENTS: settings}})

    def set_key(self, key: str | None) -> None:
        """Give the stack this key as `pulumi config set --secret` does; None takes it out."""
        secret = None
        if key is not None:
            self.keys.append(key)
            self.stack.prepare()
            command = [*self.stack.command("config"), "set", "--secret", API_KEY, "--non-interactive"]
            environment = self.stack.environment()
            subprocess.run(command, cwd=self.stack.root, env=environment, input=key, text=True, check=True)
            secret = yaml.safe_load(self.stack.config_file.read_text())["config"][API_KEY]
            assert secret.keys() == {"secure"}
        self.stack.set(elsewhere={API_KEY: secret})

    def run(self, operation: str, *arguments: str) -> Run:
        unasked = [] if operation == "preview" else ["--yes", "--skip-preview"]
        with self.stack.start(operation, *unasked, *arguments, "--json") as running:
            outcome = running.wait()
        self.said[f"{len(self.said)} {operation}"] = outcome.output.encode()
        return Run(outcome)

    def done(self, run: Run, urn: str | None = None) -> set[str]:
        """What was done to the access, or to the resource of that URN."""
        return {operation for operation, each in run.steps if each == (urn or self.urn)}


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """A stack without a key, and then with one; what the service was asked before there was one."""

    cloud: CloudStack
    preview: Run
    refused: Run
    asked: int
    up: Run


def accepted(spec: NamespaceSpec) -> str:
    """The bundle that a namespace accepts, PEM."""
    return spec.mtls_auth.accepted_client_ca.decode()


def bundle(cloud: CloudStack) -> set[str]:
    """The certificates of the authority, as the program has them."""
    return set(cloud.stack.outputs()["caBundles"]["clients"])


def split(pem: str) -> set[str]:
    end = "-----END CERTIFICATE-----\n"
    return {f"{part}{end}" for part in pem.split(end)[:-1]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudService]:
    with CloudService(tmp_path_factory.mktemp("cloud"), api_key=f"key-{uuid4().hex}") as service:
        yield service


@pytest.fixture(scope="module")
def beginning(new_stack: Callable[[], ProgramStack], service: CloudService) -> Beginning:
    service.create(PAYMENTS, api_keys=True)
    cloud = CloudStack(stack=new_stack(), service=service)
    cloud.stack.set(
        certificates={"orders": {}, "billing": {}}, elsewhere={"temporalazure:temporalCloudAddress": service.address}
    )
    cloud.configure()
    preview, refused = cloud.run("preview").check(), cloud.run("up").refused()
    asked = len(service.calls)
    cloud.set_key(service.api_key)
    return Beginning(cloud=cloud, preview=preview, refused=refused, asked=asked, up=cloud.run("up").check())


@pytest.fixture
def cloud(beginning: Beginning) -> CloudStack:
    return beginning.cloud


def test_without_a_key_preview_works_and_up_says_what_is_missing(beginning: Beginning) -> None:
    """Prevents a preview that only who has the key can run, and a worker whose namespace would refuse it."""
    cloud = beginning.cloud
    assert cloud.done(beginning.preview) == {"create"}
    assert "There is no API key for Temporal Cloud, so nothing was asked of it." in beginning.refused.said_of(PAYMENTS)
    assert f"`pulumi config set --secret`), or the environment variable {VARIABLE}" in beginning.refused.said_of(
        PAYMENTS
    )
    assert beginning.asked == 0
    assert "orders" not in beginning.refused.certificates("create"), "it waits for its namespace"


def test_the_first_up_sets_what_the_output_says(beginning: Beginning) -> None:
    """Prevents two sources: a bundle or a filter that is set, and another one that is shown."""
    cloud, output = beginning.cloud, beginning.cloud.output
    assert cloud.done(beginning.up) == {"create"}
    assert cloud.spec.mtls_auth.enabled
    assert accepted(cloud.spec) == output["caBundlePem"]
    assert [fingerprint(pem) for pem in split(accepted(cloud.spec))] == output["fingerprints"]
    assert filters(cloud.spec) == [ORDERS]
    assert output["filters"] == {"filters": [{"commonName": "orders", "organization": "temporal-azure"}]}
    assert (output["applied"], output["unmanaged"]) == (True, [])


def test_the_second_up_changes_and_asks_nothing(cloud: CloudStack, azure: LocalAzure) -> None:
    """Prevents an update of a namespace at each run."""
    before, watch = cloud.stack.outputs(), Watch(azure)
    cloud.service.calls.clear()
    assert cloud.run("up").check().changes.keys() == {"same"}
    assert cloud.stack.outputs() == before
    assert (cloud.service.calls, watch.writes()) == ([], [])


def test_a_rollover_is_trusted_there_before_it_signs_and_forgotten_after(cloud: CloudStack) -> None:
    """Prevents workers that have a new certificate before their namespace knows who issued it."""
    cloud.service.change(PAYMENTS, lambda spec: spec.mtls_auth.certificate_filters.append(BY_HAND))
    old, issued = bundle(cloud), cloud.stack.facts()["orders"]["serialNumber"]
    cloud.configure("orders", "billing", generations={"generations": {"1": {}, "2": {}}, "signing": 1})
    trust = cloud.run("up").check()
    assert cloud.done(trust) == {"update"}
    assert cloud.stack.facts()["orders"]["serialNumber"] == issued
    assert old < split(accepted(cloud.spec)) == bundle(cloud)
    assert filters(cloud.spec) == [ORDERS, {"common_name": "by-hand"}, BILLING]
    assert cloud.output["unmanaged"] == ['filter commonName "by-hand"']

    cloud.service.calls.clear()
    cloud.configure("orders", "billing", generations={"generations": {"1": {}, "2": {}}, "signing": 2})
    sign = cloud.run("up").check()
    assert sign.certificates("update") >= {"orders", "billing"}
    assert cloud.done(sign) == {"same"}, "order means nothing"
    assert cloud.service.calls == []
    issued = cloud.stack.facts()["orders"]["serialNumber"]

    cloud.configure(generations={"generations": {"2": {}}})
    distrust = cloud.run("up").check()
    assert cloud.done(distrust) == {"update"}
    assert cloud.stack.facts()["orders"]["serialNumber"] == issued
    assert split(accepted(cloud.spec)) == bundle(cloud)
    assert not old & bundle(cloud)
    assert filters(cloud.spec) == [ORDERS, {"common_name": "by-hand"}]


def test_what_somebody_did_by_hand_is_seen_and_put_right(cloud: CloudStack) -> None:
    """Prevents workers that are refused while `up` says that nothing changes, and strangers who stay let in."""

    def remove(spec: NamespaceSpec) -> None:
        spec.mtls_auth.accepted_client_ca = b""
        spec.mtls_auth.enabled = False
        del spec.mtls_auth.certificate_filters[0]

    trusted = accepted(cloud.spec)
    cloud.service.change(PAYMENTS, remove)
    assert filters(cloud.spec) == [{"common_name": "by-hand"}]
    cloud.configure(exclusive=True)
    assert "update" in cloud.done(cloud.run("up", "--refresh").check())
    assert accepted(cloud.spec) == trusted
    assert cloud.spec.mtls_auth.enabled
    assert filters(cloud.spec) == [ORDERS]
    assert cloud.output["unmanaged"] == []


def test_a_key_that_is_replaced_changes_nothing_but_the_provider(cloud: CloudStack) -> None:
    """Prevents that whoever renews the key, or has it elsewhere, changes certificates or shuts a namespace."""
    before = accepted(cloud.spec)
    cloud.service.api_key = f"key-{uuid4().hex}"
    cloud.configure("orders", "billing", exclusive=True)
    said = cloud.run("up").refused().said_of(PAYMENTS)
    assert "Temporal Cloud did not accept the API key" in said
    assert f"Give a key that is valid and enabled: {API_KEY}, or {VARIABLE}." in said
    assert (accepted(cloud.spec), filters(cloud.spec)) == (before, [ORDERS])

    cloud.configure(exclusive=True)
    cloud.set_key(cloud.service.api_key)
    replaced = cloud.run("up").check()
    assert {urn for operation, urn in replaced.steps if operation != "same"} == {cloud.provider_urn}
    assert cloud.done(replaced, cloud.provider_urn) == {"update"}

    key = cloud.service.api_key
    cloud.set_key(None)
    cloud.stack.variables[VARIABLE] = key
    by_environment = cloud.run("up", "--refresh").check()
    assert {urn for operation, urn in by_environment.steps if operation == "update"} == {cloud.provider_urn}
    resources = cloud.stack.export()["deployment"]["resources"]
    (provider,) = (each for each in resources if each["urn"] == cloud.provider_urn)
    assert "temporalCloudApiKey" not in provider["inputs"]
    cloud.stack.variables[VARIABLE] = "of somebody else"
    assert cloud.run("up").check().changes.keys() == {"same"}, "the environment is no input"
    del cloud.stack.variables[VARIABLE]
    cloud.set_key(key)


def test_apply_switched_off_takes_away_what_it_set(cloud: CloudStack) -> None:
    """Prevents an authority that stays trusted where nothing manages it any more."""
    trusted = accepted(cloud.spec)
    cloud.configure(apply=False)
    off = cloud.run("up").check()
    assert cloud.done(off) == {"delete"}
    assert (accepted(cloud.spec), filters(cloud.spec), cloud.spec.mtls_auth.enabled) == ("", [], False)
    assert (cloud.output["applied"], cloud.output["caBundlePem"]) == (False, trusted)
    cloud.configure()
    assert cloud.done(cloud.run("up").check()) == {"create"}
    assert accepted(cloud.spec) == trusted


def test_destroy_takes_away_its_own_and_no_key_was_ever_in_the_clear(cloud: CloudStack) -> None:
    """Prevents an authority that is trusted after its end, and the key to an account in a log, a diff or a state."""
    stack = cloud.stack
    cloud.service.calls.clear()
    state = stack.export()
    cloud.said["state"] = json.dumps(state).encode()
    cloud.said["outputs"] = json.dumps(stack.outputs()).encode()
    shown = json.dumps(stack.export(show_secrets=True)).encode()
    assert leaks(shown, [cloud.service.api_key.encode()]), "the search would find nothing anywhere"
    (provider,) = (each for each in state["deployment"]["resources"] if each["urn"] == cloud.provider_urn)
    assert "ciphertext" in provider["inputs"]["temporalCloudApiKey"]

    cloud.run("destroy").check()
    assert {call.method for call in cloud.service.calls} >= {READ, UPDATE}
    assert (accepted(cloud.spec), filters(cloud.spec), cloud.spec.mtls_auth.enabled) == ("", [], False)
    for file in (path for path in stack.root.rglob("*") if path.is_file() and path.name != "passphrase"):
        cloud.said[str(file.relative_to(stack.root))] = file.read_bytes()
    assert any(name.startswith("backend/") and "/history/" in name for name in cloud.said)
    secrets = [key.encode() for key in cloud.keys]
    assert len(secrets) == 3
    assert [name for name, text in cloud.said.items() if leaks(text, secrets)] == []


def test_a_key_in_the_clear_is_refused_before_anything_and_not_shown(
    new_stack: Callable[[], ProgramStack], azure: LocalAzure
) -> None:
    """Prevents that the key is in the repository, and then in the log of the run that says so."""
    stack, key = new_stack(), f"key-{uuid4().hex}"
    stack.set(elsewhere={API_KEY: key})
    watch = Watch(azure)
    run = stack.run("preview").refused()
    assert f"{API_KEY}: is stored in the clear." in run.shown
    assert f"pulumi config set --secret {API_KEY}" in run.shown
    assert key not in run.shown
    assert watch.requests() == []
