"""Tokens for people: codes, refresh tokens, passwords; through msal, and over plain HTTP where it hides the answer."""

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msal  # type: ignore[import-untyped]
import pytest
import requests

from localazure.client import LocalAzure
from localazure.entra import firstparty
from tests.engine.localazure.browser import Browser
from tests.engine.localazure.entra import Entra, codes
from tests.engine.localazure.registrations import OPENID, REDIRECT_URI, Registered, Registrations

pytestmark = pytest.mark.filterwarnings("ignore:This API has been deprecated for public client flows")

ROLE = "temporal-system:read"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


@pytest.fixture
def client(registrations: Registrations) -> Registered:
    """A web client that is its own API, with an administrator's grant and no assignment required."""
    registered = registrations.application(roles=(ROLE, "default:write"))
    registrations.grant_sign_in(registered)
    return registered


@pytest.fixture
def secret(client: Registered, registrations: Registrations) -> str:
    return registrations.secret(client)


class _Http:
    """What msal asks through. Msal forgets the port when it asks whose a user name is."""

    def __init__(self, azure: LocalAzure) -> None:
        self._origin = azure.origin
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(azure.ca_file)

    def get(self, url: str, **arguments: Any) -> requests.Response:
        return self._session.get(url.replace("https://127.0.0.1/", f"{self._origin}/"), **arguments)

    def post(self, url: str, **arguments: Any) -> requests.Response:
        return self._session.post(url, **arguments)

    def close(self) -> None:
        self._session.close()


def public_client(azure: LocalAzure, client_id: str = firstparty.AZURE_CLI_CLIENT_ID) -> Any:
    """Msal as a program without a secret."""
    return msal.PublicClientApplication(client_id, **_msal(azure))


def confidential_client(azure: LocalAzure, client: Registered, secret: str) -> Any:
    """Msal as a web application."""
    return msal.ConfidentialClientApplication(client.client_id, client_credential=secret, **_msal(azure))


def _msal(azure: LocalAzure) -> dict[str, Any]:
    return {
        "authority": f"{azure.origin}/{azure.tenant_id}",
        "instance_discovery": False,
        "http_client": _Http(azure),
    }


def test_msals_code_flow_gives_tokens_and_renews_them(
    azure: LocalAzure, client: Registered, secret: str, browser: Browser
) -> None:
    """Msal adds PKCE and a nonce, checks the id token, and renews with the scopes spelt out."""
    application = confidential_client(azure, client, secret)
    flow = application.initiate_auth_code_flow([client.default], redirect_uri=REDIRECT_URI, response_mode="form_post")
    browser.open(flow["auth_uri"]).sign_in("ada")
    answer = application.acquire_token_by_auth_code_flow(flow, browser.hidden())
    assert answer["id_token_claims"]["preferred_username"] == "ada@contoso.example"
    assert client.default in answer["scope"].split()
    [account] = application.get_accounts()
    assert account["username"] == "ada@contoso.example"
    renewed = application.acquire_token_silent([client.default], account, force_refresh=True)
    assert renewed["access_token"] != answer["access_token"]


def test_an_access_token_of_version_2_says_who_may_do_what(
    azure: LocalAzure, client: Registered, secret: str, browser: Browser, entra: Entra, registrations: Registrations
) -> None:
    """What the Temporal server reads: audience, roles as a list, and for whom."""
    ada = azure.identities["ada"]
    registrations.assign(client, ada["objectId"], ROLE)
    browser.authorize(client, nonce="the nonce").sign_in("ada")
    answer = entra.redeem(client, browser, client_secret=secret)
    claims = entra.claims(answer["access_token"], client.client_id)
    expected = {
        "iss": f"{azure.origin}/{azure.tenant_id}/v2.0",
        "tid": azure.tenant_id,
        "oid": ada["objectId"],
        "azp": client.client_id,
        "azpacr": "1",
        "scp": "default",
        "roles": [ROLE],
        "name": "Ada Lovelace",
        "preferred_username": "ada@contoso.example",
        "ver": "2.0",
    }
    assert expected.items() <= claims.items()
    assert claims["exp"] - claims["nbf"] == answer["expires_in"] == 3600
    assert {"sub", "uti", "rh", "iat"} <= claims.keys()


