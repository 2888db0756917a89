"""Tokens, through azure-identity and, where it hides the answer, over plain HTTP."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientAssertionCredential, ManagedIdentityCredential
from azure.identity.aio import ClientSecretCredential as AsyncClientSecretCredential
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from localazure.client import LocalAzure
from tests.engine.localazure.sdk import Sdk, fresh_name

VAULT_SCOPE = "https://vault.azure.net/.default"


def claims_of(token: str, azure: LocalAzure, audience: str) -> dict[str, Any]:
    """The claims, after checking the signature against the published keys, as any resource would."""
    keys = jwt.PyJWKSet.from_dict(get(azure, f"/{azure.tenant_id}/discovery/v2.0/keys").json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=["RS256"], audience=audience)
    return claims


def get(azure: LocalAzure, path: str) -> httpx.Response:
    with client(azure) as http:
        return http.get(path)


def client(azure: LocalAzure) -> httpx.Client:
    return httpx.Client(base_url=azure.origin, verify=azure.tls_context(), trust_env=False)


def test_a_client_secret_gives_a_token_with_the_claims_that_services_read(azure: LocalAzure, sdk: Sdk) -> None:
    """The plugins read `oid` and `tid` from the token, and Key Vault its v1 issuer."""
    deployer = azure.identities["deployer"]
    claims = claims_of(sdk.credential().get_token(VAULT_SCOPE).token, azure, "https://vault.azure.net")
    assert claims["tid"] == azure.tenant_id
    assert claims["oid"] == deployer["objectId"]
    assert claims["appid"] == deployer["clientId"]
    assert claims["iss"] == f"{azure.origin}/{azure.tenant_id}/"
    assert (claims["idtyp"], claims["ver"]) == ("app", "1.0")
    assert claims["nbf"] == claims["iat"] == claims["exp"] - 3600


async def test_the_async_credential_gets_a_token_too(azure: LocalAzure) -> None:
    """The provider uses the aio clients: another HTTP stack, another way to the trust store."""
    known = azure.identities["deployer"]
    async with AsyncClientSecretCredential(
        known["tenantId"],
        known["clientId"],
        known["clientSecret"],
        authority=azure.origin,
        disable_instance_discovery=True,
        connection_verify=str(azure.ca_file),
    ) as credential:
        token = await credential.get_token(f"{azure.origin}//.default")
    assert claims_of(token.token, azure, f"{azure.origin}/")["oid"] == known["objectId"]


@pytest.mark.parametrize("slashes", ["", "/"])
def test_an_audience_is_taken_with_and_without_its_slash(azure: LocalAzure, sdk: Sdk, slashes: str) -> None:
    """Clients append /.default to a resource that may end in a slash already."""
    token = sdk.credential().get_token(f"{azure.origin}{slashes}/.default")
    assert claims_of(token.token, azure, f"{azure.origin}{slashes}")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"client_secret": "wrong"}, "AADSTS7000215"),
        ({"client_id": str(uuid.uuid4())}, "AADSTS700016"),
        ({"tenant_id": str(uuid.uuid4())}, "AADSTS90002"),
    ],
)
def test_wrong_credentials_are_refused_with_entras_code(
    azure: LocalAzure, sdk: Sdk, change: dict[str, str], code: str
) -> None:
    """People search for the AADSTS code: the wrong one sends them the wrong way."""
    with pytest.raises((ClientAuthenticationError, ValueError)) as refused:
        sdk.credential("deployer", **change).get_token(VAULT_SCOPE)
    answer = ask_for_token(azure, **change)
    assert code in answer["error_description"]
    assert int(code.removeprefix("AADSTS")) in answer["error_codes"]
    assert code in str(refused.value) or "tenant" in str(refused.value).lower()


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"scope": ""}, 900144),
        ({"scope": "https://vault.azure.net/user_impersonation"}, 1002012),
        ({"scope": "https://unknown.example/.default"}, 500011),
        ({"grant_type": "device_code"}, 70003),
        ({"client_secret": None}, 7000218),
    ],
)
def test_a_malformed_token_request_is_refused(azure: LocalAzure, form: dict[str, str | None], code: int) -> None:
    """A token for an unknown resource would fail later, where nobody looks for the cause."""
    assert ask_for_token(azure, **form)["error_codes"] == [code]


def test_scopes_of_openid_connect_mean_nothing_without_a_person(azure: LocalAzure) -> None:
    """MSAL for Java sends them along with the one that counts, and would get no token."""
    known = azure.identities["deployer"]
    form = {
        "grant_type": "client_credentials",
        "client_id": known["clientId"],
        "client_secret": known["clientSecret"],
        "scope": f"openid profile offline_access {VAULT_SCOPE}",
    }
    with client(azure) as http:
        answer = http.post(f"/{azure.tenant_id}/oauth2/v2.0/token", data=form).raise_for_status().json()

    assert claims_of(answer["access_token"], azure, "https://vault.azure.net")["oid"] == known["objectId"]
    assert not answer.keys() & {"id_token", "refresh_token"}


def ask_for_token(azure: LocalAzure, tenant_id: str | None = None, **form: str | None) -> dict[str, Any]:
    known = azure.identities["deployer"]
    fields = {
        "grant_type": "client_credentials",
        "client_id": known["clientId"],
        "client_secret": known["clientSecret"],
        "scope": VAULT_SCOPE,
        **form,
    }
    with client(azure) as http:
        response = http.post(
            f"/{tenant_id or azure.tenant_id}/oauth2/v2.0/token",
            data={name: value for name, value in fields.items() if value is not None},
        )
    assert response.is_client_error
    answer: dict[str, Any] = response.json()
    return answer


def assertion(subject: str, *, audience: str = "api://AzureADTokenExchange", lifetime: int = 600) -> Callable[[], str]:
    claims = {"iss": ISSUER, "sub": subject, "aud": audience, "exp": int(time.time()) + lifetime}
    return lambda: jwt.encode(claims, ISSUER_KEY, algorithm="RS256", headers={"kid": "k1"})


ISSUER = "https://token.actions.example"
ISSUER_KEY = rsa.generate_private_key(65537, 2048)


def federate(azure: LocalAzure, subject: str) -> str:
    """A service principal that trusts `subject` of the issuer; its name."""
    name = fresh_name()
    jwk = RSAAlgorithm.to_jwk(ISSUER_KEY.public_key(), as_dict=True) | {"kid": "k1", "alg": "RS256", "use": "sig"}
    credential = {"issuer": ISSUER, "subject": subject, "jwks": {"keys": [jwk]}}
    azure.create_identity(name, federated_credentials=(credential,))
    return name


def exchange(azure: LocalAzure, name: str, make: Callable[[], str]) -> str:
    known = azure.identities[name]
    with ClientAssertionCredential(
        known["tenantId"],
        known["clientId"],
        make,
        authority=azure.origin,
        disable_instance_discovery=True,
        connection_verify=str(azure.ca_file),
    ) as credential:
        return credential.get_token(VAULT_SCOPE).token


def test_a_federated_assertion_gives_a_token(azure: LocalAzure) -> None:
    """CI signs in by OIDC, with no secret."""
    name = federate(azure, "repo:org/repo:ref:refs/heads/main")
    token = exchange(azure, name, assertion("repo:org/repo:ref:refs/heads/main"))
    assert claims_of(token, azure, "https://vault.azure.net")["oid"] == azure.identities[name]["objectId"]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (assertion("repo:org/other"), "AADSTS700213"),
        (assertion("repo:org/repo", audience="api://Other"), "AADSTS700213"),
        (assertion("repo:org/repo", lifetime=-3600), "AADSTS700027"),
        (
            lambda: jwt.encode(
                {"iss": ISSUER, "sub": "repo:org/repo", "aud": "api://AzureADTokenExchange", "exp": time.time() + 60},
                rsa.generate_private_key(65537, 2048),
                algorithm="RS256",
                headers={"kid": "k1"},
            ),
            "AADSTS700027",
        ),
        (lambda: "no.jwt.atall", "AADSTS50027"),
    ],
    ids=["subject", "audience", "expired", "signature", "malformed"],
)
def test_an_assertion_that_is_not_the_credentials_is_refused(
    azure: LocalAzure, make: Callable[[], str], code: str
) -> None:
    """Each differs in one thing from the assertion that is taken."""
    name = federate(azure, "repo:org/repo")
    with pytest.raises(ClientAuthenticationError, match=code):
        exchange(azure, name, make)


def test_a_managed_identity_gets_a_token_by_its_header(azure: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosted runners have an identity endpoint and no secret in the environment of the program."""
    for name, value in azure.managed_identity_environment("reader-ui").items():
        monkeypatch.setenv(name, value)
    with ManagedIdentityCredential(connection_verify=str(azure.ca_file)) as credential:
        token = credential.get_token(VAULT_SCOPE).token
    claims = claims_of(token, azure, "https://vault.azure.net")
    assert claims["oid"] == azure.identities["reader-ui"]["objectId"]

    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    with (
        ManagedIdentityCredential(connection_verify=str(azure.ca_file)) as credential,
        pytest.raises(ClientAuthenticationError),
    ):
        credential.get_token(VAULT_SCOPE)


