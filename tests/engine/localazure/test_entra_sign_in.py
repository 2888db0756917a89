"""The authorize endpoint, as a browser without scripts sees it: sign-in, sessions, consent, and what is refused."""

import re
from collections.abc import Callable

import httpx
import pytest

from localazure.client import LocalAzure
from tests.engine.localazure.browser import Browser
from tests.engine.localazure.entra import Entra, codes
from tests.engine.localazure.registrations import OPENID, REDIRECT_URI, Registered, Registrations
from tests.engine.localazure.sdk import Sdk


@pytest.fixture
def client(registrations: Registrations) -> Registered:
    """A web client that is its own API, with an administrator's grant and no assignment required."""
    registered = registrations.application(roles=("temporal-system:read",))
    registrations.grant_sign_in(registered)
    return registered


def test_a_person_signs_in_and_the_client_gets_a_code_and_its_state(client: Registered, browser: Browser) -> None:
    """The UI compares the state with its cookie, and refuses a code that comes with another."""
    browser.authorize(client)
    assert browser.title == "Sign in"
    assert client.name in browser.page
    browser.sign_in("ada")
    assert browser.sent_to is not None
    assert browser.sent_to.startswith(f"{REDIRECT_URI}?")
    assert browser.answer["state"] == "the state"
    assert browser.answer.keys() == {"code", "state", "session_state"}


def test_a_mail_address_is_a_name_too(client: Registered, browser: Browser, azure: LocalAzure) -> None:
    """A guest's user principal name is nothing that a person would type."""
    guest = azure.identities["guest"]
    browser.authorize(client).press("sign-in", login=guest["mail"].upper(), password=guest["password"])
    assert "code" in browser.answer


@pytest.mark.parametrize(
    ("login", "password", "code"),
    [("ada@contoso.example", "wrong", 50126), ("nobody@contoso.example", "any", 50034)],
)
def test_wrong_credentials_show_the_page_again(
    client: Registered, browser: Browser, login: str, password: str, code: int
) -> None:
    """Nothing is sent to the client, and the name need not be typed again."""
    browser.authorize(client).press("sign-in", login=login, password=password)
    assert browser.sent_to is None
    assert browser.alert.startswith(f"AADSTS{code}: ")
    assert f'value="{login}"' in browser.page
    assert not browser.cookies()
    browser.sign_in("ada")
    assert "code" in browser.answer


def test_a_disabled_account_and_one_of_another_tenant_stay_outside(
    client: Registered, browser: Browser, azure: LocalAzure, registrations: Registrations
) -> None:
    """Both know their password."""
    person = registrations.person(accountEnabled=False)
    browser.authorize(client).press("sign-in", login=person["mail"], password=person["password"])
    assert browser.alert.startswith("AADSTS50057: ")
    registrations.change_person(person["objectId"], accountEnabled=True, tenantId=azure.other_tenant_id)
    browser.press("sign-in", login=person["mail"], password=person["password"])
    assert browser.alert.startswith("AADSTS50020: ")
    registrations.change_person(person["objectId"], tenantId=azure.tenant_id)
    browser.press("sign-in", login=person["mail"], password=person["password"])
    assert "code" in browser.answer


def test_who_is_signed_in_is_not_asked_again(client: Registered, browser: Browser) -> None:
    """Single sign-on: with another application, too."""
    browser.authorize(client).sign_in("ada")
    browser.authorize(client)
    assert "code" in browser.answer


def test_another_browser_is_asked(client: Registered, browser: Browser, azure: LocalAzure) -> None:
    """The negative of single sign-on."""
    browser.authorize(client).sign_in("ada")
    with Browser(azure) as other:
        assert other.authorize(client).title == "Sign in"


def test_the_session_cookie_is_the_tenants_alone(client: Registered, browser: Browser, azure: LocalAzure) -> None:
    """Cookies know no ports: without its path the Temporal UI on this host would be sent the session."""
    browser.authorize(client).sign_in("ada")
    [cookie] = browser.cookies()
    assert cookie.path == f"/{azure.tenant_id}/"
    assert cookie.secure
    assert {"HttpOnly", "SameSite"} <= set(cookie._rest)


