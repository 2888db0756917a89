"""A secret in Key Vault under the real engine: written once, found again, read back without its value, never shown.

The program is one resource; its value comes in a variable of the environment, so that it stands in no file of a stack.
"""

import json
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.keyvault.secrets import SecretClient

from localazure.client import LocalAzure
from localazure.store import Store
from tests.engine.localazure.sdk import fresh_name
from tests.engine.stacks import WAITING, Hand, Run, Watch, dialled
from tools import REPOSITORY
from tools.processes import wait_until
from tools.stack import LocalStack

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("secret")]

PROGRAM = """
    import os

    import pulumi

    from provider.resources import KeyVaultProvider, VaultSecret, VaultSecretArgs

    config = pulumi.Config()
    settings = {"permissionWaitSeconds": str(config.get_int("wait") or 60)}
    secret = VaultSecret(
        "client-secret",
        VaultSecretArgs(
            vault_id=config.require("vaultId"),
            vault_uri=config.require("vaultUri"),
            name=config.require("name"),
            value=os.environ["SECRET_VALUE"],
            content_type=config.get("contentType"),
            not_after=config.get("notAfter"),
            tags=config.get_object("tags") or {},
        ),
        pulumi.ResourceOptions(provider=KeyVaultProvider("temporalazure", settings)),
    )
    pulumi.export("secretId", secret.secret_id)
    pulumi.export("versionlessId", secret.versionless_id)
    pulumi.export("version", secret.version)
"""
PROJECT = "secrets"
SECRET = "client-secret"
TYPE = "temporalazure:keyvault:Secret"

When = Literal["before", "after"]


def fresh_value() -> str:
    return f"value-{uuid4().hex}"


class SecretStack(LocalStack):
    """The program with settings, and a value that a test changes from run to run."""

    def __init__(self, root: Path, project: Path, azure: LocalAzure, pulumi_home: Path) -> None:
        name = f"t{uuid4().hex[:8]}"
        super().__init__(root, azure=azure, name=name, project=project, pulumi_home=pulumi_home)
        self.azure = azure
        self.values = [fresh_value()]
        self.settings: dict[str, Any] = {}
        self.said: dict[str, bytes] = {}

    @property
    def value(self) -> str:
        return self.values[-1]

    @property
    def urn(self) -> str:
        return f"urn:pulumi:{self.name}::{PROJECT}::{TYPE}::{SECRET}"

    @property
    def owner_tags(self) -> dict[str, str]:
        return {"pulumi-project": PROJECT, "pulumi-stack": self.name, "pulumi-urn": self.urn}

    def set(self, **settings: Any) -> None:
        """Change settings; None takes one out."""
        changed = self.settings | {f"{PROJECT}:{name}": value for name, value in settings.items()}
        self.settings = {key: value for key, value in changed.items() if value is not None}
        self.configure(self.settings)

    def environment(self, identity: str | None = None) -> dict[str, str]:
        ours = {
            "SECRET_VALUE": self.value,
            "PYTHONPATH": str(REPOSITORY),
            "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true",
        }
        return super().environment(identity) | ours

    def run(self, operation: str, *arguments: str, identity: str | None = None) -> Run:
        unasked = [] if operation == "preview" else ["--yes", "--skip-preview"]
        with self.start(operation, *unasked, *arguments, "--json", identity=identity) as running:
            outcome = running.wait()
        self.said[f"{len(self.said)} {operation}"] = outcome.output.encode()
        return Run(outcome)

    def state(self) -> dict[str, Any]:
        """The secret's resource in the exported state."""
        (found,) = (each for each in self.export()["deployment"]["resources"] if each["urn"] == self.urn)
        return dict(found)


@pytest.fixture(scope="module")
def vault(hand: Hand) -> Any:
    return hand.sdk.create_vault(hand.sdk.create_group(), softDeleteRetentionInDays=7)


@pytest.fixture
def client(hand: Hand, vault: Any) -> SecretClient:
    return hand.secrets(vault.properties.vault_uri)


