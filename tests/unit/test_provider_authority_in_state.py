"""An authority whose key is in the state: what pulumi-tls would have made, and the path length that it cannot say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import (
    CheckRequest,
    CreateRequest,
    DiffRequest,
    DiffResponse,
    UpdateRequest,
)

from pki import KeyType, deviations, load_certificate
from plugin import UNKNOWN, PluginError, plain, property_values
from provider.authority_in_state import AUTHORITY_IN_STATE, AuthorityInStateInputs, AuthorityInStateResource
from provider.clock import VARIABLE
from tests.certificates import authority_policy

URN = f"urn:pulumi:dev::temporal-azure::{AUTHORITY_IN_STATE}::clients-1"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Told:
    """An engine that remembers what it was told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    async def warning(self, message: str, urn: str = "") -> None:
        self.warnings.append(message)


def pem(key: Any) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode())


KEYS = {
    KeyType.EC_P256: pem(ec.generate_private_key(ec.SECP256R1())),
    KeyType.EC_P384: pem(ec.generate_private_key(ec.SECP384R1())),
    KeyType.RSA_2048: pem(rsa.generate_private_key(65537, 2048)),
}


def inputs(key_type: KeyType = KeyType.EC_P256, **changes: Any) -> dict[str, Any]:
    policy = authority_policy("clients 1").model_copy(update={"key_type": key_type})
    return {
        "name": "clients-1",
        "policy": policy.model_dump(mode="json", by_alias=True, exclude_none=True),
        "privateKeyPem": KEYS[key_type],
        "renewal": 0,
        **changes,
    }


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, NOW.isoformat())


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def resource(told: Told) -> AuthorityInStateResource:
    return AuthorityInStateResource(told)  # type: ignore[arg-type]


async def created(
    resource: AuthorityInStateResource, given: dict[str, Any], *, preview: bool = False
) -> dict[str, Any]:
    request = CreateRequest(URN, property_values(given), 0, preview=preview)
    return dict(plain((await resource.create(request)).properties))


async def difference(resource: AuthorityInStateResource, state: dict[str, Any], new: dict[str, Any]) -> DiffResponse:
    return await resource.diff(DiffRequest(URN, "clients-1", property_values(state), property_values(new), []))


@pytest.mark.parametrize("key_type", KEYS, ids=str)
async def test_it_is_what_the_policy_asks_for(resource: AuthorityInStateResource, key_type: KeyType) -> None:
    """Custody must not show in the certificate: pulumi-tls leaves a path length of 0 out."""
    state = await created(resource, inputs(key_type))
    certificate = load_certificate(state["certificatePem"])

    assert deviations(certificate, AuthorityInStateInputs.model_validate(inputs(key_type)).policy, None) == []
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert certificate.not_valid_before_utc == NOW.replace(hour=0) - timedelta(hours=1)


async def test_no_output_has_the_key(resource: AuthorityInStateResource) -> None:
    """What an output repeats lies twice in the state, and once without its mark."""
    assert (await created(resource, inputs())).keys() == {"name", "policy", "renewal", "certificatePem"}


async def test_preview_issues_nothing(resource: AuthorityInStateResource) -> None:
    assert (await created(resource, inputs(privateKeyPem=UNKNOWN), preview=True))["certificatePem"] == UNKNOWN


async def test_what_has_not_changed_stays(resource: AuthorityInStateResource, told: Told) -> None:
    """Every certificate below it would be shown with another chain."""
    state = await created(resource, inputs())

    assert not (await difference(resource, state, inputs())).changes
    assert told.warnings == []


async def test_renewal_keeps_the_key(resource: AuthorityInStateResource, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new key under the same name breaks every certificate at once."""
    state = await created(resource, inputs())
    monkeypatch.setenv(VARIABLE, (NOW + timedelta(days=3)).isoformat())
    renewed = inputs(renewal=1)

    found = await difference(resource, state, renewed)
    assert (found.changes, found.replaces) == (True, [])
    request = UpdateRequest("clients-1", URN, property_values(state), property_values(renewed), 0, [], preview=False)
    after = load_certificate(plain((await resource.update(request)).properties)["certificatePem"])
    before = load_certificate(state["certificatePem"])
    assert after.public_key() == before.public_key()
    assert after.not_valid_after_utc == before.not_valid_after_utc + timedelta(days=3)


async def test_another_key_is_refused(resource: AuthorityInStateResource) -> None:
    """A state that lost its key would otherwise go on with another one, silently."""
    state = await created(resource, inputs())
    other = pem(ec.generate_private_key(ec.SECP256R1()))

    with pytest.raises(PluginError, match=r"is not what is asked for: .*its key is another one\. Every certificate"):
        await difference(resource, state, inputs(privateKeyPem=other))
    with pytest.raises(PluginError, match=r"policy\.keyType of the authority \"clients-1\" changed"):
        await difference(resource, state, inputs(KeyType.EC_P384))


async def test_its_end_is_warned_of(
    resource: AuthorityInStateResource, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is never renewed by the clock."""
    state = await created(resource, inputs())
    days = inputs()["policy"]["validityDays"]
    monkeypatch.setenv(VARIABLE, (NOW + timedelta(days=days - 10)).isoformat())

    assert not (await difference(resource, state, inputs())).changes
    assert "raise its renewal" in told.warnings[0]


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"privateKeyPem": "no key"}, "privateKeyPem"),
        ({"privateKeyPem": pem(ec.generate_private_key(ec.SECP521R1()))}, "privateKeyPem"),
        (
            {
                "privateKeyPem": ed25519.Ed25519PrivateKey.generate()
                .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                .decode()
            },
            "privateKeyPem",
        ),
        ({"policy": {**inputs()["policy"], "role": "client", "pathLength": None}}, "policy"),
        ({"renewal": -1}, "renewal"),
    ],
)
async def test_wrong_inputs_are_told_without_the_key(
    resource: AuthorityInStateResource, wrong: dict[str, Any], where: str
) -> None:
    answer = await resource.check(CheckRequest(URN, {}, property_values(inputs(**wrong)), b""))

    assert [failure.property for failure in answer.failures or []] == [where]
    assert all("PRIVATE" not in failure.reason for failure in answer.failures or [])


async def test_check_keeps_the_key_a_secret(resource: AuthorityInStateResource) -> None:
    """Inputs are in the state, as check returns them."""
    answer = await resource.check(CheckRequest(URN, {}, property_values(inputs()), b""))

    key = (answer.inputs or {})["privateKeyPem"]
    assert isinstance(key, PropertyValue)
    assert key.is_secret
