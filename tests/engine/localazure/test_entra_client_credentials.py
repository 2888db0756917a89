"""Tokens for applications themselves, and for a machine's identity, through azure-identity."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientAssertionCredential, ClientSecretCredential, ManagedIdentityCredential
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from localazure.client import LocalAzure
from tests.engine.localazure.entra import Entra, codes
from tests.engine.localazure.registrations import Registered, Registrations
from tests.engine.localazure.sdk import Sdk, fresh_name

ROLE = "orders:write"
ISSUER = "https://oidc.cluster.example"
ISSUER_KEY = rsa.generate_private_key(65537, 2048)


@pytest.fixture
def api(registrations: Registrations) -> Registered:
    return registrations.application(roles=(ROLE,))


@pytest.fixture
def worker(registrations: Registrations) -> Registered:
    return registrations.application(web={"redirectUris": []})


@contextmanager
def secret_credential(azure: LocalAzure, client: Registered, secret: str) -> Iterator[ClientSecretCredential]:
    with ClientSecretCredential(client.tenant_id, client.client_id, secret, **_trust(azure)) as credential:
        yield credential


def _trust(azure: LocalAzure) -> dict[str, Any]:
    return {
        "authority": azure.origin,
        "disable_instance_discovery": True,
        "connection_verify": str(azure.ca_file),
    }


def ask(entra: Entra, client: Registered, secret: str, scope: str, **changes: str) -> Any:
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": secret, "scope": scope}
    return entra.post(form | changes)


@pytest.mark.parametrize("scope", ["{id}/.default", "api://{id}/.default"])
def test_an_application_gets_the_roles_that_it_is_assigned(
    azure: LocalAzure, api: Registered, worker: Registered, entra: Entra, registrations: Registrations, scope: str
) -> None:
    """A worker's token, as azure-identity takes it: version 2, for the API's id in either spelling."""
    registrations.assign(api, worker.object_id, ROLE)
    with secret_credential(azure, worker, registrations.secret(worker)) as credential:
        token = credential.get_token(scope.format(id=api.client_id)).token
    claims = entra.claims(token, api.client_id)
    expected = {
        "iss": f"{azure.origin}/{azure.tenant_id}/v2.0",
        "azp": worker.client_id,
        "azpacr": "1",
        "oid": worker.object_id,
        "sub": worker.object_id,
        "roles": [ROLE],
        "ver": "2.0",
    }
    assert expected.items() <= claims.items()
    assert "scp" not in claims


def test_an_application_without_a_role_gets_a_token_that_says_nothing(
    azure: LocalAzure, api: Registered, worker: Registered, entra: Entra, registrations: Registrations
) -> None:
    """Entra refuses it only where the API requires an assignment: otherwise roles must be checked by the API."""
    secret = registrations.secret(worker)
    scope = f"{api.client_id}/.default"
    answer = ask(entra, worker, secret, scope)
    assert "roles" not in entra.claims(answer["access_token"], api.client_id)
    registrations.set_up(api, appRoleAssignmentRequired=True)
    assert codes(ask(entra, worker, secret, scope)) == [501051]
    registrations.assign(api, worker.object_id, ROLE)
    assert not codes(ask(entra, worker, secret, scope))


def test_an_api_of_version_1_gets_the_audience_that_was_asked_for(
    azure: LocalAzure, api: Registered, worker: Registered, entra: Entra, registrations: Registrations
) -> None:
    """With the default version the Temporal server sees another issuer and, by URI, another audience."""
    registrations.change_api(api, requestedAccessTokenVersion=None)
    secret = registrations.secret(worker)
    for audience in (api.client_id, f"api://{api.client_id}"):
        answer = ask(entra, worker, secret, f"{audience}/.default")
        claims = entra.claims(answer["access_token"], audience)
        assert (claims["iss"], claims["appid"]) == (f"{azure.origin}/{azure.tenant_id}/", worker.client_id)


def test_a_secret_counts_until_it_ends(
    azure: LocalAzure, api: Registered, worker: Registered, entra: Entra, registrations: Registrations
) -> None:
    """During a rotation both are good; the old one's end has a code of its own, or people look for a typing error."""
    old = registrations.secret(worker, ends="2020-01-01T00:00:00Z")
    first, second = registrations.secret(worker), registrations.secret(worker)
    scope = f"{api.client_id}/.default"
    for secret in (first, second):
        assert not codes(ask(entra, worker, secret, scope))
    assert codes(ask(entra, worker, old, scope)) == [7000222]
    assert codes(ask(entra, worker, "never-was", scope)) == [7000215]
    with secret_credential(azure, worker, old) as credential, pytest.raises(ClientAuthenticationError) as refused:
        credential.get_token(scope)
    assert "AADSTS7000222" in str(refused.value)


