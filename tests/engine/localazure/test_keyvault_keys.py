"""Keys through the official SDK: signatures, what a key may be asked, and that no private key comes out."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.keyvault.certificates import CertificatePolicy
from azure.keyvault.keys import KeyClient, KeyCurveName, KeyOperation, KeyVaultKey
from azure.keyvault.keys.aio import KeyClient as AsyncKeyClient
from azure.keyvault.keys.crypto import SignatureAlgorithm
from azure.keyvault.keys.crypto.aio import CryptographyClient as AsyncCryptographyClient
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from localazure.client import LocalAzure
from localazure.keyvault import material
from tests.engine.localazure.sdk import Sdk
from tests.engine.localazure.vault_clients import VaultClients, fresh, private_encodings, refusal, version_of

HASHES: dict[str, hashes.HashAlgorithm] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES = {
    "ES256": (KeyCurveName.p_256, ec.SECP256R1()),
    "ES384": (KeyCurveName.p_384, ec.SECP384R1()),
    "ES512": (KeyCurveName.p_521, ec.SECP521R1()),
}
STORE = "state.sqlite3"
NON_EXPORTABLE = CertificatePolicy("Self", subject="CN=x", key_type="EC", exportable=False)


@pytest.fixture(autouse=True)
def prompt_issuer(azure: LocalAzure) -> None:
    azure.dials(certificatePendingPolls=0)


@pytest.fixture(scope="module")
def vault(running_azure: LocalAzure) -> Iterator[VaultClients]:
    """One for all tests: each has its own names in it."""
    with ExitStack() as stack:
        yield VaultClients(Sdk(running_azure, stack), stack)


@pytest.fixture
def client(vault: VaultClients) -> KeyClient:
    return vault.keys()


@pytest.fixture(scope="module")
def rsa_key(vault: VaultClients) -> KeyVaultKey:
    return vault.keys().create_rsa_key(fresh(), size=2048)


def number(key: KeyVaultKey, member: str) -> int:
    """A number of the JSON Web Key."""
    return int.from_bytes(getattr(key.key, member), "big")


def digest(algorithm: hashes.HashAlgorithm) -> bytes:
    hasher = hashes.Hash(algorithm)
    hasher.update(b"to be signed")
    return hasher.finalize()


class TestSignatures:
    @pytest.mark.parametrize("name", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
    def test_an_rsa_signature_verifies_with_the_public_key(
        self, vault: VaultClients, rsa_key: KeyVaultKey, name: str
    ) -> None:
        """A certificate with another padding than it says is refused by every peer."""
        algorithm = HASHES[name[2:]]
        signed = vault.cryptography(rsa_key.id).sign(SignatureAlgorithm(name), digest(algorithm))
        assert signed.key_id == rsa_key.id
        scheme: padding.AsymmetricPadding = padding.PKCS1v15()
        if name.startswith("PS"):
            scheme = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
        public_key = rsa.RSAPublicNumbers(number(rsa_key, "e"), number(rsa_key, "n")).public_key()
        public_key.verify(signed.signature, digest(algorithm), scheme, Prehashed(algorithm))

    @pytest.mark.parametrize("name", CURVES)
    def test_an_elliptic_curve_signature_is_r_and_s_side_by_side(
        self, vault: VaultClients, client: KeyClient, name: str
    ) -> None:
        """Whoever takes it for DER makes certificates that nothing verifies."""
        curve_name, curve = CURVES[name]
        key = client.create_ec_key(fresh(), curve=curve_name)
        algorithm = HASHES[name[2:]]
        signature = vault.cryptography(key.id).sign(SignatureAlgorithm(name), digest(algorithm)).signature
        half = (curve.key_size + 7) // 8
        assert len(signature) == 2 * half
        r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        point = ec.EllipticCurvePublicNumbers(number(key, "x"), number(key, "y"), curve)
        point.public_key().verify(encode_dss_signature(r, s), digest(algorithm), ec.ECDSA(Prehashed(algorithm)))

    async def test_the_asynchronous_client_signs_too(self, vault: VaultClients) -> None:
        options = vault.async_options()
        async with options["credential"], AsyncKeyClient(vault.uri, **options) as keys:
            key = await keys.create_ec_key(fresh())
            async with AsyncCryptographyClient(key, **options) as crypto:
                signed = await crypto.sign(SignatureAlgorithm.es256, digest(hashes.SHA256()))
                verified = await crypto.verify(SignatureAlgorithm.es256, digest(hashes.SHA256()), signed.signature)
                assert verified.is_valid
            assert key.name in [each.name async for each in keys.list_properties_of_keys()]

    def test_the_vault_verifies_what_it_signed_and_nothing_else(self, client: KeyClient) -> None:
        """The SDK verifies by itself when it can, so the route is asked directly."""
        key = client.create_ec_key(fresh())
        content = {"alg": "ES256", "value": material.base64url(digest(hashes.SHA256()))}
        signature = ask(client, key, "sign", content)["value"]
        for value, valid in ((signature, True), (material.base64url(bytes(64)), False)):
            verify = {"alg": "ES256", "digest": content["value"], "value": value}
            assert ask(client, key, "verify", verify) == {"value": valid}

    def test_a_key_without_its_version_is_the_newest(self, vault: VaultClients, client: KeyClient) -> None:
        name = fresh()
        old, new = client.create_ec_key(name), client.create_ec_key(name)
        response = client.send_request(
            HttpRequest("POST", f"/keys/{name}//sign", json={"alg": "ES256", "value": material.base64url(bytes(32))})
        )
        assert response.json()["kid"] == new.id
        assert vault.cryptography(f"{vault.uri}keys/{name}").sign(SignatureAlgorithm.es256, bytes(32)).key_id == new.id
        assert client.get_key(name, old.properties.version).id == old.id
        assert {each.version for each in client.list_properties_of_key_versions(name)} == {
            old.properties.version,
            new.properties.version,
        }

    def test_a_digest_of_another_length_is_refused(self, client: KeyClient, rsa_key: KeyVaultKey) -> None:
        content = {"alg": "RS256", "value": material.base64url(bytes(48))}
        assert refused(client, rsa_key, content) == (
            400,
            "BadParameter",
            None,
            "Invalid length of 'value': 48 bytes. RS256 requires 32 bytes, encoded with base64url.",
        )

    @pytest.mark.parametrize(
        ("algorithm", "size"), [("ES256", 32), ("none", 32), ("HS256", 32)], ids=["other type", "none", "symmetric"]
    )
    def test_an_algorithm_of_another_key_is_refused(
        self, client: KeyClient, rsa_key: KeyVaultKey, algorithm: str, size: int
    ) -> None:
        content = {"alg": algorithm, "value": material.base64url(bytes(size))}
        assert refused(client, rsa_key, content)[:3] == (400, "BadParameter", None)

    def test_a_curve_of_another_size_is_refused(self, client: KeyClient) -> None:
        key = client.create_ec_key(fresh(), curve=KeyCurveName.p_384)
        content = {"alg": "ES256", "value": material.base64url(bytes(32))}
        assert refused(client, key, content)[:2] == (400, "BadParameter")


class TestUse:
    def test_a_key_does_only_what_it_was_made_for(self, client: KeyClient) -> None:
        key = client.create_rsa_key(fresh(), key_operations=[KeyOperation.verify])
        assert key.key_operations == ["verify"]
        content = {"alg": "RS256", "value": material.base64url(bytes(32))}
        assert refused(client, key, content) == (
            403,
            "Forbidden",
            "KeyOperationForbidden",
            "Operation sign is not permitted on this key.",
        )
        client.update_key_properties(key.name, key_operations=[KeyOperation.sign])
        assert ask(client, key, "sign", content)["kid"] == key.id

    def test_a_disabled_key_does_nothing_and_can_be_read(self, client: KeyClient) -> None:
        key = client.create_ec_key(fresh(), enabled=False)
        content = {"alg": "ES256", "value": material.base64url(bytes(32))}
        assert refused(client, key, content)[:3] == (403, "Forbidden", "KeyDisabled")
        assert client.get_key(key.name).properties.enabled is False

    def test_a_key_signs_within_its_validity_only_and_verifies_for_ever(self, client: KeyClient) -> None:
        """An authority whose certificate has expired can sign nothing on Azure, its own successor included."""
        now = datetime.now(UTC)
        content = {"alg": "ES256", "value": material.base64url(bytes(32))}
        past, future = now - timedelta(days=1), now + timedelta(days=1)
        key = client.create_ec_key(fresh(), not_before=past, expires_on=future)
        signature = ask(client, key, "sign", content)["value"]
        client.update_key_properties(key.name, not_before=future, expires_on=future)
        assert refused(client, key, content)[:3] == (403, "Forbidden", "KeyNotYetValid")
        client.update_key_properties(key.name, not_before=past, expires_on=past)
        assert refused(client, key, content)[:3] == (403, "Forbidden", "KeyExpired")
        verify = {"alg": "ES256", "digest": content["value"], "value": signature}
        assert ask(client, key, "verify", verify) == {"value": True}

    @pytest.mark.parametrize(
        ("usages", "operations"),
        [
            (["digitalSignature"], ["sign", "verify"]),
            (["keyCertSign", "cRLSign"], ["sign", "verify"]),
            (["keyEncipherment"], ["wrapKey", "unwrapKey"]),
            (["dataEncipherment"], ["encrypt", "decrypt"]),
            (["digitalSignature", "keyEncipherment"], ["sign", "verify", "wrapKey", "unwrapKey"]),
            ([], ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]),
            (None, ["sign", "verify", "wrapKey", "unwrapKey"]),
        ],
        ids=str,
    )
    def test_the_key_of_a_certificate_does_what_the_usages_in_its_policy_say(
        self, vault: VaultClients, client: KeyClient, usages: list[str] | None, operations: list[str]
    ) -> None:
        """An authority without keyCertSign or digitalSignature in its policy cannot sign on Azure."""
        name = fresh()
        properties = {"subject": "CN=x"} | ({} if usages is None else {"key_usage": usages})
        policy = {"issuer": {"name": "Self"}, "x509_props": properties}
        certificates = vault.certificates()
        certificates.send_request(HttpRequest("POST", f"/certificates/{name}/create", json={"policy": policy}))
        certificates.get_certificate_operation(name)
        assert client.get_key(name).key_operations == operations

    def test_the_key_of_a_certificate_is_changed_through_it_alone(self, vault: VaultClients, client: KeyClient) -> None:
        name = fresh()
        vault.create(NON_EXPORTABLE, name)
        for change in (
            lambda: client.update_key_properties(name, enabled=False),
            lambda: client.create_ec_key(name),
            lambda: client.begin_delete_key(name),
        ):
            assert "associated with a certificate" in refusal(change, 403, "Forbidden", "KeyManagedByKeyVault")
        vault.certificates().begin_delete_certificate(name, _polling_interval=0).wait()
        refusal(lambda: client.begin_recover_deleted_key(name), 403, "Forbidden", "KeyManagedByKeyVault")
        refusal(lambda: client.purge_deleted_key(name), 403, "Forbidden", "KeyManagedByKeyVault")

    def test_hsm_keys_need_a_premium_vault_and_are_not_exportable(self, sdk: Sdk, client: KeyClient) -> None:
        refusal(lambda: client.create_rsa_key(fresh(), hardware_protected=True), 400, "BadParameter")
        with ExitStack() as stack:
            premium = VaultClients(sdk, stack, sku={"family": "A", "name": "premium"})
            key = premium.keys().create_ec_key(fresh(), hardware_protected=True)
            assert key.key_type == "EC-HSM"
            policy = CertificatePolicy("Self", subject="CN=x", key_type="RSA-HSM", exportable=True)
            refusal(lambda: premium.certificates().begin_create_certificate(fresh(), policy), 400, "BadParameter")

    @pytest.mark.parametrize("content", [{"kty": "oct"}, {"kty": "RSA", "key_size": 1024}, {"kty": "EC", "crv": "X"}])
    def test_a_key_that_is_not_offered_is_refused(self, client: KeyClient, content: dict[str, Any]) -> None:
        assert client.send_request(HttpRequest("POST", f"/keys/{fresh()}/create", json=content)).status_code == 400


class TestLife:
    def test_delete_recover_and_purge(self, client: KeyClient) -> None:
        name = fresh()
        key = client.create_ec_key(name, tags={"a": "b"})
        deleted = client.begin_delete_key(name, _polling_interval=0).result()
        assert deleted.id == key.id
        with pytest.raises(ResourceNotFoundError):
            client.get_key(name)
        refusal(lambda: client.create_ec_key(name), 409, "Conflict", "ObjectIsDeletedButRecoverable")
        assert name in [each.name for each in client.list_deleted_keys()]
        assert client.begin_recover_deleted_key(name, _polling_interval=0).result().properties.tags == {"a": "b"}
        client.begin_delete_key(name, _polling_interval=0).wait()
        client.purge_deleted_key(name)
        message = refusal(lambda: client.get_deleted_key(name), 404, "KeyNotFound")
        assert message == f"Deleted Key not found: {name}"
        assert client.create_ec_key(name).id != key.id

    def test_what_is_not_there_is_not_found_in_azures_words(self, client: KeyClient) -> None:
        name = fresh()
        message = refusal(lambda: client.get_key(name, "0" * 32), 404, "KeyNotFound")
        assert message.startswith(f"A key with (name/id) {name}/{'0' * 32} was not found in this key vault.")

    def test_names_are_compared_without_case(self, client: KeyClient) -> None:
        key = client.create_ec_key("Upper-" + fresh())
        assert client.get_key(key.name.lower()).id == key.id

    def test_an_impossible_name_is_refused(self, client: KeyClient) -> None:
        refusal(lambda: client.get_key("under_score"), 400, "BadParameter")


class TestCustody:
    def test_no_answer_and_no_log_has_the_key_of_an_authority(
        self, vault: VaultClients, client: KeyClient, azure: LocalAzure
    ) -> None:
        """The one thing that a vault is for: here the test looks for the key that it reads from the store itself."""
        name = fresh()
        created = vault.create(NON_EXPORTABLE, name)
        version = version_of(created)
        answers = [
            asked(client, *operation.split())
            for operation in (
                f"GET /certificates/{name}",
                f"GET /certificates/{name}/{version}",
                f"GET /certificates/{name}/pending",
                f"GET /certificates/{name}/policy",
                f"GET /certificates/{name}/versions",
                f"POST /certificates/{name}/backup",
                f"GET /keys/{name}",
                f"GET /keys/{name}/{version}",
                f"GET /keys/{name}/versions",
                f"POST /keys/{name}/backup",
                f"GET /secrets/{name}",
                f"GET /secrets/{name}/{version}",
                f"POST /secrets/{name}/backup",
                f"DELETE /certificates/{name}",
                f"GET /deletedcertificates/{name}",
                f"GET /deletedkeys/{name}",
                f"GET /deletedsecrets/{name}",
            )
        ]
        logs = [path.read_text() for path in azure.state.iterdir() if path.name == "log" or path.suffix == ".jsonl"]
        assert len(logs) >= 2
        haystack = "\n".join([*answers, *logs])
        for encoding in private_encodings(stored_key(azure, vault, name)):
            assert encoding not in haystack

    def test_the_search_finds_a_key_that_may_be_seen(self, vault: VaultClients, azure: LocalAzure) -> None:
        """The control of the test above: an exportable key is in the secret, and is found there."""
        name = fresh()
        vault.create(
            CertificatePolicy("Self", subject="CN=x", key_type="EC", content_type="application/x-pem-file"), name
        )
        value = vault.secrets().get_secret(name).value or ""
        vault.certificates().begin_delete_certificate(name, _polling_interval=0).wait()
        assert any(encoding in value for encoding in private_encodings(stored_key(azure, vault, name)))

    def test_a_backup_is_opaque_and_can_be_restored(self, client: KeyClient) -> None:
        key = client.create_ec_key(fresh())
        blob = client.backup_key(key.name)
        refusal(lambda: client.restore_key_backup(blob), 409, "Conflict")
        client.begin_delete_key(key.name, _polling_interval=0).wait()
        refusal(lambda: client.restore_key_backup(blob), 409, "Conflict", "ObjectIsDeletedButRecoverable")
        client.purge_deleted_key(key.name)
        assert client.restore_key_backup(blob).id == key.id
        refusal(lambda: client.restore_key_backup(blob[:-8]), 400, "BadParameter")

    def test_the_store_is_for_its_owner_alone(self, azure: LocalAzure) -> None:
        """Private keys are in it as they are."""
        stores = list(azure.state.glob(f"{STORE}*"))
        assert stores
        assert {path.stat().st_mode & 0o077 for path in stores} == {0}


def ask(client: KeyClient, key: KeyVaultKey, operation: str, content: dict[str, str]) -> dict[str, Any]:
    response = client.send_request(
        HttpRequest("POST", f"/keys/{key.name}/{key.properties.version}/{operation}", json=content)
    )
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


def refused(client: KeyClient, key: KeyVaultKey, content: dict[str, str]) -> tuple[int, str, str | None, str]:
    """Status, code, inner code and message with which signing is refused."""
    response = client.send_request(HttpRequest("POST", f"/keys/{key.name}/{key.properties.version}/sign", json=content))
    error = response.json()["error"]
    return response.status_code, error["code"], error.get("innererror", {}).get("code"), error["message"]


def asked(client: KeyClient, method: str, path: str) -> str:
    response = client.send_request(HttpRequest(method, path))
    response.raise_for_status()
    return response.text()


def stored_key(azure: LocalAzure, vault: VaultClients, name: str) -> material.PrivateKey:
    """The private key of a deleted certificate, from the state directory."""
    connection = sqlite3.connect(f"file:{azure.state / STORE}?mode=ro", uri=True)
    try:
        query = "SELECT value FROM documents WHERE kind = ? AND key = ?"
        (document,) = connection.execute(query, (f"vault/{vault.name}/deletedcertificates", name)).fetchone()
    finally:
        connection.close()
    return material.load(json.loads(document)["versions"][0]["material"]["pkcs8"])