def test_an_id_token_is_the_clients(
    azure: LocalAzure, client: Registered, secret: str, browser: Browser, entra: Entra, registrations: Registrations
) -> None:
    """The UI checks issuer, audience, nonce and expiry; Entra puts the client's roles in, too."""
    registrations.assign(client, azure.identities["ada"]["objectId"], ROLE)
    browser.authorize(client, nonce="the nonce").sign_in("ada")
    claims = entra.claims(entra.redeem(client, browser, client_secret=secret)["id_token"], client.client_id)
    expected = {
        "iss": f"{azure.origin}/{azure.tenant_id}/v2.0",
        "nonce": "the nonce",
        "oid": azure.identities["ada"]["objectId"],
        "name": "Ada Lovelace",
        "preferred_username": "ada@contoso.example",
        "email": "ada@contoso.example",
        "roles": [ROLE],
    }
    assert expected.items() <= claims.items()
    assert "scp" not in claims


def test_an_id_token_says_no_more_than_was_asked_for(
    client: Registered, secret: str, browser: Browser, entra: Entra
) -> None:
    """Without `profile` and `email` it does not name the person, and without `openid` there is none."""
    browser.authorize(client, scope=f"openid {client.default}").sign_in("ada")
    answer = entra.redeem(client, browser, client_secret=secret)
    claims = entra.claims(answer["id_token"], client.client_id)
    assert claims.keys().isdisjoint({"name", "preferred_username", "email", "nonce", "roles"})
    assert "refresh_token" not in answer
    browser.authorize(client, scope=client.default)
    assert "id_token" not in entra.redeem(client, browser, client_secret=secret)


def test_roles_come_through_groups_and_only_enabled_ones(
    azure: LocalAzure, client: Registered, secret: str, browser: Browser, entra: Entra, registrations: Registrations
) -> None:
    """A role that is disabled, on its way to be deleted, must give nothing any more."""
    browser.authorize(client).sign_in("bob")
    answer = entra.redeem(client, browser, client_secret=secret)
    assert "roles" not in entra.claims(answer["access_token"], client.client_id)
    registrations.assign(client, azure.identities["Temporal Operators"]["objectId"], ROLE)
    registrations.assign(client, azure.identities["bob"]["objectId"], "default:write")
    answer = entra.refresh(client, answer["refresh_token"], client_secret=secret)
    claims = entra.claims(answer["access_token"], client.client_id)
    assert claims["roles"] == ["default:write", ROLE]
    roles = [role | {"isEnabled": role["value"] != ROLE} for role in registrations.registration(client)["appRoles"]]
    registrations.change(client, appRoles=roles)
    answer = entra.refresh(client, answer["refresh_token"], client_secret=secret)
    assert entra.claims(answer["access_token"], client.client_id)["roles"] == ["default:write"]


@pytest.mark.parametrize("by_uri", [True, False], ids=["uri", "guid"])
def test_an_api_of_version_1_gets_tokens_of_version_1(
    azure: LocalAzure,
    secret: str,
    client: Registered,
    browser: Browser,
    entra: Entra,
    registrations: Registrations,
    by_uri: bool,
) -> None:
    """Entra's default: another issuer and audience, which a server that is set up for version 2 refuses."""
    registrations.change_api(client, requestedAccessTokenVersion=None)
    audience = f"api://{client.client_id}" if by_uri else client.client_id
    browser.authorize(client, scope=f"openid {audience}/default").sign_in("ada")
    answer = entra.redeem(client, browser, client_secret=secret)
    claims = entra.claims(answer["access_token"], audience)
    expected = {
        "iss": f"{azure.origin}/{azure.tenant_id}/",
        "appid": client.client_id,
        "appidacr": "1",
        "upn": "ada@contoso.example",
        "ver": "1.0",
    }
    assert expected.items() <= claims.items()
    assert entra.claims(answer["id_token"], client.client_id)["ver"] == "2.0"


