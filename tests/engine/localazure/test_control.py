"""The request log and the hold, on which the tests of "preview writes nothing" and "killed anywhere" stand."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from localazure.client import LocalAzure, LocalAzureError
from localazure.requestlog import changes_state
from tests.engine.localazure.sdk import Sdk, fresh_name

PUT_GROUP = """
import os, ssl, urllib.request
request = urllib.request.Request(
    os.environ["URL"],
    method="PUT",
    data=b'{"location": "westeurope"}',
    headers={"Authorization": "Bearer " + os.environ["TOKEN"], "Content-Type": "application/json"},
)
urllib.request.urlopen(request, context=ssl.create_default_context(cafile=os.environ["CA"])).read()
"""


class Writer:
    """A process that creates one resource group, and may be killed while it waits for the answer."""

    def __init__(self, sdk: Sdk) -> None:
        self.group = fresh_name()
        azure = sdk.azure
        path = f"/subscriptions/{azure.subscription_id}/resourceGroups/{self.group}?api-version=2024-03-01"
        environment = {
            "URL": azure.origin + path,
            "TOKEN": sdk.credential().get_token(f"{azure.origin}/.default").token,
            "CA": str(azure.ca_file),
        }
        self.process = subprocess.Popen([sys.executable, "-c", PUT_GROUP], env=environment)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def writing(sdk: Sdk) -> Iterator[Writer]:
    writer = Writer(sdk)
    try:
        yield writer
    finally:
        writer.kill()


def exists(sdk: Sdk, group: str) -> bool:
    return bool(sdk.resources().resource_groups.check_existence(group))


def phase(azure: LocalAzure, n: int) -> str:
    return str(next(request["phase"] for request in azure.requests(n - 1)))


def wait_for_phase(azure: LocalAzure, n: int, wanted: str) -> None:
    deadline = time.monotonic() + 10
    while phase(azure, n) != wanted:
        assert time.monotonic() < deadline, f"request {n} is {phase(azure, n)}, not {wanted}"
        time.sleep(0.02)


def test_held_before_and_killed_is_not_applied(azure: LocalAzure, sdk: Sdk) -> None:
    """The request reached Azure, which never acted on it: the next `up` must find nothing."""
    azure.hold(1, "before")
    with writing(sdk) as writer:
        held = azure.wait_for_held()
        assert held["path"].endswith(writer.group)
        assert not exists(sdk, writer.group)
        writer.kill()
        azure.release()
        wait_for_phase(azure, held["n"], "abandoned")
    assert not exists(sdk, writer.group)


def test_held_before_and_released_is_applied(azure: LocalAzure, sdk: Sdk) -> None:
    """The twin of the killed one: only the kill makes the difference."""
    azure.hold(1, "before")
    with writing(sdk) as writer:
        held = azure.wait_for_held()
        azure.release()
        assert writer.process.wait(30) == 0
    assert exists(sdk, writer.group)
    assert phase(azure, held["n"]) == "done"


def test_held_after_and_killed_is_applied(azure: LocalAzure, sdk: Sdk) -> None:
    """Azure acted and the answer was lost: the next `up` must take over what is there."""
    azure.hold(1, "after")
    with writing(sdk) as writer:
        held = azure.wait_for_held()
        assert held["status"] == 201
        assert exists(sdk, writer.group)
        assert writer.process.poll() is None
        writer.kill()
        azure.release()
        wait_for_phase(azure, held["n"], "done")
    assert exists(sdk, writer.group)


def test_a_held_and_applied_write_survives_the_end_of_azure(start: Any) -> None:
    """`after` means durable: killing everything cannot take it back."""
    azure, sdk = start()
    azure.hold(1, "after")
    with writing(sdk) as writer:
        azure.wait_for_held()
        azure.kill()
        group = writer.group
    _, sdk = start()
    assert exists(sdk, group)


def test_the_hold_counts_writes_that_were_let_in(azure: LocalAzure, sdk: Sdk) -> None:
    """Reads, refused attempts and faults are not counted, so that K means the same write in every run."""
    azure.hold(2, "after")
    azure.dials(faults=[{"match": "PUT /subscriptions/", "status": 503}])
    with pytest.raises(Exception, match="dialled in"):
        sdk.resources().resource_groups.create_or_update(fresh_name(), {"location": "westeurope"})
    with pytest.raises(Exception, match="AuthorizationFailed"):
        sdk.resources("nobody").resource_groups.create_or_update(fresh_name(), {"location": "westeurope"})
    first = sdk.create_group()
    assert exists(sdk, first)
    with writing(sdk) as writer:
        assert azure.wait_for_held()["path"].endswith(writer.group)
        azure.release()
        assert writer.process.wait(30) == 0


def test_other_requests_go_on_while_one_is_held(azure: LocalAzure, sdk: Sdk) -> None:
    """Only the one write waits; a provider that works on others in parallel must not be stopped by it."""
    azure.hold(1, "before")
    with writing(sdk) as writer:
        azure.wait_for_held()
        other = sdk.create_group()
        assert exists(sdk, other)
        azure.release()
        assert writer.process.wait(30) == 0


def test_the_log_says_who_wrote_what(azure: LocalAzure, sdk: Sdk) -> None:
    """ "The second `up` makes no write" is read off this log."""
    last = azure.requests()[-1]["n"] if azure.requests() else 0
    group = sdk.create_group()
    assert exists(sdk, group)
    (write,) = azure.writes(last)
    assert write["method"] == "PUT"
    assert write["path"].endswith(group)
    assert (write["host"], write["vault"], write["principal"], write["status"]) == ("arm", None, "deployer", 201)
    tokens = [request for request in azure.requests(last) if request["host"] == "entra"]
    assert tokens
    assert not any(token["write"] or token["query"] for token in tokens)


def test_a_refused_attempt_is_logged_but_is_no_write(azure: LocalAzure, sdk: Sdk) -> None:
    """A preview that tried to write is seen by its status."""
    last = azure.requests()[-1]["n"] if azure.requests() else 0
    with pytest.raises(Exception, match="AuthorizationFailed"):
        sdk.resources("nobody").resource_groups.create_or_update(fresh_name(), {"location": "westeurope"})
    attempt = azure.requests(last)[-1]
    assert (attempt["method"], attempt["status"], attempt["write"]) == ("PUT", 403, False)


def test_no_secret_reaches_the_log(start: Any) -> None:
    """Neither client secrets nor tokens, in what is kept or printed."""
    azure, sdk = start()
    token = sdk.credential().get_token("https://vault.azure.net/.default").token
    sdk.create_group()
    secrets = [
        identity[key]
        for identity in azure.identities.values()
        for key in ("clientSecret", "password")
        if key in identity
    ]
    logged = str(azure.requests()) + (azure.state / "requests.jsonl").read_text() + (azure.state / "log").read_text()
    assert len(azure.requests()) > 3
    for secret in (*secrets, token, token.split(".")[2]):
        assert secret not in logged


@pytest.mark.parametrize(
    "changes",
    [
        {"unknown": 1},
        {"rbacPropagationSeconds": -1},
        {"faults": [{"match": "secrets", "status": 500}]},
        {"faults": [{"match": "GET (", "status": 500}]},
        {"faults": [{"match": "GET /x", "status": 404}]},
    ],
)
def test_a_wrong_dial_is_refused(azure: LocalAzure, changes: dict[str, Any]) -> None:
    """A dial that is misspelt would leave a test easier than it says."""
    before = azure.dials()
    with pytest.raises(LocalAzureError):
        azure.dials(**changes)
    assert azure.dials() == before


def test_dials_given_at_the_start_count(start: Any) -> None:
    """Nothing can be asked before they do."""
    azure, _ = start(certificatePendingPolls=3)
    assert azure.dials()["certificatePendingPolls"] == 3


def test_what_arm_does_not_serve_is_501(azure: LocalAzure, sdk: Sdk) -> None:
    """A plugin that asks for more than is served must fail at once, with the route in the message."""
    token = sdk.credential().get_token(f"{azure.origin}/.default").token
    with httpx.Client(base_url=azure.origin, verify=azure.tls_context(), trust_env=False) as http:

        def ask(path: str, **headers: str) -> tuple[int, str]:
            answer = http.get(path, headers=headers)
            return answer.status_code, answer.json()["error"]["code"]

        signed_in = {"Authorization": f"Bearer {token}"}
        subscription = f"/subscriptions/{azure.subscription_id}"
        assert ask(f"{subscription}/costs?api-version=2024-01-01", **signed_in) == (501, "NotImplemented")
        assert ask(f"{subscription}/costs", **signed_in) == (400, "MissingApiVersionParameter")
        assert ask(f"{subscription}?api-version=2024-01-01") == (401, "AuthenticationFailed")
        assert ask("/nowhere") == (501, "NotImplemented")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/certificates/sign", False),
        ("HEAD", "/subscriptions/s/resourceGroups/g", False),
        ("POST", "/keys/k/v/sign", False),
        ("POST", "/certificates/sign/create", True),
        ("POST", "/certificates/c/pending/merge", True),
        ("PATCH", "/keys/k/v", True),
        ("POST", "/graph/v1.0/directoryObjects/getByIds", False),
        ("POST", "/graph/v1.0/applications/a/removePassword", True),
        ("DELETE", "/secrets/s", True),
        ("POST", "/subscriptions/s/providers/Microsoft.KeyVault/checkNameAvailability", False),
        ("POST", "/subscriptions/s/providers/Microsoft.KeyVault/locations/l/deletedVaults/v/purge", True),
    ],
)
def test_a_write_is_what_changes_something(method: str, path: str, expected: bool) -> None:
    """Signing is a POST that changes nothing: as a write it would make every issuance look like a change."""
    assert changes_state(method, path) is expected


def test_groups_give_their_members_roles(azure: LocalAzure, sdk: Sdk) -> None:
    """`access.deployers` may be a group."""
    group, member = fresh_name(), fresh_name()
    azure.create_identity(group, "Group")
    azure.create_identity(member, member_of=(group,))
    name = sdk.create_group()
    scope = f"/subscriptions/{azure.subscription_id}/resourceGroups/{name}"
    with pytest.raises(Exception, match="AuthorizationFailed"):
        sdk.resources(member).resource_groups.get(name)
    sdk.assign(group, "acdd72a7-3385-48ef-bd42-f606fba81ae7", scope)
    assert sdk.resources(member).resource_groups.get(name).name == name
    with pytest.raises(LocalAzureError, match="memberOf"):
        azure.create_identity(member, member_of=("deployer",))