@pytest.fixture
def stack(tmp_path: Path, azure: LocalAzure, pulumi_home: Path, hand: Hand, vault: Any) -> SecretStack:
    """A stack with a secret of its own in the vault; the deployer is an officer of that one secret."""
    project = tmp_path / "project"
    project.mkdir()
    provider = {"name": "temporalazure", "path": str(REPOSITORY / "provider")}
    (project / "Pulumi.yaml").write_text(
        json.dumps({"name": PROJECT, "runtime": "python", "plugins": {"providers": [provider]}})
    )
    (project / "__main__.py").write_text(textwrap.dedent(PROGRAM))
    stack = SecretStack(tmp_path / "stack", project, azure, pulumi_home)
    name = fresh_name()
    stack.set(vaultId=vault.id, vaultUri=vault.properties.vault_uri, name=name)
    hand.assign("deployer", "Key Vault Secrets Officer", f"{vault.id}/secrets/{name}")
    return stack


def name_of(stack: SecretStack) -> str:
    return str(stack.settings[f"{PROJECT}:name"])


def changed(run: Run) -> set[str]:
    """What was done to the secret."""
    return {operation for operation, urn in run.steps if urn.endswith(f"::{SECRET}")}


def versions(stack: SecretStack, vault: Any, *, deleted: bool = False) -> list[dict[str, Any]]:
    """What the vault keeps of the secret, oldest first."""
    store = Store(stack.azure.state / "state.sqlite3")
    try:
        kept = dict(store.items(f"vault/{vault.name}/{'deleted' if deleted else ''}secrets"))
    finally:
        store.close()
    document = kept.get(name_of(stack))
    return list(document["versions"]) if document else []


def values(stack: SecretStack, vault: Any) -> list[str]:
    return [version["value"] for version in versions(stack, vault)]


def asked(watch: Watch, stack: SecretStack) -> list[str]:
    """Method and path of the requests about the secret, challenges aside."""
    name = name_of(stack)
    return [
        f"{request['method']} {request['path']}"
        for request in watch.requests("vault")
        if f"/{name}" in request["path"] and request["status"] != 401
    ]


# From the first run to the last


def test_the_first_run_writes_one_version(stack: SecretStack, vault: Any, azure: LocalAzure) -> None:
    """Prevents a preview that needs rights or writes, and a secret that lacks what was asked for."""
    stack.set(contentType="text/plain", notAfter="2027-01-31T00:00:00Z", tags={"team": "payments"})
    watch = Watch(azure)
    preview = stack.run("preview", identity="nobody").check()
    assert changed(preview) == {"create"}
    assert watch.requests("vault") == []

    assert changed(stack.run("up").check()) == {"create"}
    (version,) = versions(stack, vault)
    assert version["value"] == stack.value
    assert version["content_type"] == "text/plain"
    assert version["exp"] == 1801353600
    assert version["tags"] == {"team": "payments", **stack.owner_tags}
    outputs = stack.outputs()
    versionless = f"{vault.properties.vault_uri.rstrip('/')}/secrets/{name_of(stack)}"
    assert outputs == {
        "versionlessId": versionless,
        "secretId": f"{versionless}/{version['version']}",
        "version": version["version"],
    }
    state = stack.state()
    assert state["id"] == versionless
    for place in ("inputs", "outputs"):
        assert "ciphertext" in state[place]["value"], "the state holds the value in the clear"


def test_the_second_run_asks_nothing(stack: SecretStack, azure: LocalAzure) -> None:
    """Prevents a version at each run, and a run that needs the value's right though nothing changes."""
    stack.run("up").check()
    watch = Watch(azure)
    assert changed(stack.run("preview", identity="nobody").check()) == {"same"}
    assert changed(stack.run("up").check()) == {"same"}
    assert watch.requests("vault") == []