@pytest.mark.parametrize("prompt", ["login", "select_account", "none"])
def test_a_prompt_is_heeded_by_who_is_signed_in(client: Registered, browser: Browser, prompt: str) -> None:
    """Each asks for something else of the same session."""
    browser.authorize(client).sign_in("ada")
    browser.authorize(client, prompt=prompt)
    if prompt == "login":
        assert browser.title == "Sign in"
        browser.sign_in("bob")
    elif prompt == "select_account":
        assert "ada@contoso.example" in browser.page
        browser.press("continue")
    assert "code" in browser.answer


def test_another_account_can_be_chosen(
    client: Registered, browser: Browser, entra: Entra, registrations: Registrations
) -> None:
    """People have two accounts, and the first that signed in must not be in the way of the second."""
    browser.authorize(client).sign_in("ada")
    browser.authorize(client, prompt="select_account").press("other").sign_in("bob")
    answer = entra.redeem(client, browser, client_secret=registrations.secret(client))
    claims = entra.claims(answer["id_token"], client.client_id)
    assert claims["preferred_username"] == "bob@contoso.example"


def test_no_prompt_without_a_session_is_told_to_the_client(client: Registered, browser: Browser) -> None:
    """A silent renewal must not end on a page that nobody sees."""
    browser.authorize(client, prompt="none")
    assert browser.answer["error"] == "login_required"
    assert browser.answer["error_description"].startswith("AADSTS50058: ")


def test_a_hint_fills_in_the_name_and_overrules_the_session(client: Registered, browser: Browser) -> None:
    """The application knows whom it wants."""
    browser.authorize(client).sign_in("ada")
    browser.authorize(client, login_hint="bob@contoso.example")
    assert browser.title == "Sign in"
    assert 'value="bob@contoso.example"' in browser.page
    browser.authorize(client, login_hint="ada@contoso.example")
    assert "code" in browser.answer


@pytest.mark.parametrize(
    ("registered", "asked", "matches"),
    [
        ("https://ui.example/callback", "https://ui.example/callback", True),
        ("https://ui.example/callback", "https://ui.example/callback/", False),
        ("https://ui.example/callback", "https://ui.example/Callback", False),
        ("https://ui.example/callback", "https://ui.example:8443/callback", False),
        ("https://ui.example/callback", "https://ui.example/callback?next=/", False),
        ("http://localhost/callback", "http://localhost:50123/callback", True),
        ("http://localhost:8080/callback", "http://localhost/callback", True),
        ("http://localhost/callback", "https://localhost/callback", False),
        ("http://localhost/callback", "http://localhost/other", False),
        ("http://localhost/callback", "http://localhost@evil.example/callback", False),
        ("http://127.0.0.1:8080/callback", "http://127.0.0.1:8080/callback", True),
        ("http://127.0.0.1:8080/callback", "http://127.0.0.1:8081/callback", False),
    ],
)
def test_a_redirect_uri_is_compared_exactly_but_for_localhosts_port(
    registrations: Registrations, browser: Browser, registered: str, asked: str, matches: bool
) -> None:
    """A code sent to an address that is nearly the client's is somebody else's."""
    client = registrations.application(web={"redirectUris": [registered]})
    browser.authorize(client, redirect_uri=asked)
    assert (browser.title == "Sign in") is matches
    assert browser.alert.startswith("" if matches else "AADSTS50011: ")
    assert browser.sent_to is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": None}, 900144),
        ({"response_type": None}, 900144),
        ({"scope": None}, 900144),
        ({"client_id": "11111111-1111-1111-1111-111111111111"}, 700016),
        ({"response_mode": "cookie"}, 70007),
    ],
)
def test_a_wrong_request_is_a_page_and_goes_nowhere(
    client: Registered, browser: Browser, changes: dict[str, str | None], code: int
) -> None:
    """Before the redirect URI is known to be the client's, nothing may be sent there."""
    browser.authorize(client, **changes)
    assert browser.sent_to is None
    assert browser.status == 400
    assert browser.alert.startswith(f"AADSTS{code}: ")
    assert browser.authorize(client).title == "Sign in"


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"response_type": "id_token"}, "unsupported_response_type", 700051),
        ({"scope": "openid {id}/absent"}, "invalid_client", 650053),
        ({"scope": "openid {id}/default {id}/.default"}, "invalid_scope", 70011),
        ({"scope": "openid api://absent/default"}, "invalid_resource", 500011),
        ({"code_challenge": "short"}, "invalid_request", 501491),
        ({"code_challenge": "c" * 43, "code_challenge_method": "S512"}, "invalid_request", 50149),
    ],
)
def test_what_is_wrong_later_is_told_to_the_client(
    client: Registered, browser: Browser, changes: dict[str, str], error: str, code: int
) -> None:
    """With the state, or the client could not tell which of its requests failed."""
    browser.authorize(client, **{name: value.format(id=client.client_id) for name, value in changes.items()})
    assert browser.answer["error"] == error
    assert browser.answer["error_description"].startswith(f"AADSTS{code}: ")
    assert browser.answer["state"] == "the state"