def test_discovery_is_consistent(azure: LocalAzure) -> None:
    """MSAL follows these addresses; one that leads elsewhere would leave this machine."""
    configuration = get(azure, f"/{azure.tenant_id}/v2.0/.well-known/openid-configuration").json()
    for name in ("issuer", "token_endpoint", "authorization_endpoint", "jwks_uri"):
        assert configuration[name].startswith(f"{azure.origin}/{azure.tenant_id}/")
    instance = get(azure, "/common/discovery/instance?api-version=1.1").json()
    assert instance["metadata"][0]["aliases"] == [azure.metadata_host]
    assert get(azure, f"/{uuid.uuid4()}/v2.0/.well-known/openid-configuration").json()["error_codes"] == [90002]


def test_metadata_names_every_endpoint_of_this_process(azure: LocalAzure) -> None:
    """What the Go plugins read, and our own code; facts/azure.md lists the fields."""
    metadata = get(azure, "/metadata/endpoints?api-version=2022-09-01").json()
    assert metadata["name"]
    assert metadata["resourceManager"] == f"{azure.origin}/"
    assert metadata["authentication"]["loginEndpoint"] == azure.origin
    assert metadata["authentication"]["audiences"][0] == f"{azure.origin}/"
    assert metadata["microsoftGraphResourceId"].startswith(azure.origin)
    assert metadata["suffixes"]["keyVaultDns"] == "vault.azure.net"
    assert get(azure, "/metadata/endpoints").status_code == 400
