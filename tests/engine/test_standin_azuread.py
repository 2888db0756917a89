"""The stand-in for azuread between the real engine and the local Azure, used by a program of its own."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from localazure.client import LocalAzure
from localazure.dials import Dials
from localazure.plugins.package import version_of
from tests.engine.localazure.sdk import Sdk, fresh_name
from tests.engine.standins import configure, standin_stack
from tools.stack import LocalStack

pytestmark = pytest.mark.engine

PROGRAM = """
    import pulumi
    import pulumi_azuread as azuread

    config = pulumi.Config()
    name = config.require("name")
    caller = azuread.get_client_config()
    ada = azuread.get_users(user_principal_names=["ada@contoso.example"])
    operators = azuread.get_groups(display_names=["Temporal Operators"])
    graph = azuread.get_service_principal(client_id="00000003-0000-0000-c000-000000000000")
    roles = {"admin": "11111111-1111-4111-8111-111111111111", "reader": "22222222-2222-4222-8222-222222222222"}
    scope = "33333333-3333-4333-8333-333333333333"

    application = azuread.Application(
        "application",
        display_name=name,
        description=config.get("description"),
        owners=[caller.object_id],
        prevent_duplicate_names=True,
        tags=["temporal"],
        api=azuread.ApplicationApiArgs(
            requested_access_token_version=2,
            oauth2_permission_scopes=[
                azuread.ApplicationApiOauth2PermissionScopeArgs(
                    id=scope,
                    value="default",
                    type="User",
                    admin_consent_display_name="Use Temporal",
                    admin_consent_description="Use Temporal as the person who is signed in.",
                )
            ],
        ),
        app_roles=[
            azuread.ApplicationAppRoleArgs(
                id=id,
                value=value,
                display_name=value,
                description=config.get("roles") or f"May be {value}.",
                allowed_member_types=["User", "Application"],
            )
            for value, id in roles.items()
        ],
        web=azuread.ApplicationWebArgs(redirect_uris=[config.get("redirect") or "http://localhost:8080/callback"]),
        required_resource_accesses=[
            azuread.ApplicationRequiredResourceAccessArgs(
                resource_app_id=graph.client_id,
                resource_accesses=[
                    azuread.ApplicationRequiredResourceAccessResourceAccessArgs(
                        id=graph.oauth2_permission_scope_ids["openid"], type="Scope"
                    )
                ],
            )
        ],
        opts=pulumi.ResourceOptions(ignore_changes=["identifierUris"]),
    )
    principal = azuread.ServicePrincipal(
        "principal",
        client_id=application.client_id,
        app_role_assignment_required=True,
        owners=[caller.object_id],
    )
    azuread.ApplicationIdentifierUri(
        "uri",
        application_id=application.id,
        identifier_uri=application.client_id.apply(lambda id: f"api://{id}"),
    )
    azuread.ApplicationPreAuthorized(
        "cli",
        application_id=application.id,
        authorized_client_id="04b07795-8ddb-461a-bbee-02f9e1bf7b46",
        permission_ids=[scope],
    )
    password = azuread.ApplicationPassword(
        "password",
        application_id=application.id,
        display_name="ui",
        end_date=config.get("end") or "2099-01-01T00:00:00Z",
        rotate_when_changed={"day": config.get("day") or "1"},
    )
    azuread.ApplicationFederatedIdentityCredential(
        "pipeline",
        application_id=application.id,
        display_name="pipeline",
        audiences=["api://AzureADTokenExchange"],
        issuer="https://ci.example.org",
        subject=config.get("subject") or "repo:temporal",
    )
    for key, value, object_id in (
        ("ada", "admin", ada.object_ids[0]),
        ("operators", "reader", operators.object_ids[0]),
    ):
        azuread.AppRoleAssignment(
            key,
            app_role_id=application.app_role_ids.apply(lambda ids, value=value: ids[value]),
            principal_object_id=object_id,
            resource_object_id=principal.object_id,
        )
    azuread.ServicePrincipalDelegatedPermissionGrant(
        "consent",
        service_principal_object_id=principal.object_id,
        resource_service_principal_object_id=graph.object_id,
        claim_values=["openid", "profile"],
    )
    pulumi.export("application", {"id": application.id, "clientId": application.client_id})
    pulumi.export("principal", principal.object_id)
    pulumi.export("password", {"id": password.id, "value": password.value})