@pytest.mark.parametrize(
    ("tenant", "code"),
    [
        ("common", 50194),
        ("nonsense", 900023),
        ("unknown.example", 90002),
        ("11111111-1111-1111-1111-111111111111", 90002),
        ("other", 700016),
    ],
)
def test_another_tenants_address_is_refused(
    client: Registered, browser: Browser, azure: LocalAzure, tenant: str, code: int
) -> None:
    """An application of this tenant only is known nowhere else, and no endpoint serves several tenants."""
    address = httpx.URL(browser.authorize(client).address)
    other = azure.other_tenant_id if tenant == "other" else tenant
    browser.open(str(address.copy_with(path=f"/{other}/oauth2/v2.0/authorize")))
    assert browser.alert.startswith(f"AADSTS{code}: ")
    browser.open(str(address.copy_with(path="/contoso.example/oauth2/v2.0/authorize"))).sign_in("ada")
    assert "code" in browser.answer


def test_only_the_assigned_get_in_where_assignment_is_required(
    client: Registered, browser: Browser, azure: LocalAzure, registrations: Registrations
) -> None:
    """Directly or through a group; without this everybody in the tenant gets in (temporalio/ui 3562)."""
    registrations.set_up(client, appRoleAssignmentRequired=True)
    registrations.assign(client, azure.identities["ada"]["objectId"], "temporal-system:read")
    registrations.assign(client, azure.identities["Temporal Operators"]["objectId"])
    for name in ("ada", "bob"):
        browser.authorize(client, prompt="login").sign_in(name)
        assert "code" in browser.answer
    browser.authorize(client, prompt="login").sign_in("eve")
    assert browser.sent_to is None
    assert browser.alert.startswith(f"AADSTS50105: Your administrator has configured the application {client.name}")
    assert "eve@contoso.example" in browser.alert


def test_a_group_in_an_assigned_group_does_not_count(
    client: Registered, browser: Browser, azure: LocalAzure, registrations: Registrations
) -> None:
    """Entra does not nest groups in assignments, and people expect it to."""
    registrations.set_up(client, appRoleAssignmentRequired=True)
    operators = azure.identities["Temporal Operators"]["objectId"]
    readers = azure.identities["Temporal Readers"]["objectId"]
    registrations.change_person(operators, memberOf=[readers])
    try:
        key = registrations.assign(client, readers)
        browser.authorize(client).sign_in("bob")
        assert browser.alert.startswith("AADSTS50105: ")
        registrations.store.delete("app-role-assignments", key)
        registrations.assign(client, operators)
        browser.authorize(client)
        assert "code" in browser.answer
    finally:
        registrations.change_person(operators, memberOf=[])


