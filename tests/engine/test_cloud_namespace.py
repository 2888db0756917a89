"""Who may come in to a namespace of Temporal Cloud, under the real engine and on a CloudService of official messages.

The program is one resource; the API key comes in a variable of the environment, so that it stands in no file of a
stack.
"""

import itertools
import json
import textwrap
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from temporalio.api.cloud.namespace.v1 import CertificateFilterSpec, NamespaceSpec
from temporalio.api.cloud.operation.v1 import AsyncOperation

from pki import KeyType, Role, SubjectAlternativeNames, to_pem
from tests.certificates import authority_policy, issue, leaf_policy
from tests.engine.cloudservice import LOOK, READ, UPDATE, CloudService, Fault, When, filters, fingerprint
from tests.engine.stacks import Run
from tools import REPOSITORY
from tools.processes import wait_until
from tools.stack import LocalStack

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("cloud-namespace")]

PROGRAM = """
    import os

    import pulumi

    from pki import CertificateFilter
    from provider.resources import CloudNamespaceAccess, CloudNamespaceAccessArgs, KeyVaultProvider

    config = pulumi.Config()
    settings = {"temporalCloudAddress": config.require("address")}
    if ca_file := config.get("caFile"):
        settings["temporalCloudCaFile"] = ca_file
    if api_key := os.environ.get("API_KEY"):
        settings["temporalCloudApiKey"] = api_key
    timeout = config.get("customTimeout")
    access = CloudNamespaceAccess(
        "orders",
        CloudNamespaceAccessArgs(
            namespace=config.require("namespace"),
            certificate_authorities_pem=config.require_object("authorities"),
            filters=[CertificateFilter(**each) for each in config.get_object("filters") or []],
            exclusive=config.get_bool("exclusive") or False,
            timeout_seconds=config.get_int("timeout"),
        ),
        pulumi.ResourceOptions(
            provider=KeyVaultProvider("temporalazure", settings),
            custom_timeouts=pulumi.CustomTimeouts(create=timeout, update=timeout) if timeout else None,
        ),
    )
    for name in ("fingerprints", "enabled", "resource_version", "state", "unmanaged"):
        pulumi.export(name, getattr(access, name))
"""
PROJECT = "namespaces"
ACCESS = "orders"
TYPE = "temporalazure:cloud:NamespaceAccess"
TODAY = datetime.now(UTC)


def authority(name: str) -> str:
    return to_pem(issue(authority_policy(name), now=TODAY).certificate)


OURS, NEXT, THEIRS = authority("clients 1"), authority("clients 2"), authority("somebody else's")
BY_NAME, BY_UNIT = {"common_name": "orders-*"}, {"organization": "Contoso", "organizational_unit": "Payments"}
THEIR_FILTER = {"subject_alternative_name": "*.partner.example"}


class CloudStack(LocalStack):
    """The program with settings, and an API key, that a test changes from run to run."""

    def __init__(self, root: Path, project: Path, service: CloudService, pulumi_home: Path) -> None:
        name = f"t{uuid4().hex[:8]}"
        super().__init__(root, azure=None, name=name, project=project, pulumi_home=pulumi_home)
        self.service = service
        self.variables: dict[str, str] = {"API_KEY": service.api_key}
        self.settings: dict[str, Any] = {}
        self.said: dict[str, bytes] = {}
        self.keys = [service.api_key]

    @property
    def urn(self) -> str:
        return f"urn:pulumi:{self.name}::{PROJECT}::{TYPE}::{ACCESS}"

    @property
    def namespace(self) -> str:
        return str(self.settings[f"{PROJECT}:namespace"])

    @property
    def spec(self) -> NamespaceSpec:
        return self.service.namespace(self.namespace).spec

    def set(self, **settings: Any) -> None:
        """Change settings; None takes one out."""
        changed = self.settings | {f"{PROJECT}:{name}": value for name, value in settings.items()}
        self.settings = {key: value for key, value in changed.items() if value is not None}
        self.configure(self.settings)

    def environment(self, identity: str | None = None) -> dict[str, str]:
        ours = {"PYTHONPATH": str(REPOSITORY), "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}
        return super().environment(identity) | ours | self.variables

    def run(self, operation: str, *arguments: str) -> Run:
        unasked = [] if operation == "preview" else ["--yes", "--skip-preview"]
        with self.start(operation, *unasked, *arguments, "--json") as running:
            outcome = running.wait()
        self.said[f"{len(self.said)} {operation}"] = outcome.output.encode()
        return Run(outcome)

    def resource(self, urn: str | None = None) -> dict[str, Any]:
        """A resource of the exported state, the access unless named."""
        (found,) = (each for each in self.export()["deployment"]["resources"] if each["urn"] == (urn or self.urn))
        return dict(found)


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[bytes, bytes]]:
    """The authority of the service's certificate, as a file; the certificate and its key."""
    root = issue(authority_policy("Temporal Cloud"), now=TODAY)
    names = SubjectAlternativeNames.model_validate({"ip_addresses": ["127.0.0.1"]})
    server = issue(
        leaf_policy("saas-api", role=Role.NODE, subject_alternative_names=names, key_type=KeyType.EC_P256),
        root,
        now=TODAY,
    )
    file = tmp_path_factory.mktemp("trust") / "ca.pem"
    file.write_text(to_pem(root.certificate))
    key = server.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return file, (to_pem(server.certificate).encode(), key)


