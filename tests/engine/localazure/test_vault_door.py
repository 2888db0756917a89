"""What happens to a request before a vault's data plane sees it: challenge, token, firewall, roles, limits."""

import time
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.keyvault.keys import KeyClient
from azure.keyvault.secrets import SecretClient

from localazure.client import LocalAzure
from tests.engine.localazure.sdk import Sdk
from tools.processes import wait_until

ADMINISTRATOR = "00482a5a-887f-4fb3-b363-3b7fe8e74483"
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
VAULT_SCOPE = "https://vault.azure.net/.default"


class Door:
    """A vault in which the deployer may do everything, with a secret `ui` in it."""

    def __init__(self, sdk: Sdk, stack: ExitStack) -> None:
        self.sdk = sdk
        self.group = sdk.create_group()
        vault = sdk.create_vault(self.group)
        self.id: str = vault.id
        self.name: str = vault.name
        self.uri: str = vault.properties.vault_uri
        self._stack = stack
        sdk.assign("deployer", ADMINISTRATOR, self.id)
        self.secrets().set_secret("ui", "value")

    def secrets(self, identity: str = "deployer", **changes: Any) -> SecretClient:
        return self._stack.enter_context(SecretClient(self.uri, **self._how(identity, changes)))

    def keys(self) -> KeyClient:
        return self._stack.enter_context(KeyClient(self.uri, **self._how("deployer", {})))

    def refusal(self, identity: str = "deployer") -> tuple[int | None, str | None]:
        """Status and inner code with which reading the secret is refused; (200, None) if it is not."""
        try:
            self.secrets(identity).get_secret("ui")
        except HttpResponseError as error:
            inner = error.error.innererror if error.error else None
            return error.status_code, inner["code"] if inner else None
        return 200, None

    def ask(self, token: str | None = None, path: str = "secrets/ui?api-version=7.6") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx.Client(verify=self.sdk.azure.tls_context(), trust_env=False) as http:
            return http.get(f"{self.uri}{path}", headers=headers)

    def patch(self, **properties: Any) -> None:
        self.sdk.vaults().vaults.update(self.group, self.name, {"properties": properties})

    def _how(self, identity: str, changes: dict[str, Any]) -> dict[str, Any]:
        how = {"verify_challenge_resource": False, "retry_total": 0, **self.sdk.trust}
        return {"credential": self.sdk.credential(identity), **how, **changes}


@pytest.fixture
def door(sdk: Sdk) -> Any:
    with ExitStack() as stack:
        yield Door(sdk, stack)


def test_a_request_without_a_token_is_told_where_to_get_one(door: Door, azure: LocalAzure) -> None:
    """The SDKs learn tenant and resource from this header, and send no body before it."""
    answer = door.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "Unauthorized")
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer authorization="{azure.origin}/{azure.tenant_id}", resource="https://vault.azure.net"'
    )


def test_a_token_for_another_resource_opens_no_vault(door: Door, sdk: Sdk, azure: LocalAzure) -> None:
    """A token for ARM is not one for the vault, whoever holds it."""
    arm_token = sdk.credential().get_token(f"{azure.origin}//.default").token
    assert "AKV10022" in door.ask(arm_token).json()["error"]["message"]
    assert door.ask(sdk.credential().get_token(VAULT_SCOPE).token).status_code == 200


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_tampered_token_is_refused(door: Door, sdk: Sdk, part: int) -> None:
    """Header, claims and signature: none may be changed."""
    parts = sdk.credential().get_token(VAULT_SCOPE).token.split(".")
    parts[part] = parts[part][:10] + ("A" if parts[part][10] != "A" else "B") + parts[part][11:]
    assert door.ask(".".join(parts)).status_code == 401


def test_an_expired_token_is_refused(door: Door, sdk: Sdk, azure: LocalAzure) -> None:
    """A long run outlives its token: the client must fetch another one when it is told."""
    azure.dials(tokenLifetimeSeconds=1)
    token = sdk.credential().get_token(VAULT_SCOPE).token
    wait_until(lambda: door.ask(token).status_code == 401, "the token has ended")
    assert "expired" in door.ask(token).json()["error"]["message"]


def test_a_firewall_refuses_with_its_own_code_from_the_next_request_on(door: Door) -> None:
    """It must not be mistaken for a role that has not propagated: waiting would not help."""
    door.patch(networkAcls={"defaultAction": "Deny", "ipRules": [{"value": "203.0.113.0/24"}]})
    assert door.refusal() == (403, "ForbiddenByFirewall")
    door.patch(networkAcls={"defaultAction": "Deny", "ipRules": [{"value": "127.0.0.1"}]})
    assert door.refusal() == (200, None)


def test_a_closed_public_endpoint_refuses_even_listed_addresses(door: Door) -> None:
    """publicNetworkAccess and networkAcls are two gates."""
    door.patch(publicNetworkAccess="Disabled", networkAcls={"ipRules": [{"value": "127.0.0.1"}]})
    assert door.refusal() == (403, "ForbiddenByConnection")
    door.patch(publicNetworkAccess="Enabled")
    assert door.refusal() == (200, None)


