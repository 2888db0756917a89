"""Signing keys, and what of them is published when they roll over."""

from collections.abc import Callable

import jwt
import pytest

from localazure.client import LocalAzure, LocalAzureError
from tests.engine.localazure.entra import Entra
from tests.engine.localazure.sdk import Sdk

VAULT_SCOPE = "https://vault.azure.net/.default"
VAULT = "https://vault.azure.net"


def key_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def published(entra: Entra, tenant: str | None = None) -> list[str]:
    return [key["kid"] for key in entra.jwks(tenant)["keys"]]


def fresh_token(sdk: Sdk) -> str:
    """A new credential has nothing in its cache."""
    return sdk.credential().get_token(VAULT_SCOPE).token


def test_the_key_that_signs_next_is_published_before_it_signs(sdk: Sdk, azure: LocalAzure, entra: Entra) -> None:
    """A server that reads the keys on a timer must know the new one by the time it signs."""
    before, known = fresh_token(sdk), published(entra)
    azure.roll_over_keys()
    after = fresh_token(sdk)
    assert key_of(before) != key_of(after)
    assert {key_of(before), key_of(after)} <= set(known)
    assert len(published(entra)) == len(known) + 1


def test_an_old_token_is_good_for_as_long_as_its_key_is_published(sdk: Sdk, azure: LocalAzure, entra: Entra) -> None:
    """For those who check it elsewhere, and for ARM, which checks it here."""
    elsewhere = fresh_token(sdk)
    tokens = {"old": sdk.credential().get_token(f"{azure.origin}//.default").token}

    def status(token: str) -> int:
        address = f"/subscriptions/{azure.subscription_id}/resourcegroups?api-version=2022-09-01"
        return entra.http.get(address, headers={"Authorization": f"Bearer {tokens[token]}"}).status_code

    azure.roll_over_keys()
    assert entra.claims(elsewhere, VAULT)
    assert status("old") == 200
    azure.roll_over_keys(keep=0)
    assert key_of(elsewhere) not in published(entra)
    assert status("old") == 401
    tokens["new"] = sdk.credential().get_token(f"{azure.origin}//.default").token
    assert status("new") == 200


@pytest.mark.parametrize(("keep", "left"), [(0, 2), (1, 3), (2, 4)])
def test_as_many_old_keys_stay_as_told(azure: LocalAzure, entra: Entra, keep: int, left: int) -> None:
    """The next one and the one that signs are always there."""
    for _ in range(3):
        azure.roll_over_keys()
    azure.roll_over_keys(keep=keep)
    assert len(published(entra)) == left


def test_both_tenants_have_the_same_keys(azure: LocalAzure, entra: Entra) -> None:
    """Which is why a signature proves nothing of the tenant; only their issuers differ."""
    main, other = entra.jwks(), entra.jwks(azure.other_tenant_id)
    assert published(entra) == published(entra, azure.other_tenant_id)
    assert {key["issuer"] for key in main["keys"]} == {f"{azure.origin}/{azure.tenant_id}/v2.0"}
    assert {key["issuer"] for key in other["keys"]} == {f"{azure.origin}/{azure.other_tenant_id}/v2.0"}


def test_a_published_key_has_no_more_than_a_key_needs(entra: Entra) -> None:
    """Nothing private, of course; and go-jose, the UI's, refuses all keys for an x5t that is no certificate's."""
    for key in entra.jwks()["keys"]:
        assert key.keys() == {"kty", "use", "alg", "kid", "n", "e", "issuer"}


def test_keys_outlive_a_restart(start: Callable[..., tuple[LocalAzure, Sdk]]) -> None:
    """A token that was good before is good after it."""
    azure, sdk = start()
    azure.roll_over_keys()
    token = fresh_token(sdk)
    azure.stop()
    azure, sdk = start()
    with Entra(azure) as entra:
        assert entra.claims(token, VAULT)
    assert key_of(fresh_token(sdk)) == key_of(token)


def test_a_wrong_rollover_is_refused(azure: LocalAzure, entra: Entra) -> None:
    """And nothing is rolled over."""
    before = published(entra)
    with pytest.raises(LocalAzureError, match="keep"):
        azure.roll_over_keys(keep=-1)
    assert published(entra) == before


@pytest.mark.parametrize("tenant", ["tenant_id", "other_tenant_id"])
def test_discovery_names_every_endpoint_of_the_tenant(azure: LocalAzure, entra: Entra, tenant: str) -> None:
    """Clients follow these addresses; the UI compares the issuer with the address that it asked."""
    base = f"{azure.origin}/{getattr(azure, tenant)}"
    found = entra.http.get(f"{base}/v2.0/.well-known/openid-configuration").json()
    assert found["issuer"] == f"{base}/v2.0"
    assert found["end_session_endpoint"] == f"{base}/oauth2/v2.0/logout"
    assert found["userinfo_endpoint"] == f"{azure.origin}/oidc/userinfo"
    assert "client_secret_basic" in found["token_endpoint_auth_methods_supported"]
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        assert found[name].startswith(f"{base}/")