@pytest.mark.parametrize(
    ("before", "after", "writes"),
    [
        ({}, {"value": True}, "PUT"),
        ({}, {"contentType": "application/json"}, "PUT"),
        ({"notAfter": "2027-01-31T00:00:00Z"}, {"notAfter": None}, "PUT"),
        ({}, {"tags": {"team": "payments"}}, "PATCH"),
        ({"notAfter": "2027-01-31T00:00:00Z"}, {"notAfter": "2028-01-31T00:00:00Z"}, "PATCH"),
    ],
    ids=["value", "content type", "no end any more", "tags", "end"],
)
def test_only_what_is_part_of_a_version_writes_one(
    stack: SecretStack, vault: Any, azure: LocalAzure, before: dict[str, Any], after: dict[str, Any], writes: str
) -> None:
    """Prevents a new version, and with it new identifiers for all consumers, for another tag."""
    stack.set(**before)
    stack.run("up").check()
    first = stack.outputs()["version"]
    if after.pop("value", False):
        stack.values.append(fresh_value())
    stack.set(**after)
    preview = stack.run("preview", identity="nobody").check()
    watch = Watch(azure)
    assert changed(stack.run("up").check()) == changed(preview) == {"update"}
    (write,) = watch.writes("vault")
    assert write.startswith(f"{writes} /secrets/{name_of(stack)}")
    newest = versions(stack, vault)[-1]
    assert len(versions(stack, vault)) == (2 if writes == "PUT" else 1)
    assert newest["version"] == stack.outputs()["version"]
    assert (newest["version"] == first) is (writes == "PATCH")
    assert newest["value"] == stack.value
    assert newest["tags"] == {**(after.get("tags") or {}), **stack.owner_tags}
    watch = Watch(azure)
    assert changed(stack.run("up", "--refresh").check()) <= {"same", "refresh"}
    assert watch.writes("vault") == []


def test_another_name_is_another_secret(stack: SecretStack, vault: Any, hand: Hand, client: SecretClient) -> None:
    """Prevents a secret that stays behind under its old name."""
    stack.run("up").check()
    old, new = name_of(stack), fresh_name()
    hand.assign("deployer", "Key Vault Secrets Officer", f"{vault.id}/secrets/{new}")
    stack.set(name=new)
    assert "replace" in changed(stack.run("up").check())
    assert client.get_secret(new).value == stack.value
    assert client.get_deleted_secret(old).name == old


def test_destroy_deletes_it_and_the_next_run_recovers_it(stack: SecretStack, vault: Any, azure: LocalAzure) -> None:
    """Prevents a name that can never be used again."""
    stack.run("up").check()
    stack.run("destroy").check()
    assert versions(stack, vault) == []
    assert len(versions(stack, vault, deleted=True)) == 1
    watch = Watch(azure)
    up = stack.run("up").check()
    assert "Recovering the secret, which was deleted." in up.said_of(SECRET)
    assert watch.writes("vault") == [f"POST /deletedsecrets/{name_of(stack)}/recover"]
    assert values(stack, vault) == [stack.value]


def test_destroy_of_what_is_gone_is_done(stack: SecretStack, client: SecretClient) -> None:
    """Prevents a stack that cannot be destroyed because somebody was quicker."""
    stack.run("up").check()
    client.begin_delete_secret(name_of(stack), _polling_interval=0).wait()
    stack.run("destroy").check()


# What a killed run leaves


@contextmanager
def held(azure: LocalAzure, number: int, when: When) -> Iterator[None]:
    azure.hold(number, when)
    try:
        yield
    finally:
        azure.release()


def killed(stack: SecretStack, operation: str, number: int, when: When) -> None:
    """Kill a run at its write of that number, before or after it is applied."""
    with held(stack.azure, number, when), stack.start(operation, "--yes", "--skip-preview") as running:
        write = stack.azure.wait_for_held(120)
        running.kill_all()
    wait_until(lambda: stack.azure.requests(write["n"] - 1)[0]["phase"] != "held", "the write goes on")


def nothing(stack: SecretStack) -> None:
    """The first run."""