"""
RESOURCES = 10
"""Of the program and its stack."""

SMALL_PROGRAM = """
    import pulumi
    import pulumi_azuread as azuread

    config = pulumi.Config()
    caller = azuread.get_client_config()
    azuread.Application(
        "application",
        display_name=config.require("name"),
        owners=[caller.object_id],
        prevent_duplicate_names=True,
        web={"redirectUris": [config.get("redirect") or "https://ui.example/"]},
        opts=pulumi.ResourceOptions(import_=config.get("import"), protect=False),
    )
"""

CALLER_PROGRAM = """
    import pulumi
    import pulumi_azuread as azuread

    config = pulumi.Config()
    settings = config.get_object("provider") or {}
    provider = azuread.Provider("directory", **settings)
    caller = azuread.get_client_config(opts=pulumi.InvokeOptions(provider=provider if settings else None))
    pulumi.export("objectId", caller.object_id)
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


class Directory:
    """Somebody who uses Microsoft Graph by hand, as the deployer."""

    def __init__(self, azure: LocalAzure, closing: ExitStack) -> None:
        self._credential = Sdk(azure, closing).credential()
        self._graph = f"{azure.origin}/graph"
        self._client = closing.enter_context(httpx.Client(verify=azure.tls_context(), trust_env=False))

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """The JSON of an answer, None if there is none."""
        token = self._credential.get_token(f"{self._graph}/.default").token
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self._graph}/v1.0{path}"
        response = self._client.request(method, url, params=query, json=body, headers=headers)
        response.raise_for_status()
        return response.json() if response.content else None

    def where(self, collection: str, name: str, value: str) -> list[dict[str, Any]]:
        """The objects of a collection that have a value."""
        return list(self.ask("GET", f"/{collection}", **{"$filter": f"{name} eq '{value}'"})["value"])

    def applications(self, name: str) -> list[dict[str, Any]]:
        """The applications of that name."""
        return self.where("applications", "displayName", name)


@pytest.fixture
def directory(azure: LocalAzure) -> Iterator[Directory]:
    with ExitStack() as closing:
        yield Directory(azure, closing)


@pytest.fixture
def name() -> str:
    """A name that no other test has."""
    return fresh_name()


def last(azure: LocalAzure) -> int:
    """The number of the last request so far."""
    return max((request["n"] for request in azure.requests()), default=0)


def test_preview_writes_nothing_up_does_what_it_said_and_a_second_up_nothing(
    stack_of: Callable[..., LocalStack], name: str, azure: LocalAzure, directory: Directory
) -> None:
    """Prevents a preview that writes or errs, resources that never settle, and a destroy that leaves something."""
    stack = stack_of(PROGRAM, {"name": name})
    before = last(azure)
    preview = stack.preview(identity="previewer").check()
    assert preview.changes == {"create": RESOURCES}
    assert azure.writes(before) == []

    up = stack.up().check()
    assert up.changes == preview.changes
    outputs = stack.outputs()
    (application,) = directory.applications(name)
    client_id = application["appId"]
    assert outputs["application"] == {"id": f"/applications/{application['id']}", "clientId": client_id}
    assert application["identifierUris"] == [f"api://{client_id}"]
    assert [item["appId"] for item in application["api"]["preAuthorizedApplications"]] == [
        "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
    ]
    assert application["api"]["requestedAccessTokenVersion"] == 2
    assigned = directory.ask("GET", f"/servicePrincipals/{outputs['principal']}/appRoleAssignedTo")["value"]
    assert {(item["principalDisplayName"], item["principalType"]) for item in assigned} == {
        ("Ada Lovelace", "User"),
        ("Temporal Operators", "Group"),
    }

    secret = outputs["password"]["value"]
    assert secret not in up.output
    assert secret not in json.dumps(stack.export())

    before = last(azure)
    assert stack.up().check().changes == {"same": RESOURCES}
    assert stack.refresh().check().changes == {"same": RESOURCES}
    assert stack.up().check().changes == {"same": RESOURCES}
    assert azure.writes(before) == []
    assert stack.outputs() == outputs

    stack.destroy().check()
    assert directory.applications(name) == []
    assert directory.where("servicePrincipals", "appId", client_id) == []


