"""People sign in to the real UI with Entra ID, and see and do there what their roles allow, and nothing else.

What somebody does is looked for on the server, by a node that needs no token, and not on the page alone.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser import Visitor, running_chromium
from tests.e2e.ports import free_ports
from tests.e2e.sign_on import ADA, BOB, EVE, GRACE, OTHER_NAMESPACE, SignedOn, signed_on
from tests.e2e.temporal import CLI_ENV, UI_ENV, Cluster, UserInterface, cli_program
from tools.processes import wait_until

pytestmark = pytest.mark.e2e

REFUSED = "Request unauthorized."
WORKFLOWS = {"order-1040": "FulfilOrder", "order-1041": "FulfilOrder", "invoice-2026-07": "SendInvoice"}
"""What is there before anybody signs in: types by ids."""

NAMESPACES, IN_DEFAULT, IN_OTHER = (
    f"/api/v1/namespaces{rest}" for rest in ("", "/default/workflows", f"/{OTHER_NAMESPACE}/workflows")
)

LIFETIME_SECONDS = 10
"""How long tokens live where they are to end."""

OtherUi = Callable[..., UserInterface]


@pytest.fixture(scope="module")
def spare_port() -> int:
    """Where a UI listens that is configured otherwise; Entra ID sends people there too."""
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path, spare_port: int) -> Iterator[SignedOn]:
    folder = tmp_path_factory.mktemp("sign-on")
    with signed_on(folder, pulumi_home, redirectUris=[callback(url_of(spare_port))]) as site:
        yield site


@pytest.fixture(scope="module")
def cluster(site: SignedOn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(site.deployed, tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.administrate("operator", "namespace", "create", "--namespace", OTHER_NAMESPACE).check_returncode()
        for workflow_id, workflow_type in WORKFLOWS.items():
            start(cluster, workflow_id, workflow_type)
        cluster.administrate("workflow", "terminate", "--workflow-id", "order-1040").check_returncode()
        yield cluster


@pytest.fixture(scope="module")
def ui(site: SignedOn, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UserInterface]:
    port = site.ui_url.rpartition(":")[2]
    with UserInterface(site.deployed, tmp_path_factory.mktemp("ui"), TEMPORAL_UI_PORT=port) as interface:
        yield interface


@pytest.fixture(scope="module")
def browser(site: SignedOn) -> Iterator[Browser]:
    with running_chromium(site.azure) as browser:
        yield browser


@pytest.fixture
def visitor(site: SignedOn, ui: UserInterface, browser: Browser) -> Iterator[Visitor]:
    """Somebody whom nobody knows yet."""
    with Visitor(browser, site.ui_url) as visitor:
        yield visitor


@pytest.fixture
def other_ui(site: SignedOn, cluster: Cluster, spare_port: int, tmp_path: Path) -> OtherUi:
    """Starts the UI with some variables changed, where visitors of `spare_port` find it."""

    def start_ui(**changes: str) -> UserInterface:
        url = url_of(spare_port)
        own = {"TEMPORAL_UI_PORT": str(spare_port), "TEMPORAL_CORS_ORIGINS": url}
        return UserInterface(site.deployed, tmp_path, **own | {"TEMPORAL_AUTH_CALLBACK_URL": callback(url)} | changes)

    return start_ui


def url_of(port: int) -> str:
    return f"http://localhost:{port}"


def callback(url: str) -> str:
    return f"{url}/auth/sso/callback"


def start(cluster: Cluster, workflow_id: str, workflow_type: str = "Waiting") -> None:
    """Start a workflow that nobody works on, and wait until it is listed."""
    cluster.administrate(
        *("workflow", "start", "--workflow-id", workflow_id, "--type", workflow_type, "--task-queue", "nobody")
    ).check_returncode()
    query = f"WorkflowId = '{workflow_id}'"
    wait_until(
        lambda: json.loads(cluster.administrate("workflow", "list", "--query", query, "--output", "json").stdout),
        f"{workflow_id} is listed",
    )


def history(cluster: Cluster, workflow_id: str) -> list[dict[str, Any]]:
    """The events of a workflow, on the server. Empty if there is no such workflow."""
    shown = cluster.administrate("workflow", "show", "--workflow-id", workflow_id, "--output", "json")
    if "not found" in shown.stderr:
        return []
    shown.check_returncode()
    return list(json.loads(shown.stdout)["events"])


def last_event(cluster: Cluster, workflow_id: str) -> dict[str, Any]:
    return history(cluster, workflow_id)[-1]


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def signs_in(visitor: Visitor, site: SignedOn, person: str) -> None:
    visitor.signs_in(person, site.password_of(person))


def test_who_may_write_starts_signals_and_terminates(visitor: Visitor, site: SignedOn, cluster: Cluster) -> None:
    """The whole way of a person: the first page, Entra ID's, the lists, and what their role is for."""
    visitor.opens()
    visitor.sees_sign_in()
    visitor.picture("01-sign-in")
    visitor.goes_to_entra()
    visitor.sees("Sign in", "Password")
    visitor.picture("02-entra-sign-in")
    visitor.gives(ADA, site.password_of(ADA))

    visitor.sees_workflows(*WORKFLOWS)
    visitor.picture("03-workflows")
    visitor.page.get_by_role("link", name="Namespaces").click()
    for namespace in ("default", OTHER_NAMESPACE):
        expect(visitor.page.get_by_role("main").get_by_role("link", name=namespace, exact=True)).to_be_visible()
    visitor.picture("04-namespaces")

    visitor.opens("/namespaces/default/workflows")
    visitor.starts("started-by-ada")
    to_the_workflow = visitor.page.get_by_role("link", name="Workflow started successfully")
    to_the_workflow.click(trial=True)  # once it no longer moves
    visitor.picture("05-started")
    assert history(cluster, "started-by-ada")

    to_the_workflow.click()
    expect(visitor.signals("hurry")).to_be_hidden()
    visitor.sees("Workflow signaled.")
    signalled = last_event(cluster, "started-by-ada")
    assert signalled["workflowExecutionSignaledEventAttributes"]["signalName"] == "hurry"
    visitor.picture("06-signalled")

    expect(visitor.terminates()).to_be_hidden()
    visitor.sees("Terminated")
    visitor.picture("07-terminated")
    terminated = last_event(cluster, "started-by-ada")
    assert terminated["workflowExecutionTerminatedEventAttributes"]["identity"] == ADA


