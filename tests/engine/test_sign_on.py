"""Sign-on's life in Entra ID: what `up` makes there, what it leaves alone, what it mends, and what is left of it.

Two states of the directory are compared object by object, read from under Microsoft Graph.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential

from localazure.client import LocalAzure
from tests.engine.directory_picture import Picture, directory_picture
from tests.engine.stacks import Hand, ProgramStack, Watch, dialled

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("sign-on")]

ADA, GRACE = "ada@contoso.example", "grace@partner.example"
UI = "https://temporal.example.com"
POSTMAN = "https://oauth.pstmn.io/v1/callback"
ROLES: dict[str, Any] = {
    "temporal-system:read": [{"group": "Temporal Readers"}, {"user": ADA}],
    "default:read": [{"user": GRACE}],
    "default:write": [{"user": ADA}, {"servicePrincipal": "reader-worker"}],
    "default:admin": None,
}
SIGN_ON: dict[str, Any] = {
    "displayName": "Orders",
    "uiUrl": UI,
    "redirectUris": [POSTMAN],
    "roles": ROLES,
    "workers": {
        "orders": {"roles": ["default:write", "default:read"]},
        "billing": {"federatedCredentials": [{"issuer": "https://issuer.example", "subject": "system:billing"}]},
        "hosted": {"managedIdentity": "reader-cli"},
    },
}
WORKERS: dict[str, Any] = {"orders": {}, "billing": {}, "hosted": {}}


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    """One for this module alone: the whole directory is compared."""
    state = tmp_path_factory.mktemp("azure")
    with LocalAzure.start(state, rbacPropagationSeconds=0, certificatePendingPolls=0) as running:
        yield running


def provisioned(stack: ProgramStack, **sign_on: Any) -> ProgramStack:
    stack.set(authorization=None, certificates=WORKERS, signOn=SIGN_ON | sign_on)
    stack.run("up").check()
    return stack


@pytest.fixture(scope="module")
def stack(azure: LocalAzure, pulumi_home: Any, tmp_path_factory: pytest.TempPathFactory) -> ProgramStack:
    made = ProgramStack(tmp_path_factory.mktemp("stack"), azure=azure, pulumi_home=pulumi_home, name="signed")
    made.today = datetime(2026, 11, 25, 12, tzinfo=UTC)
    return provisioned(made)


@pytest.fixture(scope="module")
def hand(azure: LocalAzure) -> Iterator[Hand]:
    with ExitStack() as closing:
        yield Hand(azure, closing)


@pytest.fixture
def settled(stack: ProgramStack, azure: LocalAzure) -> Picture:
    """The stack as it should be, whatever the test before did; what the directory holds then."""
    provisioned(stack)
    return directory_picture(azure)


@contextmanager
def graph_of(azure: LocalAzure, identity: str = "deployer") -> Iterator[httpx.Client]:
    """Microsoft Graph, used by hand."""
    who = azure.identities[identity]
    metadata = httpx.get(
        f"{azure.origin}/metadata/endpoints?api-version=2022-09-01", verify=azure.tls_context(), trust_env=False
    )
    address = metadata.json()["microsoftGraphResourceId"].rstrip("/")
    with ClientSecretCredential(
        who["tenantId"],
        who["clientId"],
        who["clientSecret"],
        authority=azure.origin,
        disable_instance_discovery=True,
        connection_verify=str(azure.ca_file),
    ) as credential:
        token = credential.get_token(f"{address}/.default").token
    with httpx.Client(
        base_url=f"{address}/v1.0/",
        headers={"Authorization": f"Bearer {token}"},
        verify=azure.tls_context(),
        trust_env=False,
        event_hooks={"response": [httpx.Response.raise_for_status]},
    ) as client:
        yield client


def test_up_registers_what_the_settings_say_and_nothing_else(settled: Picture) -> None:
    """Somebody has a role whom nobody named, or another tenant can sign in."""
    assert {name for name in settled if " has " in name or " may " in name} == {
        "Temporal Readers has <temporal-system:read> at Orders",
        "Ada Lovelace has <temporal-system:read> at Orders",
        "Grace Guest has <default:read> at Orders",
        "Ada Lovelace has <default:write> at Orders",
        "reader-worker has <default:write> at Orders",
        "Orders orders has <default:write> at Orders",
        "Orders orders has <default:read> at Orders",
        "Orders billing has <default:write> at Orders",
        "reader-cli has <default:write> at Orders",
        "<Orders> may for AllPrincipals at <Microsoft Graph>",
        "<Orders> may for AllPrincipals at <Orders>",
    }
    assert settled["<Orders> may for AllPrincipals at <Microsoft Graph>"] == {
        "scope": ["email", "offline_access", "openid", "profile"]
    }
    assert settled["<Orders> may for AllPrincipals at <Orders>"] == {"scope": ["default"]}
    application = settled["application Orders"]
    assert application["signInAudience"] == "AzureADMyOrg"
    assert application["api"]["requestedAccessTokenVersion"] == 2
    assert application["identifierUris"] == ["api://<client Orders>"]
    assert application["web"]["redirectUris"] == sorted([f"{UI}/auth/sso/callback", POSTMAN])
    assert [scope["value"] for scope in application["api"]["oauth2PermissionScopes"]] == ["default"]
    assert {role["value"] for role in application["appRoles"]} == ROLES.keys()
    assert application["api"]["preAuthorizedApplications"] == [
        {"appId": "<client Microsoft Azure CLI>", "delegatedPermissionIds": ["<scope default>"]}
    ]
    assert settled["service principal Orders"]["appRoleAssignmentRequired"] is True
    assert {name for name in settled if name.startswith("application ")} == {
        "application Orders",
        "application Orders orders",
        "application Orders billing",
    }
    assert "passwordCredentials" not in settled["application Orders billing"]
    (credential,) = settled["application Orders billing"]["_federatedIdentityCredentials"]
    assert (credential["issuer"], credential["subject"]) == ("https://issuer.example", "system:billing")


def test_second_up_changes_nothing_whoever_runs_it(stack: ProgramStack, azure: LocalAzure, settled: Picture) -> None:
    """A colleague's run takes the application over, or makes new secrets that nobody has delivered."""
    for operation, identity in (("up", "deployer2"), ("refresh", "previewer")):
        watch = Watch(azure)
        run = stack.run(operation, identity=identity).check()
        assert set(run.changes) == {"same"}, (operation, run.changes)
        assert watch.writes() == []
    assert directory_picture(azure) == settled