def test_a_person_is_another_subject_to_another_application(
    client: Registered, secret: str, browser: Browser, entra: Entra, registrations: Registrations
) -> None:
    """Pairwise, as discovery says: a subject copied from one application means nothing in the next."""
    other = registrations.application()
    registrations.grant_sign_in(other)
    subjects = []
    for each, its_secret in ((client, secret), (other, registrations.secret(other)), (client, secret)):
        answer = entra.redeem(each, browser.authorize(each, prompt="login").sign_in("ada"), client_secret=its_secret)
        subjects.append(entra.claims(answer["id_token"], each.client_id)["sub"])
    assert subjects[0] == subjects[2] != subjects[1]


def test_openid_alone_gives_a_token_for_graph(
    client: Registered, secret: str, browser: Browser, entra: Entra, azure: LocalAzure
) -> None:
    """The trap of the first try: without the API's scope the token is not the API's, and good for userinfo only."""
    browser.authorize(client, scope=OPENID).sign_in("ada")
    answer = entra.redeem(client, browser, client_secret=secret)
    claims = entra.claims(answer["access_token"], firstparty.GRAPH_CLIENT_ID)
    assert claims["scp"] == "openid profile email"
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    told = entra.http.get("/oidc/userinfo", headers=headers).json()
    assert told["sub"] == entra.claims(answer["id_token"], client.client_id)["sub"]
    assert (told["name"], told["email"]) == ("Ada Lovelace", "ada@contoso.example")
    browser.authorize(client)
    answer = entra.redeem(client, browser, client_secret=secret)
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    assert entra.http.get("/oidc/userinfo", headers=headers).status_code == 401


def test_a_code_is_good_once(client: Registered, secret: str, browser: Browser, entra: Entra) -> None:
    """A code that leaks from a log or a referrer has been used."""
    browser.authorize(client).sign_in("ada")
    assert not codes(entra.redeem(client, browser, client_secret=secret))
    assert codes(entra.redeem(client, browser, client_secret=secret)) == [54005]


def test_a_code_ends_soon(client: Registered, secret: str, browser: Browser, entra: Entra, azure: LocalAzure) -> None:
    """After ten minutes, unless dialled otherwise."""
    browser.authorize(client).sign_in("ada")
    azure.dials(authorizationCodeLifetimeSeconds=0)
    assert codes(entra.redeem(client, browser, client_secret=secret)) == [70008]
    azure.dials(authorizationCodeLifetimeSeconds=600)
    assert not codes(entra.redeem(client, browser, client_secret=secret))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"code": "1.invented"}, 9002313),
        ({"code": None}, 900144),
        ({"redirect_uri": "http://localhost:8081/auth/sso/callback"}, 500112),
        ({"redirect_uri": None}, 900144),
        ({"client_secret": None}, 7000218),
        ({"client_secret": "wrong"}, 7000215),
        ({"code_verifier": "x" * 43}, 501481),
        ({"code_verifier": None}, 501481),
        ({"scope": "openid {graph}/User.Read {id}/default"}, 28000),
        ({"scope": "openid {id}/absent"}, 70011),
        ({"scope": "openid {graph}/User.Read"}, 65001),
    ],
)
def test_a_code_is_refused_to_whoever_cannot_show_the_rest(
    client: Registered, secret: str, browser: Browser, entra: Entra, changes: dict[str, str | None], code: int
) -> None:
    """Each is one change away from the redemption that works, and does not use the code up."""
    browser.authorize(client, code_challenge=CHALLENGE, code_challenge_method="S256").sign_in("ada")
    whole: dict[str, Any] = {"client_secret": secret, "code_verifier": VERIFIER}
    known = {"id": client.client_id, "graph": "https://graph.microsoft.com"}
    wrong = {name: value if value is None else value.format(**known) for name, value in changes.items()}
    assert codes(entra.redeem(client, browser, **(whole | wrong))) == [code]
    assert not codes(entra.redeem(client, browser, **whole))