def test_who_may_only_read_is_refused_everything_else(visitor: Visitor, site: SignedOn, cluster: Cluster) -> None:
    """A reader, by way of a group, who ends a workflow. The buttons are there; it is the server that refuses."""
    start(cluster, "of-interest-to-bob")
    before = history(cluster, "of-interest-to-bob")

    signs_in(visitor, site, BOB)
    visitor.sees_workflows("of-interest-to-bob")
    visitor.starts("started-by-bob")
    visitor.sees(REFUSED)
    visitor.picture("08-reader-may-not-start")

    visitor.opens("/namespaces/default/workflows")
    visitor.page.get_by_role("link", name="of-interest-to-bob", exact=True).click()
    dialog = visitor.signals("hurry")
    expect(dialog).to_contain_text(REFUSED)
    visitor.picture("09-reader-may-not-signal")
    visitor.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(visitor.terminates()).to_contain_text(REFUSED)
    visitor.picture("10-reader-may-not-terminate")

    assert history(cluster, "of-interest-to-bob") == before
    assert history(cluster, "started-by-bob") == []


def test_without_a_role_for_the_system_the_ui_lets_nobody_in(visitor: Visitor, site: SignedOn) -> None:
    """Somebody gets a role for a namespace, and the UI asks them to sign in for ever: docs/sign-on.md says why.

    It wants the list of namespaces for every page. Their tokens are good all the same, for the CLI and for workers.
    """
    signs_in(visitor, site, GRACE)
    visitor.sees_sign_in()
    visitor.picture("11-no-role-for-the-system")
    visitor.opens(f"/namespaces/{OTHER_NAMESPACE}/workflows")
    visitor.sees_sign_in()

    answers = {path: visitor.asks(path) for path in (NAMESPACES, IN_DEFAULT, IN_OTHER)}
    assert answers == {NAMESPACES: 403, IN_DEFAULT: 403, IN_OTHER: 200}