def test_refresh_sees_drift_and_deletion_and_up_puts_them_right(
    stack_of: Callable[..., LocalStack], name: str, directory: Directory
) -> None:
    """Prevents that what somebody changed by hand is neither shown nor corrected."""
    stack = stack_of(PROGRAM, {"name": name})
    stack.up().check()
    outputs = stack.outputs()
    path = outputs["application"]["id"]
    directory.ask("PATCH", path, {"web": {"redirectUris": ["https://evil.example/callback"]}})
    principal = f"/servicePrincipals/{outputs['principal']}"
    directory.ask("PATCH", principal, {"appRoleAssignmentRequired": False})
    for assignment in directory.ask("GET", f"{principal}/appRoleAssignedTo")["value"]:
        directory.ask("DELETE", f"{principal}/appRoleAssignedTo/{assignment['id']}")
    directory.ask("POST", f"{path}/removePassword", {"keyId": outputs["password"]["id"].rpartition("/")[2]})

    assert stack.refresh().check().changes == {"same": RESOURCES - 5, "update": 2, "delete": 3}
    assert stack.up().check().changes == {"same": RESOURCES - 5, "update": 2, "create": 3}
    assert directory.ask("GET", path)["web"]["redirectUris"] == ["http://localhost:8080/callback"]
    assert directory.ask("GET", principal)["appRoleAssignmentRequired"] is True
    assert len(directory.ask("GET", f"{principal}/appRoleAssignedTo")["value"]) == 2
    assert stack.up().check().changes == {"same": RESOURCES}


def test_updates_keep_what_belongs_to_others_and_a_new_password_comes_before_the_old_one_goes(
    stack_of: Callable[..., LocalStack], name: str, directory: Directory, azure: LocalAzure
) -> None:
    """Prevents an update that erases the pre-authorized client, and a moment without any valid secret."""
    stack = stack_of(PROGRAM, {"name": name})
    stack.up().check()
    before = stack.outputs()
    configure(stack, {"name": name, "description": "New", "roles": "Other words.", "subject": "repo:other"})
    assert stack.up().check().changes == {"same": RESOURCES - 2, "update": 2}
    (application,) = directory.applications(name)
    assert application["description"] == "New"
    assert {role["description"]: role["isEnabled"] for role in application["appRoles"]} == {"Other words.": True}
    assert len(application["api"]["preAuthorizedApplications"]) == 1
    assert application["identifierUris"] != []

    number = last(azure)
    settings = {"name": name, "description": "New", "roles": "Other words.", "subject": "repo:other", "day": "2"}
    configure(stack, settings)
    assert stack.up().check().changes == {"same": RESOURCES - 1, "replace": 1}
    actions = [write["path"].rpartition("/")[2] for write in azure.writes(number)]
    assert actions == ["addPassword", "removePassword"]
    assert stack.outputs()["password"]["value"] != before["password"]["value"]
    assert stack.outputs()["application"] == before["application"]