@pytest.fixture
def service(tmp_path: Path, trust: tuple[Path, tuple[bytes, bytes]]) -> Iterator[CloudService]:
    with CloudService(tmp_path / "cloud", api_key=f"key-{uuid4().hex}", tls=trust[1]) as service:
        yield service


@pytest.fixture
def stack(
    tmp_path: Path, pulumi_home: Path, service: CloudService, trust: tuple[Path, tuple[bytes, bytes]]
) -> CloudStack:
    """A stack for a namespace that admits API keys, and nobody's certificate."""
    project = tmp_path / "project"
    project.mkdir()
    provider = {"name": "temporalazure", "path": str(REPOSITORY / "provider")}
    (project / "Pulumi.yaml").write_text(
        json.dumps({"name": PROJECT, "runtime": "python", "plugins": {"providers": [provider]}})
    )
    (project / "__main__.py").write_text(textwrap.dedent(PROGRAM))
    stack = CloudStack(tmp_path / "stack", project, service, pulumi_home)
    stack.set(namespace="orders.a1b2c", address=service.address, caFile=str(trust[0]), authorities=[OURS])
    service.create("orders.a1b2c", api_keys=True)
    return stack


def changed(run: Run) -> set[str]:
    """What was done to the access."""
    return {operation for operation, urn in run.steps if urn.endswith(f"::{ACCESS}")}


def accepted(spec: NamespaceSpec) -> list[str]:
    """The authorities that a namespace accepts, PEM, in their order."""
    bundle = spec.mtls_auth.accepted_client_ca
    return [to_pem(each) for each in x509.load_pem_x509_certificates(bundle)] if bundle else []


def without_mtls(spec: NamespaceSpec) -> NamespaceSpec:
    rest = NamespaceSpec()
    rest.CopyFrom(spec)
    rest.ClearField("mtls_auth")
    return rest


def theirs_too(spec: NamespaceSpec) -> None:
    """What somebody else adds by hand."""
    spec.mtls_auth.accepted_client_ca += THEIRS.encode()
    spec.mtls_auth.certificate_filters.append(CertificateFilterSpec(**THEIR_FILTER))
    spec.mtls_auth.enabled = True


# From the first run to the last


def test_the_first_run_lets_in_who_is_named_and_changes_nothing_else(stack: CloudStack) -> None:
    """Prevents a preview that needs the API, and an update that drops the rest of a namespace."""
    before = without_mtls(stack.spec)
    stack.set(filters=[BY_NAME, BY_UNIT])
    stack.variables.pop("API_KEY")
    preview = stack.run("preview").check()
    assert changed(preview) == {"create"}
    assert stack.service.calls == []

    stack.variables["API_KEY"] = stack.service.api_key
    assert changed(stack.run("up").check()) == {"create"}
    assert accepted(stack.spec) == [OURS]
    assert filters(stack.spec) == [BY_NAME, BY_UNIT]
    assert stack.spec.mtls_auth.enabled
    assert without_mtls(stack.spec) == before
    assert stack.outputs() == {
        "fingerprints": [fingerprint(OURS)],
        "enabled": True,
        "resource_version": "2",
        "state": "active",
        "unmanaged": [],
    }
    assert stack.resource()["id"] == "orders.a1b2c"
    (update,) = stack.service.updates
    assert update.resource_version == "1"
    assert {call.api_version for call in stack.service.calls} == {"v0.16.0"}


