"""The stand-in for azure-native between the real engine and the local Azure, used by a program of its own."""

import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from localazure.client import LocalAzure
from localazure.dials import Dials
from localazure.plugins.package import package, version_of
from tests.engine.localazure.sdk import Sdk, fresh_name
from tests.engine.standins import standin_stack
from tools.stack import LocalStack

pytestmark = pytest.mark.engine

PROGRAM = """
    import pulumi
    from pulumi_azure_native import authorization, keyvault, monitor, resources

    config = pulumi.Config()
    name = config.require("name")
    caller = authorization.get_client_config()
    roles = f"/subscriptions/{caller.subscription_id}/providers/Microsoft.Authorization/roleDefinitions"

    group = resources.ResourceGroup("group", resource_group_name=name, location="westeurope")
    vault = keyvault.Vault(
        "vault",
        vault_name=name,
        resource_group_name=group.name,
        tags=config.get_object("tags"),
        properties=keyvault.VaultPropertiesArgs(
            sku=keyvault.SkuArgs(family="A", name=keyvault.SkuName.STANDARD),
            tenant_id=caller.tenant_id,
            enable_rbac_authorization=True,
            network_acls=keyvault.NetworkRuleSetArgs(
                default_action="Deny", ip_rules=[keyvault.IPRuleArgs(value="203.0.113.7")]
            ),
        ),
    )
    assignment = authorization.RoleAssignment(
        "assignment",
        scope=vault.id,
        principal_id=config.require("principal"),
        principal_type="ServicePrincipal",
        role_definition_id=f"{roles}/4633458b-17de-408a-b874-0445c86b69e6",
    )
    monitor.DiagnosticSetting(
        "audit",
        resource_uri=vault.id,
        workspace_id=group.id.apply(lambda id: f"{id}/providers/Microsoft.OperationalInsights/workspaces/logs"),
        logs=[monitor.DiagnosticsLogSettingsArgs(category_group="audit", enabled=True)],
    )
    if subnet := config.get("subnet"):
        from pulumi_azure_native import network

        network.PrivateEndpoint(
            "endpoint",
            resource_group_name=group.name,
            subnet=network.SubnetArgs(id=subnet),
            private_link_service_connections=[
                network.PrivateLinkServiceConnectionArgs(
                    name="vault", private_link_service_id=vault.id, group_ids=["vault"]
                )
            ],
        )
    pulumi.export("caller", {"objectId": caller.object_id, "tenantId": caller.tenant_id})
    pulumi.export("vault", {"uri": vault.properties.vault_uri, "id": vault.id, "location": vault.location})
    pulumi.export("assignment", {"scope": assignment.scope, "name": assignment.name})
"""
RESOURCES = 5
"""Of the program and its stack; a subnet adds one."""

SMALL_PROGRAM = """
    import pulumi
    from pulumi_azure_native import keyvault, resources

    config = pulumi.Config()
    group = resources.ResourceGroup("group", resource_group_name=config.require("name"), location="westeurope")
    keyvault.Vault(
        "vault",
        vault_name=config.require("name"),
        resource_group_name=group.name,
        properties={"sku": {"family": "A", "name": "standard"}} | config.require_object("properties"),
    )
"""

CALLER_PROGRAM = """
    import pulumi
    from pulumi_azure_native import authorization

    pulumi.export("objectId", authorization.get_client_config().object_id)
"""


@pytest.fixture(scope="module")
def running_azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    with LocalAzure.start(tmp_path_factory.mktemp("azure")) as azure:
        yield azure


@pytest.fixture
def azure(running_azure: LocalAzure) -> Iterator[LocalAzure]:
    """The module's local Azure; its dials are put back afterwards."""
    yield running_azure
    running_azure.dials(**Dials().model_dump(by_alias=True))


@pytest.fixture
def sdk(azure: LocalAzure) -> Iterator[Sdk]:
    with ExitStack() as stack:
        yield Sdk(azure, stack)