def other_value(stack: SecretStack) -> None:
    stack.values.append(fresh_value())


def other_tags(stack: SecretStack) -> None:
    stack.set(tags={"team": "payments"})


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("first", "then", "operation", "number"),
    [
        ([], nothing, "up", 1),
        (["up"], other_value, "up", 1),
        (["up"], other_tags, "up", 1),
        (["up"], nothing, "destroy", 1),
        (["up", "destroy"], other_value, "up", 1),
        (["up", "destroy"], other_value, "up", 2),
    ],
    ids=["create", "value", "tags", "destroy", "recover", "value after it is recovered"],
)
def test_killed_at_a_write_the_next_run_ends_as_if_it_had_not_been(
    stack: SecretStack,
    vault: Any,
    first: list[str],
    then: Callable[[SecretStack], None],
    operation: str,
    number: int,
    when: When,
) -> None:
    """Prevents a secret that nobody knows of, and a second version of what a killed run had written."""
    for each in first:
        stack.run(each).check()
    then(stack)
    stack.prepare()
    killed(stack, operation, number, when)
    if operation == "destroy":
        stack.destroy().check()
        assert versions(stack, vault) == []
        return
    stack.up().check()
    # A write let go in the moment its client leaves may still be applied, as in Azure.
    assert values(stack, vault) == [*dict.fromkeys(stack.values)]
    newest = versions(stack, vault)[-1]
    assert newest["version"] == stack.outputs()["version"]
    assert newest["tags"] == {**stack.settings.get(f"{PROJECT}:tags", {}), **stack.owner_tags}
    watch = Watch(stack.azure)
    assert changed(stack.run("up").check()) == {"same"}
    assert watch.writes() == []


# What others do


def test_a_value_that_somebody_set_is_drift_and_is_put_right(
    stack: SecretStack, vault: Any, client: SecretClient, azure: LocalAzure
) -> None:
    """Prevents a wrong secret that no run sees, and a refresh that has to be let in to read the right one."""
    stack.run("up").check()
    foreign = fresh_value()
    client.set_secret(name_of(stack), foreign)
    stack.values.insert(0, foreign)
    watch = Watch(azure)
    refresh = stack.run("refresh", identity="previewer").check()
    assert "update" in changed(refresh), refresh.steps
    assert asked(watch, stack) == [f"GET /secrets/{name_of(stack)}/versions"]
    state = stack.state()["outputs"]
    assert "value" not in state
    assert state["version"] == versions(stack, vault)[-1]["version"]

    preview = stack.run("preview", identity="nobody").check()
    assert changed(preview) == {"update"}
    assert changed(stack.run("up").check()) == {"update"}
    assert values(stack, vault)[-1] == stack.value
    assert versions(stack, vault)[-1]["tags"] == stack.owner_tags
    assert changed(stack.run("up", "--refresh").check()) <= {"same", "refresh"}


def test_tags_that_somebody_changed_are_put_right(stack: SecretStack, vault: Any, client: SecretClient) -> None:
    stack.set(tags={"team": "payments"})
    stack.run("up").check()
    client.update_secret_properties(name_of(stack), tags={**stack.owner_tags, "team": "fraud"})
    stack.run("refresh").check()
    assert changed(stack.run("preview", identity="nobody").check()) == {"update"}
    stack.run("up").check()
    (version,) = versions(stack, vault)
    assert version["tags"] == {**stack.owner_tags, "team": "payments"}


def test_a_secret_that_somebody_deleted_is_recovered(stack: SecretStack, vault: Any, client: SecretClient) -> None:
    stack.run("up").check()
    client.begin_delete_secret(name_of(stack), _polling_interval=0).wait()
    assert "delete" in changed(stack.run("refresh", identity="previewer").check())
    assert changed(stack.run("preview", identity="nobody").check()) == {"create"}
    stack.run("up").check()
    assert values(stack, vault) == [stack.value]