def test_the_second_run_asks_nothing(stack: CloudStack) -> None:
    """Prevents an update at each run, and one that needs the key though nothing changes."""
    stack.set(authorities=[OURS, NEXT], filters=[BY_NAME, BY_UNIT])
    stack.run("up").check()
    stack.service.calls.clear()
    assert changed(stack.run("preview").check()) == {"same"}
    assert changed(stack.run("up").check()) == {"same"}
    stack.set(authorities=[NEXT.replace("\n", "\r\n"), OURS], filters=[BY_UNIT, BY_NAME])
    assert changed(stack.run("up").check()) == {"same"}, "order and line ends mean nothing"
    assert stack.service.calls == []
    assert changed(stack.run("up", "--refresh").check()) <= {"same", "refresh"}
    assert {call.method for call in stack.service.calls} == {READ}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"authorities": [OURS, NEXT]}),
        ({}, {"authorities": [NEXT]}),
        ({"authorities": [OURS, NEXT]}, {"authorities": [NEXT]}),
        ({}, {"authorities": []}),
        ({}, {"filters": [BY_NAME]}),
        ({"filters": [BY_NAME]}, {"filters": [BY_UNIT]}),
        ({"filters": [BY_NAME, BY_UNIT]}, {"filters": None}),
        ({"filters": [BY_NAME]}, {"authorities": [NEXT], "filters": [BY_UNIT]}),
    ],
    ids=["added", "replaced", "removed", "last removed", "filter set", "filter changed", "filters cleared", "both"],
)
def test_a_change_is_one_update(stack: CloudStack, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Prevents a moment in which clients of the old or the new authority are refused."""
    stack.set(**before)
    stack.run("up").check()
    rest = without_mtls(stack.spec)
    stack.set(**after)
    assert changed(stack.run("preview").check()) == {"update"}
    stack.service.updates.clear()
    assert changed(stack.run("up").check()) == {"update"}
    assert len(stack.service.updates) == 1
    wanted = stack.settings[f"{PROJECT}:authorities"]
    assert accepted(stack.spec) == wanted
    assert filters(stack.spec) == (stack.settings.get(f"{PROJECT}:filters") or [])
    assert stack.spec.mtls_auth.enabled is bool(wanted)
    assert without_mtls(stack.spec) == rest
    assert stack.outputs()["fingerprints"] == [fingerprint(pem) for pem in wanted]
    assert changed(stack.run("up", "--refresh").check()) <= {"same", "refresh"}


def test_another_namespace_is_another_access(stack: CloudStack) -> None:
    """Prevents an authority that stays accepted where the program no longer names it."""
    stack.run("up").check()
    stack.service.create("billing.a1b2c", api_keys=True)
    stack.set(namespace="billing.a1b2c")
    assert "replace" in changed(stack.run("up").check())
    assert accepted(stack.spec) == [OURS]
    assert accepted(stack.service.namespace("orders.a1b2c").spec) == []


def test_destroy_takes_away_its_own_and_is_done_where_there_is_nothing(stack: CloudStack) -> None:
    stack.set(filters=[BY_NAME])
    stack.run("up").check()
    stack.run("destroy").check()
    assert accepted(stack.spec) == []
    assert filters(stack.spec) == []
    assert not stack.spec.mtls_auth.enabled

    stack.run("up").check()
    stack.service.delete(stack.namespace)
    stack.run("destroy").check()


# What others did


@pytest.mark.parametrize("when", ["before the first run", "after it"])
def test_what_somebody_else_added_stays(stack: CloudStack, when: str) -> None:
    """Prevents an outage of clients that this stack knows nothing of, up to its end."""
    if when == "before the first run":
        stack.service.change(stack.namespace, theirs_too)
    stack.set(filters=[BY_NAME])
    stack.run("up").check()
    if when == "after it":
        stack.service.change(stack.namespace, theirs_too)
        assert changed(stack.run("refresh").check()) <= {"same", "refresh"}, "it is nothing to put right"
        assert f"authority {fingerprint(THEIRS)}" in stack.resource()["outputs"]["unmanaged"]
        assert changed(stack.run("up").check()) == {"same"}
    stack.set(authorities=[NEXT], filters=[BY_UNIT])
    stack.run("up").check()
    assert set(accepted(stack.spec)) == {THEIRS, NEXT}
    assert {*map(str, filters(stack.spec))} == {str(THEIR_FILTER), str(BY_UNIT)}
    assert stack.outputs()["unmanaged"] == [
        f"authority {fingerprint(THEIRS)}",
        'filter subjectAlternativeName "*.partner.example"',
    ]
    assert stack.outputs()["fingerprints"] == [fingerprint(NEXT)]
    stack.run("destroy").check()
    assert accepted(stack.spec) == [THEIRS]
    assert filters(stack.spec) == [THEIR_FILTER]
    assert stack.spec.mtls_auth.enabled


def test_exclusive_takes_away_what_somebody_else_added(stack: CloudStack) -> None:
    stack.service.change(stack.namespace, theirs_too)
    stack.set(filters=[BY_NAME])
    stack.run("up").check()
    stack.set(exclusive=True)
    assert changed(stack.run("up").check()) == {"update"}
    assert accepted(stack.spec) == [OURS]
    assert filters(stack.spec) == [BY_NAME]

    stack.service.change(stack.namespace, theirs_too)
    stack.run("refresh").check()
    preview = stack.run("preview").check()
    assert changed(preview) == {"update"}
    assert f"To be taken away, because somebody else added it: authority {fingerprint(THEIRS)}" in preview.said_of(
        ACCESS
    )
    stack.run("up").check()
    assert accepted(stack.spec) == [OURS]
    assert filters(stack.spec) == [BY_NAME]
    assert changed(stack.run("up", "--refresh").check()) <= {"same", "refresh"}


def test_what_a_filter_means_for_others_is_said(stack: CloudStack) -> None:
    """Prevents that a filter for our certificates shuts out everybody else's, or that its end lets all of them in."""

    def authority_of_theirs(spec: NamespaceSpec) -> None:
        spec.mtls_auth.accepted_client_ca = THEIRS.encode()

    stack.service.change(stack.namespace, authority_of_theirs)
    stack.set(filters=[BY_NAME])
    assert f"must match a filter from now on, too: {fingerprint(THEIRS)}" in stack.run("up").check().said_of(ACCESS)
    assert "No filter is left: any certificate of authorities that somebody else added is accepted: " in (
        stack.run("destroy").check().said_of(ACCESS)
    )


def remove_ours(spec: NamespaceSpec) -> None:
    spec.mtls_auth.accepted_client_ca = NEXT.encode()


def remove_a_filter(spec: NamespaceSpec) -> None:
    del spec.mtls_auth.certificate_filters[0]


def remove_everything(spec: NamespaceSpec) -> None:
    spec.ClearField("mtls_auth")


def turn_off(spec: NamespaceSpec) -> None:
    spec.mtls_auth.enabled = False


@pytest.mark.parametrize("hand", [remove_ours, remove_a_filter, remove_everything, turn_off])
def test_what_somebody_removed_is_seen_and_put_right(stack: CloudStack, hand: Callable[[NamespaceSpec], None]) -> None:
    """Prevents workers that are refused while every run says that nothing changes."""
    stack.set(authorities=[OURS, NEXT], filters=[BY_NAME, BY_UNIT])
    stack.run("up").check()
    stack.service.change(stack.namespace, hand)
    assert "update" in changed(stack.run("refresh").check())
    assert changed(stack.run("preview").check()) == {"update"}
    assert changed(stack.run("up").check()) == {"update"}
    assert set(accepted(stack.spec)) == {OURS, NEXT}
    assert sorted(map(str, filters(stack.spec))) == sorted(map(str, [BY_NAME, BY_UNIT]))
    assert stack.spec.mtls_auth.enabled
    assert changed(stack.run("up", "--refresh").check()) <= {"same", "refresh"}


def test_a_namespace_that_is_gone_is_gone(stack: CloudStack) -> None:
    stack.run("up").check()
    stack.service.delete(stack.namespace)
    assert "delete" in changed(stack.run("refresh").check())
    said = stack.run("up").refused().said_of(ACCESS)
    assert 'the namespace "orders.a1b2c" does not exist, as far as this API key may know. Nothing was changed.' in said


def test_an_import_takes_what_is_there(stack: CloudStack) -> None:
    """Prevents a namespace that was set up with tcld and can only be taken over by an outage."""
    stack.service.dials.faults = [Fault(READ, grpc.StatusCode.PERMISSION_DENIED)]
    stack.run("up").refused()
    provider = next(
        each["urn"] for each in stack.export()["deployment"]["resources"] if each["type"].startswith("pulumi:providers")
    )

    def ours_and_theirs(spec: NamespaceSpec) -> None:
        spec.mtls_auth.accepted_client_ca = OURS.encode()
        theirs_too(spec)

    stack.service.change(stack.namespace, ours_and_theirs)
    arguments = [TYPE, ACCESS, stack.namespace, "--provider", f"provider={provider}"]

    def imported(identifier: str) -> Any:
        arguments[2] = identifier
        options = ["--yes", "--skip-preview", "--protect=false", "--generate-code=false"]
        return stack.start("import", *arguments, *options).wait()

    for wrong, why in (("orders", "it is not of the form NAME.ACCOUNT"), ("gone.a1b2c", "there is no such namespace")):
        assert f"{wrong} cannot be imported: {why}" in imported(wrong).output
    imported(stack.namespace).check()
    inputs = stack.resource()["inputs"]
    assert inputs["certificateAuthoritiesPem"] == [OURS, THEIRS]
    assert inputs["filters"] == [{"subjectAlternativeName": "*.partner.example"}]
    stack.set(authorities=[THEIRS, OURS], filters=[THEIR_FILTER])
    stack.service.updates.clear()
    assert changed(stack.run("up").check()) == {"same"}
    stack.set(authorities=[OURS])
    assert changed(stack.run("up").check()) == {"update"}
    assert accepted(stack.spec) == [OURS]


# What the service does


@pytest.mark.parametrize("code", [grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED])
def test_a_conflict_is_made_good_on_what_somebody_else_wrote(stack: CloudStack, code: grpc.StatusCode) -> None:
    """Prevents that the change of whoever was quicker is lost, or ours."""

    def longer(spec: NamespaceSpec) -> None:
        spec.retention_days = 60
        theirs_too(spec)

    stack.service.dials.conflict = code
    stack.service.dials.meanwhile = [lambda: stack.service.change(stack.namespace, longer)]
    stack.run("up").check()
    assert accepted(stack.spec) == [THEIRS, OURS]
    assert stack.spec.retention_days == 60
    assert [call.status for call in stack.service.called(UPDATE)] == [code.name, "OK"]


def test_throttling_and_faults_are_gone_through(stack: CloudStack) -> None:
    """Prevents a run that fails because another one was busy, and one that asks twice."""
    faults = stack.service.dials.faults = [
        Fault(READ, grpc.StatusCode.RESOURCE_EXHAUSTED),
        Fault(UPDATE, grpc.StatusCode.RESOURCE_EXHAUSTED),
        Fault(UPDATE, grpc.StatusCode.UNAVAILABLE, applied=True),
        Fault(LOOK, grpc.StatusCode.UNAVAILABLE),
    ]
    up = stack.run("up").check()
    assert [fault.times for fault in faults] == [0] * len(faults)
    assert "Temporal Cloud asks for patience" in up.said_of(ACCESS)
    assert accepted(stack.spec) == [OURS]
    assert len(stack.service.updates) == len(stack.service.operations()) == 1


def test_throttling_without_end_is_told(stack: CloudStack) -> None:
    stack.service.dials.faults = [Fault(UPDATE, grpc.StatusCode.RESOURCE_EXHAUSTED, times=1000)]
    stack.set(timeout=3)
    said = stack.run("up").refused().said_of(ACCESS)
    assert "(RESOURCE_EXHAUSTED): as dialled. What was begun goes on there" in said
    assert "timeoutSeconds" in said
    assert accepted(stack.spec) == []


def test_a_service_that_is_away_is_waited_for(stack: CloudStack) -> None:
    stack.service.dials.polls = 10_000
    with stack.start("up", "--yes", "--skip-preview", "--json") as running:
        wait_until(lambda: stack.service.called(LOOK), "the operation is looked at")
        stack.service.down()
        stack.service.dials.polls = 1
        threading.Timer(1.5, stack.service.up).start()
        Run(running.wait()).check()
    assert accepted(stack.spec) == [OURS]
    assert len(stack.service.updates) == 1


def test_a_slow_operation_is_looked_at_as_often_as_it_asks(stack: CloudStack) -> None:
    """Prevents both a run that gives up and one that hammers the API."""
    stack.service.dials.polls, stack.service.dials.check_seconds = 4, 0.7
    stack.run("up").check()
    looks = [call.at for call in stack.service.called(LOOK) if call.status == "OK"]
    assert len(looks) == 4
    assert min(later - earlier for earlier, later in itertools.pairwise(looks)) >= 0.7
    assert accepted(stack.spec) == [OURS]


@pytest.mark.parametrize("limit", [{"timeout": 2}, {"customTimeout": "2s"}])
def test_an_operation_that_takes_too_long_is_left_to_the_next_run(stack: CloudStack, limit: dict[str, Any]) -> None:
    """Prevents a run without an end, and a second operation after it."""
    stack.service.dials.polls = 1_000_000
    stack.set(**limit)
    said = stack.run("up").refused().said_of(ACCESS)
    (operation,) = stack.service.operations()
    assert (
        f'has not changed the namespace "orders.a1b2c" within 2 s. It goes on with it (operation {operation})' in said
    )
    stack.service.dials.polls = 1
    stack.run("up").check()
    assert accepted(stack.spec) == [OURS]
    assert [*stack.service.operations()] == [operation]


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (AsyncOperation.STATE_FAILED, "Temporal Cloud could not finish the change"),
        (AsyncOperation.STATE_REJECTED, "Temporal Cloud rejected the change"),
        (AsyncOperation.STATE_CANCELLED, "Temporal Cloud cancelled the change"),
        (7, "Temporal Cloud ended, in a state not known here (7), the change"),
    ],
    ids=["failed", "rejected", "cancelled", "unknown"],
)
def test_an_operation_that_ends_otherwise_ends_the_run(stack: CloudStack, end: Any, said: str) -> None:
    """Prevents a run that waits for ever, one that calls this a success, and one that can never be tried again."""
    stack.service.dials.end, stack.service.dials.failure_reason = end, "the region is on fire"
    for attempt in range(2):
        up = stack.run("up").refused()
        assert f'{said} of who may come in to the namespace "orders.a1b2c": the region is on fire' in up.said_of(ACCESS)
        assert [*stack.service.operations()][attempt] in up.said_of(ACCESS)
        assert "run the same command again" in up.said_of(ACCESS)
    stack.service.dials.end = AsyncOperation.STATE_FULFILLED
    stack.run("up").check()
    assert accepted(stack.spec) == [OURS]
    assert len(stack.service.operations()) == 3