def test_who_has_no_role_is_refused_and_one_secret_can_be_opened_alone(door: Door, sdk: Sdk) -> None:
    """Secrets User on a vault would read every consumer's key: the scope is one secret."""
    assert door.refusal("reader-cli") == (403, "ForbiddenByRbac")
    sdk.assign("reader-cli", SECRETS_USER, f"{door.id}/secrets/ui")
    assert door.refusal("reader-cli") == (200, None)
    door.secrets().set_secret("server", "value")
    with pytest.raises(HttpResponseError) as refused:
        door.secrets("reader-cli").get_secret("server")
    assert refused.value.status_code == 403


def test_a_vault_without_rbac_refuses_with_another_code(door: Door) -> None:
    """azure-native's default is access policies: the message must not read like a missing role."""
    door.patch(enableRbacAuthorization=False)
    assert door.refusal() == (403, "AccessDenied")


def test_a_role_takes_time_to_reach_the_data_plane(door: Door, sdk: Sdk, azure: LocalAzure) -> None:
    """The program must wait for ForbiddenByRbac, and is tested against one that ends."""
    azure.dials(rbacPropagationSeconds=3600)
    sdk.assign("reader-worker", SECRETS_USER, door.id)
    assert door.refusal("reader-worker") == (403, "ForbiddenByRbac")
    azure.dials(rbacPropagationSeconds=0.1)
    wait_until(lambda: door.refusal("reader-worker") == (200, None), "the role has arrived")


def test_an_old_token_waits_longer_than_a_fresh_one(door: Door, sdk: Sdk, azure: LocalAzure) -> None:
    """A retry with the cached token would be refused for its whole life on Azure."""
    azure.dials(staleTokenSeconds=3600)
    old = sdk.credential("reader-worker").get_token(VAULT_SCOPE).token
    taken = int(time.time())
    wait_until(lambda: int(time.time()) > taken, "a second has passed")
    sdk.assign("reader-worker", SECRETS_USER, door.id)
    assert door.ask(old).status_code == 403
    assert door.refusal("reader-worker") == (200, None)


def test_key_creations_are_limited_apart_from_other_requests(door: Door, azure: LocalAzure) -> None:
    """A certificate creates a key: Azure takes 20 in ten seconds, and says when to come back."""
    keys = door.keys()
    keys.create_ec_key("first")
    azure.dials(keyCreationsPer10s=2)
    keys.create_ec_key("second")
    with pytest.raises(HttpResponseError) as refused:
        keys.create_ec_key("third")
    assert refused.value.status_code == 429
    response: Any = refused.value.response
    assert 1 <= int(response.headers["Retry-After"]) <= 10
    assert door.refusal() == (200, None)


def test_other_requests_are_limited_too(door: Door, azure: LocalAzure) -> None:
    """4,000 in ten seconds on Azure: here as many as the dial says."""
    azure.dials(transactionsPer10s=1)
    assert door.refusal() == (429, None)


def test_a_dialled_fault_happens_as_often_as_it_says_and_is_retried_by_the_sdk(door: Door, azure: LocalAzure) -> None:
    """Retrying is the SDK's business, as the service asks: no loop of our own is needed for it."""
    last = azure.requests()[-1]["n"]
    azure.dials(faults=[{"match": "GET /secrets/", "status": 503, "times": 2, "retryAfterSeconds": 0}])
    assert door.secrets(retry_total=3, retry_backoff_factor=0).get_secret("ui").value == "value"
    asked = [r["status"] for r in azure.requests(last) if r["host"] == "vault"]
    assert asked == [503, 503, 200]


def test_a_deleted_vault_does_not_listen_and_a_recovered_one_has_what_it_had(door: Door, sdk: Sdk) -> None:
    """`down` and `up`: certificates come back with their vault, at the same address."""
    sdk.vaults().vaults.delete(door.group, door.name)
    with pytest.raises(httpx.ConnectError):
        door.ask()
    sdk.create_vault(door.group, door.name, createMode="recover")
    assert door.refusal() == (403, "ForbiddenByRbac")
    sdk.assign("deployer", ADMINISTRATOR, door.id)
    assert door.secrets().get_secret("ui").value == "value"


def test_a_purged_vault_leaves_nothing_to_its_successor(door: Door, sdk: Sdk) -> None:
    """A new vault of the same name must not serve the keys of the old one."""
    sdk.vaults().vaults.delete(door.group, door.name)
    sdk.vaults().vaults.begin_purge_deleted(door.name, "westeurope").result()
    successor = sdk.create_vault(door.group, door.name)
    sdk.assign("deployer", ADMINISTRATOR, successor.id)
    door.uri = successor.properties.vault_uri
    assert door.refusal() == (404, None)


def test_what_the_vault_does_not_serve_is_501(door: Door, sdk: Sdk) -> None:
    """Clients retry 404 and other 5xx for minutes."""
    token = sdk.credential().get_token(VAULT_SCOPE).token
    answer = door.ask(token, "storage?api-version=7.6")
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "NotImplemented")


def test_a_request_without_an_api_version_is_refused(door: Door, sdk: Sdk) -> None:
    """The version is pinned by every client; one that forgets it would get whatever Azure feels like."""
    token = sdk.credential().get_token(VAULT_SCOPE).token
    assert door.ask(token, "secrets/ui").status_code == 400


def test_a_wrong_secret_is_an_authentication_error_at_the_vault_too(door: Door, sdk: Sdk) -> None:
    """The credential fails before the vault is asked again."""
    wrong = door.secrets(credential=sdk.credential(client_secret="wrong"))
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        wrong.get_secret("ui")