@pytest.fixture
def short_lived_tokens(site: SignedOn) -> Iterator[None]:
    usual = site.azure.dials()["tokenLifetimeSeconds"]
    site.azure.dials(tokenLifetimeSeconds=LIFETIME_SECONDS)
    yield
    site.azure.dials(tokenLifetimeSeconds=usual)


def wait_for_the_end(token: str) -> None:
    ends = claims(token)["exp"]
    wait_until(lambda: time.time() > ends, "the token has ended")


@pytest.mark.usefixtures("short_lived_tokens")
def test_a_session_outlives_its_tokens(visitor: Visitor, site: SignedOn, ui: UserInterface) -> None:
    """People are thrown out after an hour, in the middle of what they do."""
    logged_before = ui.log.stat().st_size
    signs_in(visitor, site, ADA)
    visitor.sees_workflows()
    first = visitor.tokens
    wait_for_the_end(first["accessToken"])

    visitor.page.reload()
    visitor.sees_workflows(*WORKFLOWS)
    visitor.picture("12-refreshed")
    assert visitor.tokens.keys() == first.keys()
    for name, token in visitor.tokens.items():
        assert claims(token)["exp"] > claims(first[name])["exp"]
    assert b"token_refresh_complete" in ui.log.read_bytes()[logged_before:]


@pytest.mark.usefixtures("short_lived_tokens")
def test_a_scope_by_the_applications_uri_ends_the_session_with_its_token(
    browser: Browser, site: SignedOn, other_ui: OtherUi, spare_port: int
) -> None:
    """The form of the scope that is found in many guides: why the other one is what this program writes."""
    scopes = site.deployed.variables(UI_ENV)["TEMPORAL_AUTH_SCOPES"]
    assert scopes.endswith(f",{site.client_id}/default")
    by_uri = scopes.replace(site.client_id, f"api://{site.client_id}")

    with other_ui(TEMPORAL_AUTH_SCOPES=by_uri) as ui, Visitor(browser, url_of(spare_port)) as visitor:
        signs_in(visitor, site, ADA)
        visitor.sees_workflows(*WORKFLOWS)
        wait_for_the_end(visitor.tokens["accessToken"])

        visitor.page.reload()
        visitor.sees_sign_in()
        visitor.picture("13-refresh-refused")
        assert "AADSTS90009" in ui.log.read_text()
        assert visitor.asks(NAMESPACES) == 401


def test_who_signs_out_is_out(visitor: Visitor, site: SignedOn) -> None:
    """The next person at that computer goes on as the one before.

    Of the UI, that is: it does not end the session with Entra ID, where the next sign-in asks for no password.
    """
    signs_in(visitor, site, ADA)
    visitor.sees_workflows()
    assert visitor.asks(NAMESPACES) == 200
    assert visitor.session_cookies == {"refresh"}

    visitor.signs_out()
    visitor.sees_sign_in()
    visitor.picture("14-signed-out")
    assert visitor.session_cookies == set()
    assert visitor.tokens == {}
    assert [visitor.asks(path) for path in (NAMESPACES, "/auth/refresh")] == [401, 401]

    visitor.goes_to_entra()
    visitor.sees_workflows()


def test_who_is_not_assigned_never_gets_in(visitor: Visitor, site: SignedOn) -> None:
    """Everybody in the tenant could sign in to the UI, and the roles alone would stand between them and Temporal."""
    signs_in(visitor, site, EVE)
    visitor.sees("AADSTS50105")
    visitor.picture("15-not-assigned")
    assert visitor.session_cookies == set()
    assert visitor.tokens == {}

    visitor.opens("/namespaces/default/workflows")
    visitor.sees_sign_in()
    assert visitor.asks(NAMESPACES) == 401