# What a killed run leaves


def killed(stack: CloudStack, operation: str, when: When) -> None:
    """Kill a run at its update, before or after it is applied."""
    held = stack.service.hold(when)
    with stack.start(operation, "--yes", "--skip-preview") as running:
        assert held.reached.wait(120)
        running.kill_all()
    assert held.left.wait(60)


@pytest.mark.parametrize("ended", [True, False], ids=["ended meanwhile", "under way"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", ["create", "update", "destroy"])
def test_killed_at_an_update_the_next_run_ends_as_if_it_had_not_been(
    stack: CloudStack, operation: str, when: When, ended: bool
) -> None:
    """Prevents a second operation beside the first, and an authority that nobody knows of."""
    stack.service.change(stack.namespace, theirs_too)
    if operation != "create":
        stack.run("up").check()
        stack.set(authorities=[NEXT], filters=[BY_NAME])
    before = len(stack.service.operations())
    stack.prepare()
    stack.service.dials.polls = 3
    killed(stack, "destroy" if operation == "destroy" else "up", when)
    assert len(stack.service.operations()) == before + (when == "after")
    if ended and when == "after":
        last = [*stack.service.operations()][-1]
        for _ in range(3):
            stack.service.look(last)
    if operation == "destroy":
        stack.destroy().check()
        assert accepted(stack.spec) == [THEIRS]
        assert filters(stack.spec) == [THEIR_FILTER]
    else:
        stack.up().check()
        assert accepted(stack.spec) == [THEIRS, *stack.settings[f"{PROJECT}:authorities"]]
        assert changed(stack.run("up", "--refresh").check()) <= {"same", "refresh"}
    assert len(stack.service.operations()) == before + 1


def test_a_plugin_whose_engine_is_gone_lets_go(stack: CloudStack) -> None:
    """Prevents that what was killed still writes, beside the run that goes on after it."""
    held = stack.service.hold("before")
    with stack.start("up", "--yes", "--skip-preview") as running:
        assert held.reached.wait(120)
        running.kill_engine()
        assert held.left.wait(60)
    assert stack.service.operations() == {}


@pytest.mark.parametrize("repeated", ["refused", "answered"])
def test_an_update_whose_answer_was_lost_is_found(stack: CloudStack, repeated: Any) -> None:
    stack.service.dials.repeated = repeated
    stack.service.dials.polls = 3
    stack.service.dials.faults = [Fault(UPDATE, grpc.StatusCode.UNAVAILABLE, applied=True)]
    stack.run("up").check()
    assert len(stack.service.called(UPDATE)) == 2
    assert len(stack.service.operations()) == 1
    assert accepted(stack.spec) == [OURS]


# What is refused


def test_a_namespace_is_not_left_without_a_way_in(stack: CloudStack) -> None:
    """Prevents that a program, or its end, locks everybody out."""
    stack.service.create("shut.a1b2c")
    stack.set(namespace="shut.a1b2c")
    stack.run("up").check()
    stack.service.calls.clear()
    stack.set(authorities=[])
    for operation in ("up", "destroy"):
        said = stack.run(operation).refused().said_of(ACCESS)
        assert 'the namespace "shut.a1b2c" was left as it is, because it would be left with no way in' in said
        assert "tcld namespace auth-method set" in said
    assert stack.service.called(UPDATE) == []
    assert accepted(stack.spec) == [OURS]

    def let_keys_in(spec: NamespaceSpec) -> None:
        spec.api_key_auth.enabled = True

    stack.service.change(stack.namespace, let_keys_in)
    stack.run("destroy").check()
    assert accepted(stack.spec) == []


def test_filters_need_an_authority(stack: CloudStack) -> None:
    """Prevents filters that the service drops, or that shut everybody out."""
    stack.set(authorities=[], filters=[BY_NAME])
    said = stack.run("preview").refused().said_of(ACCESS)
    assert "filters" in said
    assert "names no certificate authority, and there are filters" in said
    assert stack.service.calls == []

    stack.set(authorities=[OURS], filters=None)
    stack.run("up").check()

    def filter_of_theirs(spec: NamespaceSpec) -> None:
        spec.mtls_auth.certificate_filters.append(CertificateFilterSpec(**THEIR_FILTER))

    stack.service.change(stack.namespace, filter_of_theirs)
    stack.service.calls.clear()
    said = stack.run("destroy").refused().said_of(ACCESS)
    assert "would have filters and no certificate authority, so that no certificate could match: " in said
    assert 'subjectAlternativeName "*.partner.example"' in said
    assert stack.service.called(UPDATE) == []


def test_more_than_the_service_takes_is_refused(stack: CloudStack) -> None:
    many = "".join(authority(f"other {number}") for number in range(16))

    def fill(spec: NamespaceSpec) -> None:
        spec.mtls_auth.accepted_client_ca = many.encode()

    stack.service.change(stack.namespace, fill)
    said = stack.run("up").refused().said_of(ACCESS)
    assert "Temporal Cloud would refuse what it would accept then: it holds 17 certificates [bundle-count]." in said
    assert stack.service.called(UPDATE) == []


def test_what_the_service_refuses_is_told_as_it_says_it(stack: CloudStack) -> None:
    """Prevents a refusal that is taken for a conflict and asked again and again."""
    stack.service.dials.faults = [
        Fault(UPDATE, grpc.StatusCode.FAILED_PRECONDITION, message="the account is suspended")
    ]
    said = stack.run("up").refused().said_of(ACCESS)
    assert "(FAILED_PRECONDITION): the account is suspended. Nothing was changed by this step." in said
    assert len(stack.service.called(UPDATE)) == 1


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "does not let this API key read the namespace"),
        (grpc.StatusCode.UNAUTHENTICATED, "did not accept the API key to read the namespace"),
        (grpc.StatusCode.NOT_FOUND, "does not exist, as far as this API key may know"),
    ],
)
def test_who_may_not_is_told_at_once(stack: CloudStack, code: grpc.StatusCode, said: str) -> None:
    stack.service.dials.faults = [Fault(READ, code)]
    assert said in stack.run("up").refused().said_of(ACCESS)
    assert len(stack.service.calls) == 1