def test_a_disabled_application_and_one_without_a_principal_get_nothing(
    azure: LocalAzure, api: Registered, worker: Registered, entra: Entra, registrations: Registrations
) -> None:
    """Each with a secret that is good."""
    secret, scope = registrations.secret(worker), f"{api.client_id}/.default"
    registrations.set_up(worker, accountEnabled=False)
    assert codes(ask(entra, worker, secret, scope)) == [7000112]
    registrations.set_up(worker, accountEnabled=True)
    assert not codes(ask(entra, worker, secret, scope))
    registrations.store.delete("principals", worker.object_id)
    assert codes(ask(entra, worker, secret, scope)) == [7000229]


def test_a_seeded_identity_gets_roles_of_an_api_too(
    azure: LocalAzure, api: Registered, sdk: Sdk, entra: Entra, registrations: Registrations
) -> None:
    """An existing service principal may be made a worker."""
    registrations.assign(api, azure.identities["nobody"]["objectId"], ROLE)
    claims = entra.claims(sdk.credential("nobody").get_token(f"{api.client_id}/.default").token, api.client_id)
    assert claims["roles"] == [ROLE]
    claims = entra.claims(sdk.credential("previewer").get_token(f"{api.client_id}/.default").token, api.client_id)
    assert "roles" not in claims