def test_a_disabled_secret_is_warned_of(stack: SecretStack, client: SecretClient) -> None:
    """Prevents silence about a secret that its consumers are refused."""
    stack.run("up").check()
    client.update_secret_properties(name_of(stack), enabled=False)
    assert "Somebody disabled the version" in stack.run("refresh").check().said_of(SECRET)


@pytest.mark.parametrize("deleted", [False, True])
def test_what_belongs_to_somebody_else_is_refused(
    stack: SecretStack, vault: Any, client: SecretClient, azure: LocalAzure, deleted: bool
) -> None:
    """Prevents that a secret of another program is overwritten, or taken back from where it was thrown away."""
    foreign = fresh_value()
    client.set_secret(name_of(stack), foreign)
    if deleted:
        client.begin_delete_secret(name_of(stack), _polling_interval=0).wait()
    watch = Watch(azure)
    said = stack.run("up").refused().said_of(SECRET)
    assert f'the secret "{name_of(stack)}" in {vault.properties.vault_uri}' in said
    assert "is made by hand or by another program. It was not touched, and nothing was written." in said
    assert f"pulumi import {TYPE} {SECRET} {vault.properties.vault_uri}secrets/{name_of(stack)}" in said
    assert watch.writes("vault") == []
    assert foreign not in said


def test_what_was_imported_is_taken_up(stack: SecretStack, vault: Any, client: SecretClient) -> None:
    """Prevents that the way out of the refusal leads nowhere, or that an import shows what it read."""
    client.set_secret(name_of(stack), stack.value, content_type="text/plain", tags={"team": "payments"})
    stack.set(contentType="text/plain", tags={"team": "payments"})
    stack.run("up").refused()
    provider = next(
        each["urn"]
        for each in stack.export()["deployment"]["resources"]
        if each["type"] == "pulumi:providers:temporalazure"
    )
    identifier = f"{vault.properties.vault_uri}secrets/{name_of(stack)}"
    arguments = [TYPE, SECRET, identifier, "--provider", f"provider={provider}"]
    done = stack.start(
        "import", *arguments, "--yes", "--skip-preview", "--protect=false", "--generate-code=false"
    ).wait()
    stack.said["import"] = done.check().output.encode()
    assert "ciphertext" in stack.state()["inputs"]["value"]
    stack.run("up").check()
    (version,) = versions(stack, vault)
    assert version["tags"] == {"team": "payments", **stack.owner_tags}
    assert changed(stack.run("up").check()) == {"same"}
    assert_nothing_shows(stack)


def test_destroy_leaves_what_belongs_to_somebody_else(stack: SecretStack, vault: Any, client: SecretClient) -> None:
    stack.run("up").check()
    client.set_secret(name_of(stack), fresh_value())
    destroy = stack.run("destroy").check()
    assert "was left as it is: it is made by hand or by another program." in destroy.said_of(SECRET)
    assert len(versions(stack, vault)) == 2


# What a vault refuses


def test_a_role_on_its_way_is_waited_for(stack: SecretStack, vault: Any, hand: Hand, azure: LocalAzure) -> None:
    name = fresh_name()
    stack.set(name=name)
    watch = Watch(azure)
    with dialled(azure, rbacPropagationSeconds=100_000):
        hand.assign("deployer", "Key Vault Secrets Officer", f"{vault.id}/secrets/{name}")
        with stack.start("up", "--yes", "--skip-preview", "--json") as running:
            wait_until(lambda: watch.answered(403), "the vault refuses")
            azure.dials(rbacPropagationSeconds=0)
            up = Run(running.wait()).check()
    assert f'{WAITING} to look for the secret "{name}"' in up.said_of(SECRET)
    assert values(stack, vault) == [stack.value]


def test_a_role_that_does_not_come_is_named(stack: SecretStack, vault: Any) -> None:
    """Prevents the advice to give a role on the whole vault, which would open every leaf's key."""
    stack.set(name=fresh_name(), wait=1)
    said = stack.run("up").refused().said_of(SECRET)
    assert "this identity lacks the role (ForbiddenByRbac), and it did not come within 1 s" in said
    assert 'Give the identity "Key Vault Secrets Officer" on this secret, or name it under access.deployers.' in said
    assert versions(stack, vault) == []