def test_a_code_is_refused_to_another_client(
    client: Registered, secret: str, browser: Browser, entra: Entra, registrations: Registrations
) -> None:
    """Even to one that knows itself."""
    other = registrations.application()
    browser.authorize(client).sign_in("ada")
    refused = entra.redeem(client, browser, client_id=other.client_id, client_secret=registrations.secret(other))
    assert codes(refused) == [70000]
    assert not codes(entra.redeem(client, browser, client_secret=secret))


def test_a_plain_challenge_is_the_verifier(client: Registered, secret: str, browser: Browser, entra: Entra) -> None:
    """The default of RFC 7636, which old clients rely on."""
    browser.authorize(client, code_challenge=VERIFIER).sign_in("ada")
    assert codes(entra.redeem(client, browser, client_secret=secret, code_verifier="x" * 43)) == [501481]
    assert not codes(entra.redeem(client, browser, client_secret=secret, code_verifier=VERIFIER))


def test_a_client_may_authenticate_by_http_basic(
    client: Registered, secret: str, browser: Browser, entra: Entra
) -> None:
    """Go's OAuth library, the UI's, tries it first."""
    browser.authorize(client).sign_in("ada")
    refused = entra.redeem(client, browser, client_id=None, auth=(client.client_id, "wrong"))
    assert codes(refused) == [7000215]
    answer = entra.redeem(client, browser, client_id=None, auth=(client.client_id, secret))
    assert not codes(answer)


def test_a_public_client_shows_no_secret(browser: Browser, entra: Entra, registrations: Registrations) -> None:
    """What is on a person's machine is no secret; Entra refuses one there."""
    client = registrations.application(web={"redirectUris": []}, publicClient={"redirectUris": [REDIRECT_URI]})
    registrations.grant_sign_in(client)
    browser.authorize(client).sign_in("ada")
    assert codes(entra.redeem(client, browser, client_secret=registrations.secret(client))) == [700025]
    answer = entra.redeem(client, browser)
    assert entra.claims(answer["access_token"], client.client_id)["azpacr"] == "0"
    assert not codes(entra.refresh(client, answer["refresh_token"]))


def test_a_refresh_token_is_good_again_and_another_comes_with_it(
    client: Registered, secret: str, browser: Browser, entra: Entra
) -> None:
    """As Entra's: a client that loses the answer is not lost itself."""
    browser.authorize(client).sign_in("ada")
    first = entra.redeem(client, browser, client_secret=secret)["refresh_token"]
    answer = entra.refresh(client, first, client_secret=secret)
    assert answer["refresh_token"] != first
    assert "id_token" in answer
    for token in (first, answer["refresh_token"]):
        assert not codes(entra.refresh(client, token, client_secret=secret))


@pytest.mark.parametrize(
    ("signed_in_by", "refreshed_by", "code"),
    [
        ("{id}/default", None, None),
        ("{id}/default", "openid {id}/default", None),
        ("{id}/default", "openid api://{id}/default", 90009),
        ("api://{id}/default", None, 90009),
        ("api://{id}/default", "openid {id}/default", None),
    ],
)
def test_a_client_that_is_its_own_api_refreshes_by_its_id_only(
    client: Registered,
    secret: str,
    browser: Browser,
    entra: Entra,
    signed_in_by: str,
    refreshed_by: str | None,
    code: int | None,
) -> None:
    """The blog's `api://` form signs in, and throws people out after an hour: the UI's refresh names no scope."""
    browser.authorize(client, scope=f"{OPENID} {signed_in_by.format(id=client.client_id)}").sign_in("ada")
    answer = entra.redeem(client, browser, client_secret=secret)
    assert entra.claims(answer["access_token"], client.client_id)
    scope = None if refreshed_by is None else refreshed_by.format(id=client.client_id)
    refreshed = entra.refresh(client, answer["refresh_token"], client_secret=secret, scope=scope)
    assert codes(refreshed) == ([] if code is None else [code])


