"""What a vault, a sign-in or a cloud refuses: waited for where that helps, told at once where it does not."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from localazure.client import LocalAzure
from tests.engine.stacks import WAITING, Hand, ProgramStack, Watch, dialled, stored, versions

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("refusals")]

PROPAGATION_SECONDS = 4


@pytest.fixture(scope="module")
def waited(new_stack: Callable[[], ProgramStack], azure: LocalAzure) -> ProgramStack:
    """A stack whose first `up` had to wait until its role assignments reached the vaults."""
    stack = new_stack()
    watch = Watch(azure)
    # For a token that is older than the assignment, they never do.
    with dialled(azure, rbacPropagationSeconds=PROPAGATION_SECONDS, staleTokenSeconds=100_000):
        up = stack.run("up").check()
    for name in ("internode-1", "clients-1"):
        assert f'{WAITING} to read the certificate "{name}"' in up.said_of(name)
        assert "at most 900 s" in up.said_of(name)
    tries = [request for request in watch.requests("vault") if request["status"] == 403]
    assert 0 < len(tries) <= 5 * PROPAGATION_SECONDS
    return stack


@pytest.fixture
def stack(waited: ProgramStack) -> ProgramStack:
    return waited


def asked_about(watch: Watch, name: str) -> list[tuple[str, int]]:
    """Method and status of each request about a certificate."""
    asked = (request for request in watch.requests("vault") if f"/{name}/" in f"{request['path']}/")
    return [(request["method"], request["status"]) for request in asked]


def test_new_role_is_waited_for_with_fresh_tokens_and_visibly(waited: ProgramStack) -> None:
    """Prevents a first `up` that fails because Azure takes minutes to pass on what it was just told."""
    assert waited.facts().keys() == {"internode-1", "clients-1", "cluster", "ui", "cli", "default"}


def test_throttling_and_faults_are_gone_through_and_done_once(stack: ProgramStack, azure: LocalAzure) -> None:
    """Prevents that an `up` fails, or issues twice, for one bad moment; and that a vault's wish is not heeded."""
    faults = [
        {"match": "GET /deletedVaults/", "status": 503, "times": 1},
        {"match": "GET /certificates/shaken", "status": 500, "times": 1},
        {"match": "POST /certificates/shaken/create", "status": 429, "times": 2, "retryAfterSeconds": 2},
        {"match": "POST /keys/.*/sign", "status": 503, "times": 1},
        {"match": "POST /certificates/shaken/pending/merge", "status": 500, "times": 1},
    ]
    stack.set(certificates={"default": {}, "shaken": {}})
    watch = Watch(azure)
    with dialled(azure, faults=faults):
        up = stack.run("up").check()
        assert [fault["times"] for fault in azure.dials()["faults"]] == [0] * len(faults)
    assert up.certificates("create") == {"shaken"}
    assert len(versions(stored(azure, stack.vault("leaves")["name"])["shaken"])) == 1
    creations = [request["time"] for request in watch.requests("vault") if request["path"].endswith("/shaken/create")]
    assert len(creations) == 3
    assert all(later - earlier >= 2 for earlier, later in itertools.pairwise(creations))


def test_role_that_does_not_come_is_named_within_the_limit(stack: ProgramStack, azure: LocalAzure) -> None:
    """Prevents a wait for ever, and a quarter of an hour of it for somebody who knows that the role is not coming."""
    stack.set(
        certificates={"default": {}, "shaken": {}, "late": {}}, elsewhere={"temporalazure:permissionWaitSeconds": 3}
    )
    watch = Watch(azure)
    up = stack.run("up", identity="deployer2").refused()
    said = up.said_of("late")
    assert f'{WAITING} to read the certificate "late"' in said
    assert "this identity lacks the role (ForbiddenByRbac), and it did not come within 3 s" in said
    assert 'Give the identity "Key Vault Certificates Officer" on the vault, or name it under access.deployers.' in said
    times = [request["time"] for request in watch.requests("vault") if request["status"] == 403]
    assert 1 <= times[-1] - times[0] <= 30
    assert watch.writes("vault") == []
    assert up.certificates("replace") == up.others("replace") == set()


def test_closed_network_is_told_at_once(stack: ProgramStack, azure: LocalAzure, hand: Hand) -> None:
    """Prevents a quarter of an hour of waiting for a firewall that will not open by itself."""
    leaves, authorities = stack.vault("leaves"), stack.vault("authorities")
    group = f"{stack.project_name}-{stack.name}"
    closings: list[tuple[Mapping[str, str], dict[str, Any], dict[str, Any]]] = [
        (leaves, {"networkAcls": {"defaultAction": "Deny"}}, {"networkAcls": {"defaultAction": "Allow"}}),
        (authorities, {"publicNetworkAccess": "Disabled"}, {"publicNetworkAccess": "Enabled"}),
    ]
    ec = {"keyType": "EC-P256"}
    authority_settings = stack.settings[f"{stack.project_name}:certificateAuthorities"]
    stack.set(
        certificates={"default": {}, "shaken": {}, "outside": {}},
        certificateAuthorities=authority_settings | {"edge": ec},
        elsewhere={"temporalazure:permissionWaitSeconds": None},
    )
    watch = Watch(azure)
    try:
        for vault, closed, _ in closings:
            hand.sdk.vaults().vaults.update(group, vault["name"], {"properties": closed})
        up = stack.run("up", "--continue-on-error").refused()
    finally:
        for vault, _, opened in closings:
            hand.sdk.vaults().vaults.update(group, vault["name"], {"properties": opened})
        stack.set(certificateAuthorities=authority_settings)
    for name, code in (("outside", "ForbiddenByFirewall"), ("edge-1", "ForbiddenByConnection")):
        said = up.said_of(name)
        assert f'The vault refused to read the certificate "{name}"' in said
        assert f"({code})" in said
        assert "Waiting does not help here. Allow this machine's address under vaults.network" in said
        assert WAITING not in said
        assert asked_about(watch, name) == [("GET", 401), ("GET", 403)]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"ARM_CLIENT_SECRET": "not-the-secret"},
            ["AADSTS7000215: Invalid client secret", "az login", "ARM_*"],
        ),
        (
            {"ARM_TENANT_ID": ""},
            ["Signing in with a client secret needs ARM_TENANT_ID, which is not set.", "Set it."],
        ),
        (
            {"ARM_METADATA_HOSTNAME": "", "ARM_ENVIRONMENT": "moon"},
            ['names the cloud "moon"', "Use one of: public, usgovernment, china", "ARM_METADATA_HOSTNAME"],
        ),
        (
            {"ARM_METADATA_HOSTNAME": "127.0.0.1:1"},
            ["The metadata host 127.0.0.1:1 (ARM_METADATA_HOSTNAME) did not describe a cloud", "Check the host name"],
        ),
    ],
)
def test_wrong_sign_in_is_told_without_a_traceback(
    new_stack: Callable[[], ProgramStack], azure: LocalAzure, variables: dict[str, str], words: list[str]
) -> None:
    """Prevents a page of Python for a mistyped variable, and a secret that is repeated in a message."""
    stack = new_stack()
    stack.variables = variables
    watch = Watch(azure)
    preview = stack.run("preview").refused()
    for part in words:
        assert part in preview.shown
    assert "not-the-secret" not in preview.shown
    assert watch.writes() == []