# The key


def test_a_wrong_key_and_none_are_told(stack: CloudStack) -> None:
    stack.variables["API_KEY"] = f"wrong-{uuid4().hex}"
    assert "did not accept the API key" in stack.run("up").refused().said_of(ACCESS)
    del stack.variables["API_KEY"]
    said = stack.run("up").refused().said_of(ACCESS)
    assert "There is no API key for Temporal Cloud, so nothing was asked of it." in said
    assert "TEMPORAL_CLOUD_API_KEY" in said
    stack.variables["TEMPORAL_CLOUD_API_KEY"] = stack.service.api_key
    stack.run("up").check()
    provider = stack.resource()["provider"].rpartition("::")[0]
    assert "temporalCloudApiKey" not in stack.resource(provider)["inputs"]
    assert_no_key_shows(stack)


def test_a_new_key_changes_no_access(stack: CloudStack) -> None:
    """Prevents that whoever renews the key replaces the access, and with it shuts the namespace for a while."""
    stack.run("up").check()
    stack.service.api_key = stack.variables["API_KEY"] = f"key-{uuid4().hex}"
    stack.keys.append(stack.service.api_key)
    assert changed(stack.run("up").check()) == {"same"}
    stack.set(authorities=[OURS, NEXT])
    assert changed(stack.run("up").check()) == {"update"}
    stack.run("destroy").check()
    assert_no_key_shows(stack)