def test_a_refresh_asks_anew_whether_the_person_may(
    azure: LocalAzure, client: Registered, secret: str, browser: Browser, entra: Entra, registrations: Registrations
) -> None:
    """Somebody who is no longer assigned, or whose account is disabled, is out when the token ends."""
    registrations.set_up(client, appRoleAssignmentRequired=True)
    person = registrations.person()
    key = registrations.assign(client, person["objectId"])
    browser.authorize(client).press("sign-in", login=person["mail"], password=person["password"])
    token = entra.redeem(client, browser, client_secret=secret)["refresh_token"]
    assert not codes(entra.refresh(client, token, client_secret=secret))
    assignment = registrations.store.get("app-role-assignments", key)
    assert assignment is not None
    registrations.store.delete("app-role-assignments", key)
    assert codes(entra.refresh(client, token, client_secret=secret)) == [50105]
    registrations.store.put("app-role-assignments", key, assignment)
    registrations.change_person(person["objectId"], accountEnabled=False)
    assert codes(entra.refresh(client, token, client_secret=secret)) == [50057]
    registrations.change_person(person["objectId"], accountEnabled=True)
    azure.dials(refreshTokenLifetimeSeconds=0)
    assert codes(entra.refresh(client, token, client_secret=secret)) == [70008]


def test_a_refresh_token_is_the_clients_alone(
    client: Registered, secret: str, browser: Browser, entra: Entra, registrations: Registrations
) -> None:
    """A stolen one is worth nothing without the secret."""
    other = registrations.application()
    browser.authorize(client).sign_in("ada")
    token = entra.redeem(client, browser, client_secret=secret)["refresh_token"]
    assert codes(entra.refresh(client, token)) == [7000218]
    assert codes(entra.refresh(other, token, client_secret=registrations.secret(other))) == [70000]
    assert codes(entra.refresh(client, "1.Ainvented", client_secret=secret)) == [9002313]
    assert not codes(entra.refresh(client, token, client_secret=secret))


def test_a_code_of_one_tenant_is_nothing_in_another(
    azure: LocalAzure, client: Registered, secret: str, browser: Browser, entra: Entra
) -> None:
    """The application of this tenant only is not known there."""
    browser.authorize(client).sign_in("ada")
    refused = entra.redeem(client, browser, client_secret=secret, tenant=azure.other_tenant_id)
    assert codes(refused) == [700016]
    assert not codes(entra.redeem(client, browser, client_secret=secret))


def test_the_azure_cli_gets_a_persons_token_by_password(
    azure: LocalAzure, client: Registered, entra: Entra, registrations: Registrations
) -> None:
    """What `make token` does, as msal does it: with the scope that the API has pre-authorized."""
    ada = azure.identities["ada"]
    registrations.assign(client, ada["objectId"], ROLE)
    asked = (ada["userPrincipalName"], ada["password"], [client.default])
    refused = public_client(azure).acquire_token_by_username_password(*asked)
    assert refused["error_codes"] == [65001]
    registrations.preauthorize(client)
    cli = public_client(azure)
    answer = cli.acquire_token_by_username_password(*asked)
    claims = entra.claims(answer["access_token"], client.client_id)
    assert (claims["azp"], claims["azpacr"]) == (firstparty.AZURE_CLI_CLIENT_ID, "0")
    assert claims["roles"] == [ROLE]
    [account] = cli.get_accounts()
    assert "access_token" in cli.acquire_token_silent([client.default], account, force_refresh=True)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"password": "wrong"}, 50126),
        ({"username": "absent@contoso.example"}, 50034),
        ({"username": None}, 900144),
        ({"scope": None}, 900144),
        ({"scope": "{id}/absent"}, 70011),
        ({"client_id": "{id}"}, 7000218),
    ],
)
def test_a_password_is_not_enough(
    azure: LocalAzure,
    client: Registered,
    entra: Entra,
    registrations: Registrations,
    changes: dict[str, str | None],
    code: int,
) -> None:
    """Each is one change away from the request that works."""
    registrations.preauthorize(client)
    eve = azure.identities["eve"]
    whole = {
        "grant_type": "password",
        "client_id": firstparty.AZURE_CLI_CLIENT_ID,
        "username": eve["userPrincipalName"],
        "password": eve["password"],
        "scope": client.default,
    }
    assert not codes(entra.post(whole))
    wrong = {name: value if value is None else value.format(id=client.client_id) for name, value in changes.items()}
    assert codes(entra.post({**whole, **wrong})) == [code]
    registrations.set_up(client, appRoleAssignmentRequired=True)
    assert codes(entra.post(whole)) == [50105]