def test_preview_before_the_first_up_writes_nothing_and_announces_the_same(
    azure: LocalAzure, pulumi_home: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A pull request's preview needs an administrator, or leaves an application behind."""
    stack = ProgramStack(tmp_path_factory.mktemp("stack"), azure=azure, pulumi_home=pulumi_home, name="previewed")
    stack.set(authorization=None, certificates=WORKERS, signOn=SIGN_ON | {"displayName": "Previewed"})
    watch, before = Watch(azure), directory_picture(azure)

    preview = stack.run("preview", identity="previewer").check()
    assert watch.writes() == []
    assert directory_picture(azure) == before

    up = stack.run("up").check()
    assert up.changes == preview.changes
    stack.run("destroy").check()
    assert directory_picture(azure) == before


def drifts(graph: httpx.Client, application: str, principal: str) -> dict[str, Callable[[], object]]:
    """What somebody does by hand, by the name of the resource that it is seen at."""

    def assignment() -> Mapping[str, Any]:
        found = graph.get(f"servicePrincipals/{principal}/appRoleAssignedTo").json()["value"]
        return next(each for each in found if each["principalDisplayName"] == "Grace Guest")

    return {
        "sign-on": lambda: (
            graph.patch(f"applications/{application}", json={"web": {"redirectUris": ["https://evil.example/cb"]}}),
            graph.patch(f"servicePrincipals/{principal}", json={"appRoleAssignmentRequired": False}),
        ),
        "default-read": lambda: graph.delete(f"servicePrincipals/{principal}/appRoleAssignedTo/{assignment()['id']}"),
    }


def test_refresh_shows_what_was_changed_by_hand_and_up_mends_it(
    stack: ProgramStack, azure: LocalAzure, settled: Picture
) -> None:
    """A redirect to somebody else's server stays, because nobody looks; so does an application open to everybody."""
    facts = stack.outputs()["signOn"]
    with graph_of(azure) as graph:
        found = graph.get("applications", params={"$filter": f"appId eq '{facts['clientId']}'"}).json()["value"]
        for change in drifts(graph, found[0]["id"], facts["objectId"]).values():
            change()
    assert directory_picture(azure) != settled

    refresh = stack.run("refresh").check()
    assert refresh.others("update") >= {"sign-on"}
    assert any(name.startswith("default-read-") for name in refresh.others("delete"))
    assert refresh.changes["update"] == 2, "the application and its service principal"

    mended = stack.run("up").check()
    assert (mended.changes["create"], mended.changes["update"]) == (1, 2)
    assert directory_picture(azure) == settled


def changed_roles(**changes: Any) -> dict[str, Any]:
    return {role: who for role, who in (ROLES | changes).items() if who != "gone"}


CHANGES: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {
    "an assignment is removed": (
        {"roles": ROLES | {"default:read": []}},
        {("delete", "default-read-")},
    ),
    "an assignment is added": (
        {"roles": ROLES | {"default:admin": [{"user": ADA}]}},
        {("create", "default-admin-")},
    ),
    "a role is renamed": (
        {
            "roles": {role: who for role, who in ROLES.items() if role != "default:read"}
            | {"payments:read": ROLES["default:read"]},
            "workers": SIGN_ON["workers"] | {"orders": {}},
        },
        {
            ("update", "sign-on"),
            ("delete", "default-read-"),
            ("create", "payments-read-"),
            ("delete", "orders.default-read"),
        },
    ),
    "the UI moves": ({"uiUrl": "https://ui.example.com"}, {("update", "sign-on")}),
    "the Azure CLI is shut out": ({"azureCli": False}, {("delete", "azure-cli")}),
    "consent is withdrawn": ({"adminConsent": False}, {("delete", "own-scope"), ("delete", "sign-in")}),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_previews_as_exactly_that_and_is_taken_back(
    stack: ProgramStack, azure: LocalAzure, settled: Picture, case: str
) -> None:
    """A reviewer reads of one change, and another is made with it: a secret replaced, an application made anew."""
    sign_on, expected = CHANGES[case]
    stack.set(signOn=SIGN_ON | sign_on, namespaces=["default", "payments"])

    preview = stack.run("preview", identity="previewer").check()
    steps = {(op, urn.rpartition("::")[2]) for op, urn in preview.steps if op not in ("same", "read")}
    steps -= {("update", "temporal-azure-signed")}
    assert len(steps) == len(expected), steps
    assert all(any(op == wanted and name.startswith(start) for op, name in steps) for wanted, start in expected), steps

    up = stack.run("up").check()
    assert {(op, urn) for op, urn in up.steps if op != "same"} == {
        (op, urn) for op, urn in preview.steps if op != "same"
    }
    assert directory_picture(azure) != settled
    provisioned(stack)
    assert directory_picture(azure) == settled


def test_somebody_who_does_not_exist_is_named_before_anything_is_written(
    stack: ProgramStack, azure: LocalAzure, settled: Picture
) -> None:
    """Half of the people get their roles, and the run fails at the one whose name was misspelt."""
    roles = ROLES | {"default:admin": [{"user": "adda@contoso.example"}, {"group": "Temporal Operator"}]}
    stack.set(signOn=SIGN_ON | {"roles": roles, "uiUrl": "https://elsewhere.example"})
    watch = Watch(azure)

    refused = stack.run("up").refused()

    assert watch.writes() == []
    assert "2 principals were not found in Entra ID" in refused.shown
    for name in ("adda@contoso.example", "Temporal Operator"):
        (line,) = [line for line in refused.shown.splitlines() if repr(name) in line]
        assert "signOn.roles.default:admin" in line
        assert "az ad " in line
    assert directory_picture(azure) == settled


PERMISSIONS = {
    "Application.ReadWrite.OwnedBy": "signOn",
    "Directory.Read.All": "signOn.roles",
    "AppRoleAssignment.ReadWrite.All": "signOn.roles",
    "DelegatedPermissionGrant.ReadWrite.All": "signOn.adminConsent",
}


@pytest.mark.parametrize("missing", PERMISSIONS)
def test_a_missing_permission_is_named_before_anything_is_written(
    stack: ProgramStack, azure: LocalAzure, hand: Hand, settled: Picture, missing: str
) -> None:
    """Graph says "Insufficient privileges to complete the operation.", and nobody knows which, halfway through."""
    name = f"without-{missing.lower().replace('.', '-')}"
    azure.create_identity(name, graph_roles=tuple(set(PERMISSIONS) - {missing}))
    hand.assign(name, "Contributor", f"/subscriptions/{azure.subscription_id}")
    stack.set(signOn=SIGN_ON | {"uiUrl": "https://elsewhere.example"})
    watch = Watch(azure)

    refused = stack.run("up", identity=name).refused()

    assert watch.writes() == []
    assert f"- {missing}" in refused.shown
    assert PERMISSIONS[missing] in refused.shown
    others = set(PERMISSIONS) - {missing}
    assert not any(f"- {other}" in refused.shown for other in others)
    assert directory_picture(azure) == settled


def accepts(azure: LocalAzure, client_id: str, secret: str, when: datetime | None = None) -> bool:
    """Whether Entra ID takes a client secret."""
    try:
        with ClientSecretCredential(
            azure.tenant_id,
            client_id,
            secret,
            authority=azure.origin,
            disable_instance_discovery=True,
            connection_verify=str(azure.ca_file),
        ) as credential:
            credential.get_token(f"{client_id}/.default")
    except ClientAuthenticationError as error:
        # With a good secret the application is known; what it lacks then is a role at itself.
        return "AADSTS501051" in str(error)
    return True


def ui_secret(stack: ProgramStack) -> str:
    return str(stack.outputs()["uiEnv"]["TEMPORAL_AUTH_CLIENT_SECRET"])


def test_a_client_secret_is_replaced_in_time_and_its_predecessor_stays_valid(
    stack: ProgramStack, azure: LocalAzure, hand: Hand, settled: Picture
) -> None:
    """The secret ends at two in the morning; or it is replaced, and a UI that has the old one is out at once."""
    first_day = stack.today
    assert first_day is not None
    client_id, uri = stack.outputs()["signOn"]["clientId"], stack.vault("leaves")["uri"]
    secrets = [ui_secret(stack)]
    kept = hand.secrets(uri).get_secret("ui-client-secret")
    assert kept.value == secrets[0]
    assert kept.properties.expires_on is not None
    assert kept.properties.expires_on - first_day >= timedelta(days=90)
    try:
        for turn in (1, 2):
            stack.today = first_day + timedelta(days=90 * turn)
            preview = stack.run("preview").check()
            replaced = {name for name in preview.others("replace") if "client-secret" in name}
            assert {name.rpartition("-")[0] for name in replaced} == {"ui-client-secret", "orders-client-secret"}
            stack.run("up").check()
            secrets.append(ui_secret(stack))
            assert hand.secrets(uri).get_secret("ui-client-secret").value == secrets[-1]
            assert [accepts(azure, client_id, secret) for secret in secrets] == [
                turn - number < 2 for number in range(turn + 1)
            ]
        assert len(set(secrets)) == 3

        stack.set(signOn=SIGN_ON | {"clientSecret": {"rotation": 1}})
        stack.run("up").check()
        secrets.append(ui_secret(stack))
        assert [accepts(azure, client_id, secret) for secret in secrets] == [False, False, False, True]
    finally:
        stack.today = first_day
        provisioned(stack)


def test_no_client_secret_is_anywhere_in_the_clear(stack: ProgramStack, azure: LocalAzure, settled: Picture) -> None:
    """Whoever reads the state, a preview or a pipeline's log can sign in as the UI."""
    stack.set(signOn=SIGN_ON | {"clientSecret": {"rotation": 7}})
    said = {
        " ".join(arguments): stack.start(*arguments).wait().check().output
        for arguments in (("preview", "--diff"), ("up", "--yes", "--diff"), ("refresh", "--yes", "--diff"))
    }
    outputs = stack.outputs()
    secrets = [ui_secret(stack), outputs["workerEnvs"]["orders"]["AZURE_CLIENT_SECRET"]]
    said["state"] = json.dumps(stack.export())
    for file in (path for path in stack.root.rglob("*") if path.is_file() and path.name != "passphrase"):
        said[str(file.relative_to(stack.root))] = file.read_bytes().decode("latin-1")

    assert all(len(secret) > 20 for secret in secrets)
    assert [name for name, text in said.items() if any(secret in text for secret in secrets)] == []
    assert any(secret in json.dumps(stack.export(show_secrets=True)) for secret in secrets)
    shown = stack._pulumi("stack", "output", "--stack", stack.name, "--json")
    assert not any(secret in shown for secret in secrets)
    hidden = {name: value for name, value in json.loads(shown)["uiEnv"].items() if value == "[secret]"}
    assert set(hidden) == {"TEMPORAL_AUTH_CLIENT_SECRET"}


def test_graph_that_lags_behind_is_waited_for(
    azure: LocalAzure, pulumi_home: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Entra ID answers from a copy that has not heard of the application yet, and the run fails now and then."""
    stack = ProgramStack(tmp_path_factory.mktemp("stack"), azure=azure, pulumi_home=pulumi_home, name="lagging")
    before = directory_picture(azure)
    with dialled(azure, graphConsistencySeconds=2):
        stack.set(authorization=None, signOn={"displayName": "Lagging", "roles": {"default:write": [{"user": ADA}]}})
        stack.run("up").check()
        assert set(stack.run("up").check().changes) == {"same"}
        assert len(directory_picture(azure)) > len(before)
        stack.run("destroy").check()
    assert directory_picture(azure) == before


def test_without_sign_on_nothing_is_asked_of_the_directory(
    azure: LocalAzure, pulumi_home: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whoever has no directory to speak of could not use mutual TLS alone."""
    stack = ProgramStack(tmp_path_factory.mktemp("stack"), azure=azure, pulumi_home=pulumi_home, name="alone")
    watch = Watch(azure)

    stack.run("up").check()
    assert watch.requests("graph") == []

    stack.set(authorization=None, signOn={"displayName": "Alone"})
    stack.run("up").check()
    stack.set(authorization="none", signOn=None)
    run = stack.run("up").check()
    assert re.search("every client certificate", run.shown) is None
    assert "application Alone" not in directory_picture(azure)
    stack.run("destroy").check()