def test_what_is_there_is_imported_by_its_id_or_refused(
    stack_of: Callable[..., LocalStack], name: str, directory: Directory
) -> None:
    """Prevents that two stacks write over each other's application, and that there is no way to take one over."""
    first = stack_of(SMALL_PROGRAM, {"name": name})
    first.up().check()
    second = stack_of(SMALL_PROGRAM, {"name": name})
    refused = second.up()
    assert f'An existing "azuread_application" with name "{name}"' in refused.output
    assert len(directory.applications(name)) == 1

    path = f"/applications/{directory.applications(name)[0]['id']}"
    configure(second, {"name": name, "import": path})
    assert second.up().check().changes["import"] == 1
    configure(second, {"name": name})
    assert second.up().check().changes == {"same": 2}
    second.destroy().check()
    assert directory.applications(name) == []


@pytest.mark.parametrize(
    ("identity", "settings", "message"),
    [
        (
            "nobody",
            {},
            "Could not create application: unexpected status 403 (403 Forbidden) with error: "
            "Authorization_RequestDenied: Insufficient privileges to complete the operation.",
        ),
        (
            "deployer",
            {"redirect": "https://ui.example"},
            "has a problem: URI must have a trailing slash when there is no path segment for",
        ),
    ],
)
def test_refusals_reach_the_person_without_a_traceback(
    stack_of: Callable[..., LocalStack],
    name: str,
    directory: Directory,
    identity: str,
    settings: dict[str, Any],
    message: str,
) -> None:
    """Prevents that a refusal is hidden in a traceback, or has other words than with the official plugin."""
    stack = stack_of(SMALL_PROGRAM, {"name": name, **settings})
    failed = stack.up(identity=identity)
    assert failed.exit_status
    assert message in failed.output
    assert "Traceback" not in failed.output
    assert 'File "' not in failed.output
    assert directory.applications(name) == []
    configure(stack, {"name": name})
    stack.up(identity="deployer").check()


def test_a_directory_that_shows_writes_late_is_waited_for(
    stack_of: Callable[..., LocalStack], name: str, azure: LocalAzure
) -> None:
    """Prevents a stack that comes up only where every read sees the last write."""
    azure.dials(graphConsistencySeconds=0.8)
    stack = stack_of(PROGRAM, {"name": name})
    assert stack.up().check().changes == {"create": RESOURCES}
    assert stack.up().check().changes == {"same": RESOURCES}
    configure(stack, {"name": name, "roles": "Other words.", "day": "2"})
    assert stack.up().check().changes == {"same": RESOURCES - 2, "update": 1, "replace": 1}
    assert stack.refresh().check().changes == {"same": RESOURCES}
    stack.destroy().check()


def test_a_provider_is_configured_by_the_program_as_by_the_environment(
    stack_of: Callable[..., LocalStack], azure: LocalAzure
) -> None:
    """Prevents that sign-on in another tenant, or as somebody else, works with the official plugin only."""
    other = azure.identities["deployer2"]
    settings = {
        "metadata_host": azure.metadata_host,
        "tenant_id": other["tenantId"],
        "client_id": other["clientId"],
        "client_secret": other["clientSecret"],
    }
    stack = stack_of(CALLER_PROGRAM, {"provider": settings})
    stack.up().check()
    assert stack.outputs() == {"objectId": other["objectId"]}
    configure(stack, {})
    stack.up().check()
    assert stack.outputs() == {"objectId": azure.identities["deployer"]["objectId"]}


def test_a_stand_in_that_is_pointed_at_azure_sends_nothing(
    stack_of: Callable[..., LocalStack], azure: LocalAzure, pulumi_home: Path
) -> None:
    """Prevents that a stand-in, left in a PULUMI_HOME, works on Microsoft's directory."""
    before = last(azure)
    failed = stack_of(CALLER_PROGRAM, {}, ARM_METADATA_HOSTNAME="management.azure.com").up()
    assert failed.exit_status
    assert "A stand-in plugin speaks to the local Azure only" in failed.output
    assert azure.requests(before) == []
    assert (pulumi_home / "plugins" / f"resource-azuread-v{version_of('azuread')}" / "repository").exists()