def test_consent_is_asked_for_once(
    browser: Browser, registrations: Registrations, azure: LocalAzure, entra: Entra
) -> None:
    """The grant is the person's own: others are asked, too."""
    client = registrations.application()
    browser.authorize(client).sign_in("ada")
    assert browser.title == "Permissions requested"
    assert f"Use default ({client.name}: default)" in browser.permissions
    assert any("offline_access" in each for each in browser.permissions)
    browser.press("accept")
    assert "access_token" in entra.redeem(client, browser, client_secret=registrations.secret(client))
    assert {grant["principalId"] for grant in registrations.grants_of(client)} == {azure.identities["ada"]["objectId"]}
    assert "code" in browser.authorize(client).answer
    assert browser.authorize(client, prompt="login").sign_in("bob").title == "Permissions requested"
    assert len(registrations.grants_of(client)) == 2


def test_consent_can_be_declined(browser: Browser, registrations: Registrations) -> None:
    """The client is told, and nothing is granted."""
    client = registrations.application()
    browser.authorize(client).sign_in("ada").press("cancel")
    assert browser.answer["error"] == "access_denied"
    assert browser.answer["error_description"].startswith("AADSTS65004: ")
    assert not registrations.grants_of(client)
    browser.authorize(client, prompt="none")
    assert browser.answer["error_description"].startswith("AADSTS65001: ")


def test_consent_is_given_by_no_other_site(browser: Browser, registrations: Registrations, azure: LocalAzure) -> None:
    """A form elsewhere can post to this address, but not with the cookie: to such a post nobody is signed in."""
    client = registrations.application()
    browser.authorize(client).sign_in("ada")
    with Browser(azure) as elsewhere:
        elsewhere.authorize(client)
        elsewhere.page += 'value="accept"'
        assert elsewhere.press("accept").title == "Sign in"
    assert not registrations.grants_of(client)


def test_people_need_an_administrator_where_the_tenant_says_so(
    browser: Browser, registrations: Registrations, azure: LocalAzure
) -> None:
    """Many tenants do not let people consent; the grant is then the administrator's."""
    azure.dials(userConsent=False)
    client = registrations.application()
    browser.authorize(client).sign_in("ada")
    assert browser.title == "Need admin approval"
    assert browser.alert.startswith("AADSTS90094: ")
    registrations.grant_sign_in(client)
    assert "code" in browser.authorize(client).answer


def test_people_cannot_consent_where_assignment_is_required(
    browser: Browser, registrations: Registrations, azure: LocalAzure
) -> None:
    """Without an administrator's grant nobody gets in there ("Unexpected consent prompt when signing in to an
    application", learn.microsoft.com).
    """
    client = registrations.application()
    registrations.assign(client, azure.identities["ada"]["objectId"])
    registrations.set_up(client, appRoleAssignmentRequired=True)
    browser.authorize(client).sign_in("ada")
    assert browser.alert.startswith("AADSTS90094: ")
    registrations.set_up(client, appRoleAssignmentRequired=False)
    assert browser.authorize(client).title == "Permissions requested"


def test_a_preauthorized_client_needs_no_consent(
    browser: Browser, registrations: Registrations, azure: LocalAzure
) -> None:
    """What the API has said itself, nobody is asked."""
    azure.dials(userConsent=False)
    api, client = registrations.application(), registrations.application()
    scope = f"openid offline_access {api.default}"
    browser.authorize(client, scope=scope).sign_in("ada")
    assert browser.alert.startswith("AADSTS90094: ")
    registrations.preauthorize(api, client.client_id)
    assert "code" in browser.authorize(client, scope=scope).answer


def test_a_page_escapes_what_comes_from_elsewhere(browser: Browser, registrations: Registrations) -> None:
    """A display name or a hint with markup in it must not become part of the page."""
    client = registrations.application(displayName="<script>alert(1)</script>")
    browser.authorize(client, login_hint='"><script>alert(2)</script>')
    assert "<script>" not in browser.page
    browser.authorize(client, redirect_uri="https://<script>alert(3)</script>")
    assert browser.alert.startswith("AADSTS50011: ")
    assert "<script>" not in browser.page