@pytest.fixture(scope="module")
def pulumi_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One PULUMI_HOME for all stacks: the plugin is installed once."""
    return tmp_path_factory.mktemp("pulumi-home")


@pytest.fixture
def stack_of(tmp_path: Path, pulumi_home: Path, azure: LocalAzure) -> Callable[..., LocalStack]:
    """Makes a stack with a program and its settings, under `tmp_path`."""

    def make(program: str, settings: dict[str, Any], **environment: str) -> LocalStack:
        return standin_stack(tmp_path, program, settings, azure=azure, pulumi_home=pulumi_home, **environment)

    return make


@pytest.fixture
def settings(azure: LocalAzure) -> dict[str, Any]:
    """The settings of `PROGRAM`, with names that no other test has."""
    return {"name": fresh_name(), "principal": azure.identities["reader-ui"]["objectId"]}


def last(azure: LocalAzure) -> int:
    """The number of the last request so far."""
    return max((request["n"] for request in azure.requests()), default=0)


def test_preview_writes_nothing_up_does_what_it_said_and_a_second_up_nothing(
    stack_of: Callable[..., LocalStack], settings: dict[str, Any], azure: LocalAzure
) -> None:
    """Prevents a preview that writes or errs, and resources that never settle."""
    group = f"/subscriptions/{azure.subscription_id}/resourceGroups/{settings['name']}"
    settings["subnet"] = f"{group}/providers/Microsoft.Network/virtualNetworks/net/subnets/vaults"
    stack = stack_of(PROGRAM, settings)
    before = last(azure)
    preview = stack.preview(identity="nobody").check()
    assert preview.changes == {"create": RESOURCES + 1}
    asked = azure.requests(before)
    assert {request["path"] for request in asked if request["host"] == "arm"} == {"/metadata/endpoints"}

    assert stack.up().check().changes == preview.changes
    outputs = stack.outputs()
    deployer = azure.identities["deployer"]
    assert outputs["caller"] == {"objectId": deployer["objectId"], "tenantId": azure.tenant_id}
    assert outputs["vault"]["uri"].startswith("https://127.0.0.1:")
    assert outputs["vault"]["location"] == "westeurope"
    assert outputs["vault"]["id"] == f"{group}/providers/Microsoft.KeyVault/vaults/{settings['name']}"
    assert outputs["assignment"]["scope"] == outputs["vault"]["id"]
    assert str(uuid.UUID(outputs["assignment"]["name"])) == outputs["assignment"]["name"]

    before = last(azure)
    assert stack.up(identity="deployer2").check().changes == {"same": RESOURCES + 1}
    assert stack.refresh().check().changes == {"same": RESOURCES + 1}
    assert azure.writes(before) == []


def test_refresh_sees_drift_and_deletion_and_up_puts_them_right(
    stack_of: Callable[..., LocalStack], settings: dict[str, Any], sdk: Sdk
) -> None:
    """Prevents that what somebody changed by hand is neither shown nor corrected."""
    stack = stack_of(PROGRAM, settings)
    stack.up().check()
    vault_id, assignment = stack.outputs()["vault"]["id"], stack.outputs()["assignment"]
    opened: Any = {"properties": {"networkAcls": {"defaultAction": "Allow"}}}
    sdk.vaults().vaults.update(settings["name"], settings["name"], opened)
    sdk.authorization().role_assignments.delete(vault_id, assignment["name"])
    assert stack.refresh().check().changes == {"same": RESOURCES - 2, "update": 1, "delete": 1}
    assert stack.up().check().changes == {"same": RESOURCES - 2, "update": 1, "create": 1}
    assert sdk.vaults().vaults.get(settings["name"], settings["name"]).properties.network_acls.default_action == "Deny"


def test_an_update_is_a_put_of_the_whole_and_a_replacement_deletes_first(
    stack_of: Callable[..., LocalStack], settings: dict[str, Any], azure: LocalAzure
) -> None:
    """Prevents an update that drops what it does not mention, and a vault that is made where its name is taken."""
    stack = stack_of(PROGRAM, settings)
    stack.up().check()
    stack.configure({f"standin:{name}": value for name, value in (settings | {"tags": {"a": "b"}}).items()})
    before = last(azure)
    assert stack.up().check().changes == {"same": RESOURCES - 1, "update": 1}
    (write,) = azure.writes(before)
    assert (write["method"], write["status"]) == ("PUT", 200)

    moved = settings | {"tags": {"a": "b"}, "principal": azure.identities["reader-cli"]["objectId"]}
    stack.configure({f"standin:{name}": value for name, value in moved.items()})
    before = last(azure)
    assert stack.up().check().changes["replace"] == 1
    assert [write["method"] for write in azure.writes(before)] == ["PUT", "DELETE"]


def test_a_destroyed_vault_keeps_its_name_and_arm_says_so_in_the_official_words(
    stack_of: Callable[..., LocalStack], settings: dict[str, Any], azure: LocalAzure, sdk: Sdk
) -> None:
    """Prevents a stand-in that is kinder than Azure, where the name of a deleted vault stays taken."""
    small = {"name": settings["name"], "properties": {"tenantId": azure.tenant_id}}
    stack = stack_of(SMALL_PROGRAM, small)
    azure.dials(faults=[{"match": "PUT /vaults/", "status": 429, "times": 1, "retryAfterSeconds": 0}])
    stack.up().check()
    stack.destroy().check()
    assert [vault.name for vault in sdk.vaults().vaults.list_deleted() if vault.name == settings["name"]] != []
    failed = stack.up()
    assert 'error: Status=409 Code="ConflictError" Message="A vault with the same name already exists in deleted' in (
        failed.output
    )
    small["properties"]["createMode"] = "recover"
    stack.configure({f"standin:{name}": value for name, value in small.items()})
    assert stack.up().check().changes == {"same": 2, "create": 1}


@pytest.mark.parametrize(
    ("identity", "properties", "message"),
    [
        ("nobody", {}, 'error: Status=403 Code="AuthorizationFailed" Message="The client '),
        ("reader-ui", {}, "error: cannot check existence of resource '/subscriptions/"),
        ("deployer", {"purgeProtection": True}, "vault' has a problem: unknown property 'properties.purgeProtection'"),
        ("deployer", {"softDeleteRetentionInDays": 5}, 'Code="BadRequest" Message="An invalid value was provided for'),
    ],
)
def test_refusals_reach_the_person_without_a_traceback(
    stack_of: Callable[..., LocalStack],
    settings: dict[str, Any],
    azure: LocalAzure,
    identity: str,
    properties: dict[str, Any],
    message: str,
) -> None:
    """Prevents that a refusal is hidden in a traceback, or has other words than with the official plugin."""
    small = {"name": settings["name"], "properties": {"tenantId": azure.tenant_id} | properties}
    failed = stack_of(SMALL_PROGRAM, small).up(identity=identity)
    assert failed.exit_status
    assert message in failed.output
    assert "Traceback" not in failed.output
    assert 'File "' not in failed.output


def test_what_another_stack_made_is_not_taken_over(
    stack_of: Callable[..., LocalStack], settings: dict[str, Any], azure: LocalAzure
) -> None:
    """Prevents that two stacks write over each other's resources."""
    small = {"name": settings["name"], "properties": {"tenantId": azure.tenant_id}}
    stack_of(SMALL_PROGRAM, small).up().check()
    before = last(azure)
    failed = stack_of(SMALL_PROGRAM, small).up()
    assert f"error: cannot create already existing resource '/subscriptions/{azure.subscription_id}/resource" in (
        failed.output
    )
    assert azure.writes(before) == []