def test_a_service_of_another_authority_gets_no_key(stack: CloudStack, tmp_path: Path) -> None:
    """Prevents that the key is sent to whoever answers."""
    other = tmp_path / "other.pem"
    other.write_text(THEIRS)
    stack.set(caFile=str(other))
    said = stack.run("up").refused().said_of(ACCESS)
    assert f"Could not reach Temporal Cloud at 127.0.0.1:{stack.service.port}" in said
    assert stack.service.calls == []


@pytest.mark.parametrize("address", ["http://saas-api.example:7233", "http://10.0.0.4:443"])
def test_a_key_is_not_sent_in_the_clear(stack: CloudStack, address: str) -> None:
    stack.set(address=address, caFile=None)
    assert "which would send the API key in the clear" in stack.run("up").refused().shown


def test_this_machine_may_be_spoken_to_in_the_clear(
    tmp_path: Path, stack: CloudStack, trust: tuple[Path, tuple[bytes, bytes]]
) -> None:
    with CloudService(tmp_path / "plain", api_key=stack.service.api_key) as plain:
        plain.create(stack.namespace, api_keys=True)
        stack.set(address=plain.address, caFile=None)
        stack.run("up").check()
        assert accepted(plain.namespace(stack.namespace).spec) == [OURS]


def assert_no_key_shows(stack: CloudStack) -> None:
    """No API key is in anything that the stack said or left behind."""
    everything = dict(stack.said)
    for file in (path for path in stack.root.rglob("*") if path.is_file() and path.name != "passphrase"):
        everything[str(file.relative_to(stack.root))] = file.read_bytes()
    assert any(name.startswith("backend/") for name in everything)
    for key in stack.keys:
        assert [name for name, text in everything.items() if key.encode() in text] == []