def test_throttling_and_faults_are_gone_through(stack: SecretStack, vault: Any, azure: LocalAzure) -> None:
    name = name_of(stack)
    faults = [
        {"match": f"GET /secrets/{name}", "status": 503, "times": 1},
        {"match": f"GET /deletedsecrets/{name}", "status": 500, "times": 1},
        {"match": f"PUT /secrets/{name}", "status": 429, "times": 2, "retryAfterSeconds": 1},
    ]
    with dialled(azure, faults=faults):
        stack.run("up").check()
        assert [fault["times"] for fault in azure.dials()["faults"]] == [0] * len(faults)
    assert values(stack, vault) == [stack.value]


def test_a_closed_network_is_told_at_once(tmp_path: Path, stack: SecretStack, hand: Hand, azure: LocalAzure) -> None:
    closed = hand.sdk.create_vault(hand.sdk.create_group(), networkAcls={"defaultAction": "Deny"})
    stack.set(vaultId=closed.id, vaultUri=closed.properties.vault_uri)
    hand.assign("deployer", "Key Vault Secrets Officer", closed.id)
    said = stack.run("up").refused().said_of(SECRET)
    assert "(ForbiddenByFirewall)" in said
    assert WAITING not in said


def test_a_vault_that_was_deleted_took_its_secret_with_it(stack: SecretStack, hand: Hand, tmp_path: Path) -> None:
    """Prevents a stack that cannot be refreshed because a vault is gone."""
    group = hand.sdk.create_group()
    gone = hand.sdk.create_vault(group)
    hand.assign("deployer", "Key Vault Secrets Officer", gone.id)
    stack.set(vaultId=gone.id, vaultUri=gone.properties.vault_uri)
    stack.run("up").check()
    hand.sdk.vaults().vaults.delete(group, gone.name)
    assert "delete" in changed(stack.run("refresh").check())


# What must not be seen


def assert_nothing_shows(stack: SecretStack) -> None:
    """No value of the stack is in anything that it said or left behind."""
    everything = dict(stack.said)
    for file in (path for path in stack.root.rglob("*") if path.is_file() and path.name != "passphrase"):
        everything[str(file.relative_to(stack.root))] = file.read_bytes()
    assert any(name.startswith("backend/") for name in everything)
    for value in stack.values:
        assert [name for name, text in everything.items() if value.encode() in text] == []


def test_a_value_is_in_nothing_that_a_stack_says_or_leaves_behind(stack: SecretStack, client: SecretClient) -> None:
    """Prevents a client secret in a pipeline's log, in a diff, or in the state in the clear."""

    def say(operation: str, *arguments: str) -> None:
        unasked = [] if operation == "preview" else ["--yes", "--skip-preview"]
        outcome = stack.start(operation, *unasked, *arguments).wait()
        stack.said[f"{len(stack.said)} {operation}"] = outcome.check().output.encode()

    say("preview", "--diff")
    say("preview", "--json")
    say("up", "--diff")
    stack.values.append(fresh_value())
    say("preview", "--diff")
    say("up", "--json")
    foreign = fresh_value()
    client.set_secret(name_of(stack), foreign)
    stack.values.insert(0, foreign)
    say("preview", "--diff", "--refresh")
    say("refresh", "--diff")
    say("up", "--diff")
    stack.said["state"] = json.dumps(stack.export()).encode()
    stack.said["outputs"] = json.dumps(stack.outputs()).encode()
    shown = json.dumps(stack.export(show_secrets=True))
    assert stack.value in shown, "the search would find nothing anywhere"
    say("destroy", "--diff")
    assert_nothing_shows(stack)
    with pytest.raises(ResourceNotFoundError):
        client.get_secret(name_of(stack))
