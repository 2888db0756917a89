"""What the provider reads from a vault, and what it deletes there: refresh, import and destroy."""

from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from cryptography.hazmat.primitives.serialization import Encoding
from pulumi.provider.experimental.provider import DeleteRequest, DiffRequest, ReadRequest, ReadResponse

from cloud import Endpoints, Identity, Session
from pki import IssuancePolicy
from plugin import PluginError, plain, property_values
from provider.clock import VARIABLE
from provider.inputs import COMPUTED_NAMES, INPUT_NAMES
from provider.ownership import Owner
from provider.plugin import KeyVaultProvider
from tests.certificates import NOW, OTHER_KEY, Issued, authority_policy, issue, leaf_policy
from tests.unit.test_provider_plugin import (
    AUTHORITY,
    AUTHORITY_INPUTS,
    AUTHORITY_STATE,
    LEAF,
    LEAF_INPUTS,
    LEAF_STATE,
    URN,
    VAULT,
    VERSION,
    Listener,
)

ID = f"{VAULT}certificates/orders"
OTHER_VERSION = "fedcba9876543210fedcba9876543210"


OWN = Owner(URN).tags


class Vault:
    """The versions of `orders` in a vault, as much of them as is read and deleted."""

    def __init__(self) -> None:
        self.versions: list[Any] = []
        self.deleted: list[str] = []

    def holds(self, issued: Issued | None, *, version: str = VERSION, tags: dict[str, str] | None = OWN) -> None:
        """Hold a newer version; without a certificate it is still pending."""
        created_on = NOW + len(self.versions) * timedelta(days=1)
        self.versions.append(
            SimpleNamespace(
                id=f"{VAULT}certificates/orders/{version}",
                key_id=f"{VAULT}keys/orders/{version}",
                secret_id=f"{VAULT}secrets/orders/{version}",
                cer=issued.certificate.public_bytes(Encoding.DER) if issued else None,
                properties=SimpleNamespace(tags=tags, version=version, created_on=created_on, enabled=True),
            )
        )

    async def get_certificate(self, name: str) -> Any:
        if not self.versions:
            raise ResourceNotFoundError("CertificateNotFound")
        return self.versions[-1]

    async def get_certificate_version(self, name: str, version: str) -> Any:
        [found] = [held for held in self.versions if held.properties.version == version]
        return found

    async def list_properties_of_certificate_versions(self, name: str) -> AsyncIterator[Any]:
        for held in self.versions:
            yield held.properties

    async def delete_certificate(self, name: str, **_: Any) -> None:
        self.deleted.append(name)


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def provider(listener: Listener, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> KeyVaultProvider:
    monkeypatch.setenv(VARIABLE, NOW.isoformat())
    monkeypatch.setattr(Session, "certificates", lambda self, address: vault)

    async def open_session(identity: Identity) -> Session:
        return Session(
            identity,
            Endpoints(
                authority="",
                resource_manager="",
                resource_manager_audience="",
                key_vault_suffix="",
                microsoft_graph=None,
            ),
        )

    monkeypatch.setattr(Session, "open", open_session)
    return KeyVaultProvider(listener)  # type: ignore[arg-type]


async def refresh(provider: KeyVaultProvider, state: dict[str, Any]) -> ReadResponse:
    inputs = {name: state[name] for name in INPUT_NAMES if name in state}
    return await provider.read(ReadRequest(URN, ID, property_values(state), property_values(inputs)))


async def imported(provider: KeyVaultProvider, resource_id: str = ID) -> ReadResponse:
    return await provider.read(ReadRequest(URN, resource_id, {}, {}))


# Refresh


@pytest.mark.parametrize(
    ("issued", "state", "inputs"),
    [(LEAF, LEAF_STATE, LEAF_INPUTS), (AUTHORITY, AUTHORITY_STATE | {"chainPem": []}, AUTHORITY_INPUTS)],
    ids=["leaf", "authority"],
)
async def test_a_refresh_of_what_is_unchanged_changes_nothing(
    provider: KeyVaultProvider, vault: Vault, issued: Issued, state: dict[str, Any], inputs: dict[str, Any]
) -> None:
    """A refresh before each run would show changes for ever."""
    if issued is AUTHORITY:
        state = state | {"secretId": None}
    vault.holds(issued)
    response = await refresh(provider, state)
    assert response.resource_id == ID
    assert plain(response.properties or {}) == state
    assert plain(response.inputs or {}) == inputs


async def test_a_refresh_sees_that_it_is_gone(provider: KeyVaultProvider) -> None:
    """The engine makes it again: without that, a consumer finds out."""
    assert (await refresh(provider, LEAF_STATE)).resource_id == ""


async def test_a_refresh_sees_a_version_that_somebody_made(provider: KeyVaultProvider, vault: Vault) -> None:
    """It has our name, and consumers would take it up: the next run must issue anew."""
    vault.holds(issue(leaf_policy(), issue(authority_policy(), owner=OTHER_KEY)), version=OTHER_VERSION, tags={})
    response = await refresh(provider, LEAF_STATE)
    found = plain(response.properties or {})
    assert found["version"] == OTHER_VERSION
    assert found["certificateId"] == f"{ID}/{OTHER_VERSION}"
    assert plain(response.inputs or {}) == LEAF_INPUTS
    request = DiffRequest(URN, ID, response.properties or {}, property_values(LEAF_INPUTS), ignore_changes=[])
    assert [*(await provider.diff(request)).detailed_diff] == ["certificatePem"]


async def test_a_version_that_somebody_adds_to_an_authority_is_passed_over(
    provider: KeyVaultProvider, vault: Vault, listener: Listener
) -> None:
    """With it in the state, the next run would have leaves issued with another's key."""
    vault.holds(AUTHORITY)
    vault.holds(issue(authority_policy(), owner=OTHER_KEY), version=OTHER_VERSION, tags={})
    found = plain((await refresh(provider, AUTHORITY_STATE)).properties or {})
    assert (found["version"], found["certificatePem"]) == (VERSION, AUTHORITY_STATE["certificatePem"])
    [(kind, message, urn)] = listener.said
    assert (kind, urn) == ("warning", URN)
    assert OTHER_VERSION in message


async def test_a_refresh_during_a_renewal_keeps_what_is_known(provider: KeyVaultProvider, vault: Vault) -> None:
    """A request that a killed run left pending is the vault's latest version, and has no certificate."""
    vault.holds(None, version=OTHER_VERSION)
    assert plain((await refresh(provider, LEAF_STATE)).properties or {}) == LEAF_STATE


# Import


@pytest.mark.parametrize("issued", [LEAF, AUTHORITY], ids=["leaf", "authority"])
@pytest.mark.parametrize("resource_id", [ID, f"{ID}/", f"{ID}/{VERSION}"])
async def test_an_import_writes_a_whole_state(
    provider: KeyVaultProvider, vault: Vault, issued: Issued, resource_id: str
) -> None:
    """What is missing would be found out by the next run, and what is wrong by the next import."""
    vault.holds(issued)
    response = await imported(provider, resource_id)
    state, inputs = plain(response.properties or {}), plain(response.inputs or {})
    assert response.resource_id == ID
    assert {name: state[name] for name in inputs} == inputs
    assert state.keys() == inputs.keys() | set(COMPUTED_NAMES)
    assert IssuancePolicy.model_validate(inputs["policy"]) == IssuancePolicy.of(issued.certificate)
    assert (state["secretId"] is None) is (issued is AUTHORITY)


@pytest.mark.parametrize("resource_id", [ID, f"{VAULT}secrets/orders", "orders"])
async def test_an_import_of_what_is_not_there_is_refused(provider: KeyVaultProvider, resource_id: str) -> None:
    """An empty answer writes a phantom into the state."""
    with pytest.raises(PluginError, match=rf"{resource_id} cannot be imported: .*The state was not changed"):
        await imported(provider, resource_id)


async def test_an_import_of_what_is_pending_is_refused(provider: KeyVaultProvider, vault: Vault) -> None:
    vault.holds(None)
    with pytest.raises(PluginError, match="cannot be imported: there is no such certificate"):
        await imported(provider)


async def test_a_preview_after_an_import_says_what_is_taken_up(provider: KeyVaultProvider, vault: Vault) -> None:
    vault.holds(LEAF)
    response = await imported(provider)
    request = DiffRequest(URN, ID, response.properties or {}, property_values(LEAF_INPUTS), ignore_changes=[])
    diff = await provider.diff(request)
    assert diff.replaces == []
    assert diff.diffs == ["issuer", "tags", "vaultId"]


# Destroy


async def delete(provider: KeyVaultProvider, state: dict[str, Any]) -> None:
    await provider.delete(DeleteRequest(URN, ID, property_values(state), timeout=0))


async def test_what_is_ours_is_deleted(provider: KeyVaultProvider, vault: Vault, listener: Listener) -> None:
    vault.holds(LEAF, tags={**OWN, "owner": "shop"})
    await delete(provider, LEAF_STATE)
    assert vault.deleted == ["orders"]
    assert listener.said == []


@pytest.mark.parametrize("tags", [None, {}, Owner(URN.replace("dev", "prod")).tags])
async def test_what_belongs_to_somebody_else_is_left(
    provider: KeyVaultProvider, vault: Vault, listener: Listener, tags: dict[str, str] | None
) -> None:
    """Destroying one stack would take away another's certificate of the same name."""
    vault.holds(LEAF, tags=tags)
    await delete(provider, LEAF_STATE)
    assert vault.deleted == []
    [(kind, message, urn)] = listener.said
    assert (kind, urn) == ("warning", URN)
    assert "was left as it is" in message


async def test_what_is_gone_is_deleted(provider: KeyVaultProvider, vault: Vault, listener: Listener) -> None:
    """A destroy that was killed could not be finished."""
    await delete(provider, LEAF_STATE)
    assert vault.deleted == []
    assert listener.said == []