def test_a_stand_in_that_is_pointed_at_azure_sends_nothing(
    stack_of: Callable[..., LocalStack], azure: LocalAzure
) -> None:
    """Prevents that a stand-in, left in a PULUMI_HOME, works on Azure."""
    before = last(azure)
    failed = stack_of(CALLER_PROGRAM, {}, ARM_METADATA_HOSTNAME="management.azure.com").up()
    assert failed.exit_status
    assert "A stand-in plugin speaks to the local Azure only" in failed.output
    assert "was pointed at 'https://management.azure.com'" in failed.output
    assert azure.requests(before) == []


def test_a_federated_credential_signs_in(
    stack_of: Callable[..., LocalStack], azure: LocalAzure, tmp_path: Path
) -> None:
    """Prevents a stand-in that knows client secrets only, where a pipeline has a token of its own."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    issuer, subject, audience = "https://ci.example.org", "repo:temporal", "api://AzureADTokenExchange"
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "ci"}
    object_id = azure.create_identity(
        "pipeline",
        federated_credentials=(
            {"issuer": issuer, "subject": subject, "audiences": [audience], "jwks": {"keys": [public]}},
        ),
    )
    expires = datetime.now(UTC) + timedelta(minutes=10)
    claims = {"iss": issuer, "sub": subject, "aud": audience, "exp": expires}
    token_file = tmp_path / "token"
    token_file.write_text(jwt.encode(claims, key, "RS256", {"kid": "ci"}))
    oidc = {
        "ARM_CLIENT_ID": azure.identities["pipeline"]["clientId"],
        "ARM_CLIENT_SECRET": "",
        "ARM_USE_OIDC": "true",
        "ARM_OIDC_TOKEN_FILE_PATH": str(token_file),
    }
    stack = stack_of(CALLER_PROGRAM, {}, **oidc)
    stack.up().check()
    assert stack.outputs() == {"objectId": object_id}
    token_file.write_text(jwt.encode(claims | {"sub": "repo:other"}, key, "RS256", {"kid": "ci"}))
    refused = stack.up().output
    assert "No matching federated identity record found" in refused
    assert "localazure/plugins" not in refused
    token_file.unlink()
    assert "The OIDC token cannot be read" in stack.up().output


def test_the_archive_is_one_that_the_engine_installs_and_starts(
    stack_of: Callable[..., LocalStack], azure: LocalAzure, tmp_path: Path
) -> None:
    """Prevents an archive that cannot be installed on a machine without the official plugin."""
    stack = stack_of(CALLER_PROGRAM, {})
    stack.prepare()
    home = tmp_path / "home"
    environment = stack.environment() | {"PULUMI_HOME": str(home)}
    version = version_of("azure-native")
    install = ["plugin", "install", "resource", "azure-native", version, "-f", str(package("azure-native", tmp_path))]
    for arguments in (install, stack.command("up", "--yes", "--skip-preview", "--non-interactive")[1:]):
        subprocess.run(
            [stack.engine.executable, *arguments],
            cwd=stack.project,
            env=environment,
            check=True,
            capture_output=True,
            timeout=300,
        )
    assert (home / "plugins" / f"resource-azure-native-v{version}" / "repository").exists()
    assert stack.outputs() == {"objectId": azure.identities["deployer"]["objectId"]}