def test_a_page_needs_no_script_and_lets_none_run(client: Registered, browser: Browser) -> None:
    """The policy is the second lock on the same door."""
    browser.authorize(client)
    assert "default-src 'none'" in browser.headers["Content-Security-Policy"]
    assert "script" not in browser.headers["Content-Security-Policy"]
    assert browser.headers["Cache-Control"] == "no-store"


def test_the_answer_comes_as_the_client_wants_it(client: Registered, browser: Browser) -> None:
    """ASP.NET and others take the code in a form's body, or in the fragment."""
    browser.authorize(client, response_mode="fragment").sign_in("ada")
    assert browser.sent_to is not None
    assert browser.sent_to.startswith(f"{REDIRECT_URI}#")
    browser.authorize(client, response_mode="form_post", state='"a&b"')
    assert browser.sent_to is None
    assert f'action="{REDIRECT_URI}"' in browser.page
    assert browser.hidden()["state"] == '"a&b"'
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", browser.headers["Content-Security-Policy"])
    assert nonce is not None
    assert f'<script nonce="{nonce[1]}">' in browser.page


def test_signing_out_ends_the_session(client: Registered, browser: Browser, azure: LocalAzure) -> None:
    """With the cookie alone, which is kept, nobody gets in any more either."""
    logout = f"{azure.origin}/{azure.tenant_id}/oauth2/v2.0/logout"
    browser.authorize(client).sign_in("ada")
    assert "code" in browser.authorize(client).answer
    browser.open(f"{logout}?post_logout_redirect_uri={REDIRECT_URI}&state=s")
    assert browser.sent_to == f"{REDIRECT_URI}?state=s"
    assert browser.authorize(client).title == "Sign in"


def test_signing_out_sends_nobody_to_a_strange_address(client: Registered, browser: Browser, azure: LocalAzure) -> None:
    """Or Entra's name would vouch for it."""
    logout = f"{azure.origin}/{azure.tenant_id}/oauth2/v2.0/logout"
    browser.authorize(client).sign_in("ada")
    browser.open(f"{logout}?post_logout_redirect_uri=https://evil.example/")
    assert browser.sent_to is None
    assert browser.title == "You signed out of your account"
    assert browser.authorize(client).title == "Sign in"


def test_nothing_of_a_sign_in_is_logged(
    client: Registered, browser: Browser, azure: LocalAzure, entra: Entra, registrations: Registrations
) -> None:
    """Codes, states and hints are in queries, and tokens in answers; the log names the person only."""
    last = azure.requests()[-1]["n"] if azure.requests() else 0
    browser.authorize(client, login_hint="ada@contoso.example").sign_in("ada")
    answer = entra.redeem(client, browser, client_secret=registrations.secret(client))
    logged = azure.requests(last)
    assert {entry["principal"] for entry in logged} == {None, "ada"}
    assert not any(entry["query"] for entry in logged)
    kept = str(logged) + (azure.state / "requests.jsonl").read_text() + (azure.state / "log").read_text()
    for secret in (browser.answer["code"], answer["refresh_token"], answer["access_token"], browser.cookies()[0].value):
        assert secret not in kept


def test_codes_and_sessions_outlive_a_restart(start: Callable[..., tuple[LocalAzure, Sdk]]) -> None:
    """As Entra's do; a person in the middle of signing in does not notice."""
    azure, _ = start()
    registrations = Registrations(azure)
    client = registrations.application()
    registrations.grant_sign_in(client)
    secret = registrations.secret(client)
    registrations.store.close()
    with Browser(azure) as browser:
        browser.authorize(client).sign_in("ada")
        azure.stop()
        azure, _ = start()
        with Entra(azure) as entra:
            assert not codes(entra.redeem(client, browser, client_secret=secret))
        assert "code" in browser.authorize(client, scope=f"{OPENID} {client.default}").answer