def test_the_key_is_in_nothing_that_a_stack_says_or_leaves_behind(stack: CloudStack) -> None:
    """Prevents the key to an account in a pipeline's log, in a diff, or in the state in the clear."""

    def say(operation: str, *arguments: str, fails: bool = False) -> None:
        unasked = [] if operation == "preview" else ["--yes", "--skip-preview"]
        outcome = stack.start(operation, *unasked, *arguments).wait()
        stack.said[f"{len(stack.said)} {operation}"] = outcome.output.encode()
        assert bool(outcome.exit_status) is fails, outcome.output

    echo = f"the key {stack.service.api_key} is throttled"
    stack.service.dials.faults = [Fault(UPDATE, grpc.StatusCode.INTERNAL, message=echo)]
    say("preview", "--diff")
    say("preview", "--json")
    say("up", "--diff", fails=True)
    assert b"the key \xe2\x80\xa6 is throttled" in b"".join(stack.said.values())
    stack.service.dials.end, stack.service.dials.failure_reason = AsyncOperation.STATE_FAILED, echo
    say("up", "--json", fails=True)
    stack.service.dials.end = AsyncOperation.STATE_FULFILLED
    say("up", "--diff")
    say("refresh", "--diff")
    stack.said["state"] = json.dumps(stack.export()).encode()
    stack.said["outputs"] = json.dumps(stack.outputs()).encode()
    assert stack.service.api_key in json.dumps(stack.export(show_secrets=True)), (
        "the search would find nothing anywhere"
    )
    say("destroy", "--diff")
    assert_no_key_shows(stack)