def test_a_managed_identity_gets_roles_of_an_api(
    azure: LocalAzure,
    api: Registered,
    entra: Entra,
    registrations: Registrations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker on Azure has no registration of its own, and an unassigned one is told so."""
    registrations.set_up(api, appRoleAssignmentRequired=True)
    for name, value in azure.managed_identity_environment("reader-worker").items():
        monkeypatch.setenv(name, value)
    scope = f"api://{api.client_id}/.default"
    with (
        ManagedIdentityCredential(connection_verify=str(azure.ca_file)) as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS501051"),
    ):
        credential.get_token(scope)
    registrations.assign(api, azure.identities["reader-worker"]["objectId"], ROLE)
    with ManagedIdentityCredential(connection_verify=str(azure.ca_file)) as credential:
        assert entra.claims(credential.get_token(scope).token, api.client_id)["roles"] == [ROLE]


def test_a_token_for_graph_names_the_permissions(azure: LocalAzure, sdk: Sdk, entra: Entra) -> None:
    """Programs read them to tell people what is missing."""
    audience = f"{azure.origin}/graph/"
    scope = f"{audience}/.default"
    claims = entra.claims(sdk.credential("previewer").get_token(scope).token, audience)
    assert claims["roles"] == ["Directory.Read.All"]
    assert "roles" not in entra.claims(sdk.credential("reader-ui").get_token(scope).token, audience)


def test_the_stranger_has_a_token_of_its_own_tenant_only(azure: LocalAzure, api: Registered, entra: Entra) -> None:
    """Signed with the keys that the main tenant publishes, with a role that it knows: only audience and issuer tell."""
    stranger = azure.identities["stranger"]
    form = {
        "grant_type": "client_credentials",
        "client_id": stranger["clientId"],
        "client_secret": stranger["clientSecret"],
        "scope": f"{stranger['clientId']}/.default",
    }
    answer = entra.post(form, tenant=azure.other_tenant_id)
    claims = entra.claims(answer["access_token"], stranger["clientId"])
    assert claims["roles"] == ["temporal-system:admin"]
    assert claims["iss"] == f"{azure.origin}/{azure.other_tenant_id}/v2.0"
    assert codes(entra.post(form)) == [700016]
    form["scope"] = f"{api.client_id}/.default"
    assert codes(entra.post(form, tenant=azure.other_tenant_id)) == [500011]


def assertion(subject: str, **changes: Any) -> str:
    claims = {"iss": ISSUER, "sub": subject, "aud": "api://AzureADTokenExchange", "exp": int(time.time()) + 600}
    return jwt.encode(claims | changes, ISSUER_KEY, algorithm="RS256", headers={"kid": "k1"})


def exchange(azure: LocalAzure, client: Registered, presented: str, scope: str) -> str:
    with ClientAssertionCredential(
        client.tenant_id, client.client_id, lambda: presented, **_trust(azure)
    ) as credential:
        return credential.get_token(scope).token


def test_a_federated_credential_gives_a_token_once_the_issuer_is_known(
    azure: LocalAzure, api: Registered, worker: Registered, entra: Entra, registrations: Registrations
) -> None:
    """A workload identity's worker: the cluster's token for Entra's. The local Azure asks no issuer for its keys."""
    issuer, subject = f"{ISSUER}/{fresh_name()}", "system:serviceaccount:orders:worker"
    registrations.federate(worker, issuer=issuer, subject=subject)
    scope = f"{api.client_id}/.default"
    with pytest.raises(ClientAuthenticationError, match="AADSTS501661"):
        exchange(azure, worker, assertion(subject, iss=issuer), scope)
    jwk = RSAAlgorithm.to_jwk(ISSUER_KEY.public_key(), as_dict=True) | {"kid": "k1", "alg": "RS256", "use": "sig"}
    azure.trust_issuer(issuer, {"keys": [jwk]})
    token = exchange(azure, worker, assertion(subject, iss=issuer), scope)
    assert entra.claims(token, api.client_id)["azpacr"] == "2"
    for change, code in (
        ({"sub": "system:serviceaccount:orders:Worker"}, "AADSTS700213"),
        ({"iss": f"{issuer}/"}, "AADSTS700213"),
        ({"aud": "api://azureadtokenexchange"}, "AADSTS700213"),
        ({"exp": 1}, "AADSTS700027"),
    ):
        with pytest.raises(ClientAuthenticationError, match=code):
            exchange(azure, worker, assertion(subject, **({"iss": issuer} | change)), scope)


def test_an_application_made_through_graph_is_known_at_once(azure: LocalAzure, sdk: Sdk, entra: Entra) -> None:
    """Graph and Entra share one directory: what the program declares there is what tokens are made of here."""
    graph = f"{azure.origin}/graph/"
    token = sdk.credential().get_token(f"{graph}/.default").token
    http, headers = entra.http, {"Authorization": f"Bearer {token}"}
    role = {
        "id": "5b2d1b4e-6a39-4b8e-9a55-0d2f5b7c1a11",
        "value": ROLE,
        "displayName": ROLE,
        "description": ROLE,
        "allowedMemberTypes": ["Application"],
    }
    body = {"displayName": fresh_name(), "appRoles": [role], "api": {"requestedAccessTokenVersion": 2}}
    application = http.post("/graph/v1.0/applications", json=body, headers=headers).json()
    principal = http.post("/graph/v1.0/servicePrincipals", json={"appId": application["appId"]}, headers=headers).json()
    client = Registered(
        application["appId"], principal["id"], application["id"], azure.tenant_id, application["displayName"]
    )
    added = http.post(f"/graph/v1.0/applications/{client.application_id}/addPassword", json={}, headers=headers).json()
    scope = f"{client.client_id}/.default"
    assert codes(ask(entra, client, added["keyId"], scope)) == [7000215]
    answer = ask(entra, client, added["secretText"], scope)
    assert "roles" not in entra.claims(answer["access_token"], client.client_id)
    assignment = {"principalId": client.object_id, "resourceId": client.object_id, "appRoleId": role["id"]}
    address = f"/graph/v1.0/servicePrincipals/{client.object_id}/appRoleAssignedTo"
    assert http.post(address, json=assignment, headers=headers).status_code == 201
    answer = ask(entra, client, added["secretText"], scope)
    assert entra.claims(answer["access_token"], client.client_id)["roles"] == [ROLE]