def test_a_callback_that_is_not_registered_is_refused(browser: Browser, other_ui: OtherUi, spare_port: int) -> None:
    """A code that is sent wherever a request says is anybody's."""
    unregistered = f"{url_of(spare_port)}/auth/sso_callback"
    with (
        other_ui(TEMPORAL_AUTH_CALLBACK_URL=unregistered),
        Visitor(browser, url_of(spare_port)) as visitor,
    ):
        visitor.goes_to_entra()
        visitor.sees("AADSTS50011", unregistered)
        visitor.picture("16-wrong-callback")
        assert visitor.session_cookies == set()


def test_a_wrong_client_secret_gives_no_session(
    browser: Browser, site: SignedOn, other_ui: OtherUi, spare_port: int
) -> None:
    """After a rotation the UI still has the old secret: people are to read so, and nobody is to be half signed in."""
    with (
        other_ui(TEMPORAL_AUTH_CLIENT_SECRET="outdated"),
        Visitor(browser, url_of(spare_port)) as visitor,
    ):
        signs_in(visitor, site, ADA)
        visitor.sees("AADSTS7000215")
        visitor.picture("17-wrong-secret")
        assert visitor.session_cookies == set()
        visitor.opens()
        visitor.sees_sign_in()


def test_signing_keys_are_rolled_over_under_a_session(
    visitor: Visitor, browser: Browser, site: SignedOn, ui: UserInterface
) -> None:
    """Entra ID changes its keys without notice: who is in stays in, and others still get in."""
    signs_in(visitor, site, ADA)
    visitor.sees_workflows()
    site.azure.roll_over_keys()

    visitor.page.reload()
    visitor.sees_workflows(*WORKFLOWS)
    with Visitor(browser, site.ui_url) as newcomer:
        signs_in(newcomer, site, BOB)
        newcomer.sees_workflows(*WORKFLOWS)
        newcomer.picture("18-after-the-rollover")
        keys = [jwt.get_unverified_header(each.tokens["accessToken"])["kid"] for each in (visitor, newcomer)]
    assert keys[0] != keys[1]


def test_an_id_token_of_the_ui_is_as_good_as_its_access_token(
    visitor: Visitor, browser: Browser, site: SignedOn, cluster: Cluster
) -> None:
    """The UI is the application that tokens are for, so that both are for the same audience and have the same roles:
    docs/sign-on.md says so. It is the roles that a token is good for.
    """
    signs_in(visitor, site, ADA)
    visitor.sees_workflows()
    with Visitor(browser, site.ui_url) as reader:
        signs_in(reader, site, BOB)
        reader.sees_workflows()
        of_bob = reader.tokens["idToken"]

    assert claims(visitor.tokens["idToken"])["aud"] == site.client_id
    assert start_with(cluster, visitor.tokens["idToken"], "by-id-token") == ""
    assert history(cluster, "by-id-token")
    assert REFUSED in start_with(cluster, of_bob, "by-id-token-of-bob")
    assert history(cluster, "by-id-token-of-bob") == []


def start_with(cluster: Cluster, token: str, workflow_id: str) -> str:
    """Start a workflow with the CLI and a token of one's own; why it would not."""
    arguments = ("--workflow-id", workflow_id, "--type", "Waiting", "--task-queue", "nobody")
    command = (cli_program(), "workflow", "start", *arguments)
    return cluster.deployed.run(CLI_ENV, *command, TEMPORAL_API_KEY=token).stderr


@contextmanager
def nobody_has_consented(site: SignedOn) -> Iterator[None]:
    """The stack with `signOn.adminConsent: false`, then as it was."""
    name = "temporal-azure:signOn"
    usual = site.program.settings[name]
    site.program.set(signOn=usual | {"adminConsent": False})
    site.program.provision()
    try:
        yield
    finally:
        site.program.set(signOn=usual)
        site.program.provision()


def test_without_an_admins_consent_nobody_gets_in(visitor: Visitor, site: SignedOn) -> None:
    """Where assignment is required nobody can consent for themselves: an admin has to do it by hand, then."""
    with nobody_has_consented(site):
        signs_in(visitor, site, ADA)
        visitor.sees("Need admin approval", "AADSTS90094")
        visitor.picture("19-consent-is-missing")
        assert visitor.session_cookies == set()