def test_a_client_that_is_its_own_api_is_asked_by_password_for_its_id(
    azure: LocalAzure, entra: Entra, registrations: Registrations
) -> None:
    """AADSTS90009 again (AzureAD/microsoft-authentication-library-for-java 735)."""
    client = registrations.application(isFallbackPublicClient=True)
    registrations.grant_sign_in(client)
    ada = azure.identities["ada"]
    cli = public_client(azure, client.client_id)
    wrong, right = (
        cli.acquire_token_by_username_password(ada["userPrincipalName"], ada["password"], [scope])
        for scope in (f"api://{client.client_id}/default", client.default)
    )
    assert wrong["error_codes"] == [90009]
    assert "access_token" in right


def test_a_token_for_a_person_lives_as_long_as_dialled(
    azure: LocalAzure, client: Registered, secret: str, browser: Browser, entra: Entra
) -> None:
    """Tests of a session that outlives its token cannot wait for an hour; the UI checks the id token at each call."""
    azure.dials(tokenLifetimeSeconds=7)
    browser.authorize(client).sign_in("ada")
    answer = entra.redeem(client, browser, client_secret=secret)
    for token in (answer["access_token"], answer["id_token"]):
        claims = entra.claims(token, client.client_id)
        assert claims["exp"] - claims["iat"] == 7
    assert answer["expires_in"] == 7


def test_default_stands_for_what_is_granted(
    client: Registered, secret: str, browser: Browser, entra: Entra, registrations: Registrations
) -> None:
    """`.default` with nothing registered and nothing granted is a misconfigured application."""
    api = registrations.application()
    browser.authorize(client, scope=f"openid {api.client_id}/.default").sign_in("ada")
    assert browser.alert.startswith("AADSTS650056: ")
    registrations.grant(client, api.object_id, "default")
    browser.authorize(client, scope=f"openid {api.client_id}/.default")
    answer = entra.redeem(client, browser, client_secret=secret)
    assert entra.claims(answer["access_token"], api.client_id)["scp"] == "default"


def test_default_asks_for_what_is_registered(browser: Browser, registrations: Registrations) -> None:
    """The static permissions of the registration are asked for together."""
    api = registrations.application()
    [scope] = registrations.registration(api)["api"]["oauth2PermissionScopes"]
    access = {"resourceAppId": api.client_id, "resourceAccess": [{"id": scope["id"], "type": "Scope"}]}
    client = registrations.application(requiredResourceAccess=[access])
    browser.authorize(client, scope=f"{api.client_id}/.default").sign_in("ada")
    assert browser.permissions == [f"Use default ({api.name}: default)"]
    browser.press("accept")
    assert dict(parse_qsl(urlsplit(browser.sent_to or "").query))["code"]


def test_basic_credentials_that_are_none_are_refused(client: Registered, entra: Entra) -> None:
    """And not taken for a client without a secret."""
    response = entra.http.post(
        f"/{entra.azure.tenant_id}/oauth2/v2.0/token",
        data={"grant_type": "client_credentials", "client_id": client.client_id, "scope": "x/.default"},
        headers={"Authorization": "Basic !"},
    )
    assert codes(response.json()) == [900144]
