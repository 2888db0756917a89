"""Certificates through the official SDKs: the life of an authority and of a leaf, and every refusal on the way."""

import asyncio
import base64
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.keyvault.certificates import (
    CertificateClient,
    CertificateOperation,
    CertificatePolicy,
    KeyVaultCertificate,
    LifetimeAction,
)
from azure.keyvault.certificates.aio import CertificateClient as AsyncCertificateClient
from azure.keyvault.secrets import SecretClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localazure.client import LocalAzure
from tests.engine.localazure.sdk import Sdk
from tests.engine.localazure.vault_clients import (
    Authority,
    VaultClients,
    about,
    certificate_builder,
    der,
    fresh,
    loaded,
    public_der,
    refusal,
    thumbprint,
    version_of,
)

PEM = "application/x-pem-file"
PKCS12 = "application/x-pkcs12"
SIGNING = ["digitalSignature", "keyCertSign"]


@pytest.fixture(autouse=True)
def prompt_issuer(azure: LocalAzure) -> None:
    azure.dials(certificatePendingPolls=0)


@pytest.fixture(scope="module")
def vault(running_azure: LocalAzure) -> Iterator[VaultClients]:
    """One for all tests: each has its own names in it."""
    with ExitStack() as stack:
        yield VaultClients(Sdk(running_azure, stack), stack)


@pytest.fixture
def new_vault(sdk: Sdk) -> Iterator[VaultClients]:
    with ExitStack() as stack:
        yield VaultClients(sdk, stack)


@pytest.fixture
def client(vault: VaultClients) -> CertificateClient:
    return vault.certificates()


def self_issued(**changes: Any) -> CertificatePolicy:
    return CertificatePolicy(**({"issuer_name": "Self", "subject": "CN=temporary", "key_type": "EC"} | changes))


def left_pending(**changes: Any) -> CertificatePolicy:
    return CertificatePolicy(**({"issuer_name": "Unknown", "subject": "CN=pending", "key_type": "EC"} | changes))


def request(client: CertificateClient, name: str, policy: CertificatePolicy, **options: Any) -> CertificateOperation:
    """Begin a creation that stays pending; its operation."""
    operation = client.begin_create_certificate(name, policy, _polling_interval=0, **options).result()
    assert isinstance(operation, CertificateOperation)
    return operation


def begin_self_issued(client: CertificateClient, name: str) -> None:
    """Begin a creation by the vault itself, without the poller of the SDK."""
    policy = {"issuer": {"name": "Self"}, "x509_props": {"subject": "CN=itself"}, "key_props": {"kty": "EC"}}
    begun = client.send_request(HttpRequest("POST", f"/certificates/{name}/create", json={"policy": policy}))
    assert begun.status_code == 202
    assert begun.headers["Location"].startswith(f"{client.vault_url}/certificates/{name}/pending?api-version=")


def assert_holds_certificates_only(client: SecretClient, name: str) -> None:
    secret = client.get_secret(name)
    assert secret.value is not None
    if secret.properties.content_type == PEM:
        assert "PRIVATE KEY" not in secret.value
        x509.load_pem_x509_certificates(secret.value.encode())
    else:
        key, certificate, others = pkcs12.load_key_and_certificates(base64.b64decode(secret.value), None)
        assert key is None
        assert certificate or others


class TestAuthority:
    @pytest.mark.parametrize("bits", [2048, 3072, 4096])
    def test_an_authority_can_be_made_without_its_key_leaving_the_vault(
        self, vault: VaultClients, client: CertificateClient, bits: int
    ) -> None:
        """A way of making an authority that works here and fails on Azure, or the reverse: the steps of the design."""
        name = fresh()
        rsa_policy = {"key_type": "RSA", "key_size": bits, "exportable": False, "key_usage": SIGNING}
        first = vault.create(self_issued(**rsa_policy), name, tags={"made-by": "test"})
        operation = request(client, name, left_pending(**rsa_policy, reuse_key=True), tags={"made-by": "test"})
        csr = x509.load_der_x509_csr(operation.csr or b"")
        assert csr.is_signature_valid
        assert public_der(csr.public_key()) == public_der(loaded(first).public_key())

        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "internode 1")])
        builder = certificate_builder(subject, subject, csr.public_key(), days=1825, authority=True)
        signer = vault.cryptography(first.key_id).create_rsa_private_key()
        authority = builder.sign(signer, hashes.SHA256())
        merged = client.merge_certificate(name, [der(authority)])
        loaded(merged).verify_directly_issued_by(authority)
        client.update_certificate_properties(name, version_of(first), enabled=False)

        current = client.get_certificate(name)
        assert loaded(current) == authority
        assert about(current).tags == {"made-by": "test"}
        assert about(current).x509_thumbprint == thumbprint(authority)
        assert about(current).expires_on == authority.not_valid_after_utc
        assert current.key_id != first.key_id
        assert_holds_certificates_only(vault.secrets(), name)
        key = vault.keys().get_key(name)
        assert key.key_operations == ["sign", "verify"]
        assert key.properties.managed
        assert key.id == current.key_id

    def test_a_disabled_version_gives_neither_signatures_nor_its_secret(
        self, vault: VaultClients, client: CertificateClient
    ) -> None:
        """The temporary version of an authority would go on signing."""
        name = fresh()
        created = vault.create(self_issued(), name)
        version = version_of(created)
        client.update_certificate_properties(name, version, enabled=False)
        digest = bytes(32)
        crypto = vault.cryptography(created.key_id)
        refusal(lambda: crypto.sign("ES256", digest), 403, "Forbidden", "KeyDisabled")  # type: ignore[arg-type]
        refusal(lambda: vault.secrets().get_secret(name, version), 403, "Forbidden", "SecretDisabled")
        client.update_certificate_properties(name, version, enabled=True)
        assert crypto.sign("ES256", digest).signature  # type: ignore[arg-type]
        assert vault.secrets().get_secret(name, version).value


class TestLeaf:
    @pytest.mark.parametrize("content_type", [PEM, PKCS12])
    @pytest.mark.parametrize(
        "key",
        [
            {"key_type": "RSA", "key_size": 2048},
            {"key_type": "EC", "key_curve_name": "P-256"},
            {"key_type": "EC", "key_curve_name": "P-384"},
            {"key_type": "EC", "key_curve_name": "P-521"},
        ],
        ids=lambda key: key.get("key_curve_name", "RSA"),
    )
    def test_the_secret_of_a_leaf_is_its_key_and_its_chain_leaf_first(
        self, vault: VaultClients, client: CertificateClient, content_type: str, key: dict[str, Any]
    ) -> None:
        """A consumer would be given a key that does not fit, or a chain in an order that TLS peers refuse."""
        name, authority = fresh(), Authority()
        operation = request(client, name, left_pending(content_type=content_type, **key))
        leaf = authority.issue(operation.csr)
        merged = client.merge_certificate(name, [der(authority.certificate), der(leaf)])
        assert loaded(merged) == leaf

        secret = vault.secrets().get_secret(name)
        assert secret.value is not None
        assert secret.id == merged.secret_id
        assert secret.properties.content_type == content_type
        assert secret.properties.managed
        private_key, chain = unpacked(secret.value, content_type)
        assert chain == [leaf, authority.certificate]
        assert public_der(private_key.public_key()) == public_der(leaf.public_key())
        if content_type == PEM:
            assert secret.value.startswith("-----BEGIN PRIVATE KEY-----")
        assert vault.secrets().get_secret(name).value == secret.value

    @pytest.mark.parametrize("content_type", [PEM, PKCS12])
    def test_a_key_that_is_not_exportable_is_not_in_the_secret(
        self, vault: VaultClients, client: CertificateClient, content_type: str
    ) -> None:
        name, authority = fresh(), Authority()
        operation = request(client, name, left_pending(content_type=content_type, exportable=False))
        client.merge_certificate(name, [der(authority.issue(operation.csr))])
        assert_holds_certificates_only(vault.secrets(), name)

    def test_tags_and_state_of_the_merge_win_over_those_of_the_request(self, client: CertificateClient) -> None:
        """A merge that marks its version would have no effect on Azure, or only there."""
        kept, changed, authority = fresh(), fresh(), Authority()
        requests = {
            name: request(client, name, left_pending(), tags={"at": "request"}, enabled=True)
            for name in (kept, changed)
        }
        client.merge_certificate(kept, [der(authority.issue(requests[kept].csr))])
        client.merge_certificate(
            changed, [der(authority.issue(requests[changed].csr))], tags={"at": "merge"}, enabled=False
        )
        assert about(client.get_certificate(kept)).tags == {"at": "request"}
        assert about(client.get_certificate(kept)).enabled
        assert about(client.get_certificate(changed)).tags == {"at": "merge"}
        assert not about(client.get_certificate(changed)).enabled

    def test_a_chain_keeps_its_order_when_that_is_asked_for(
        self, vault: VaultClients, client: CertificateClient
    ) -> None:
        name, authority = fresh(), Authority()
        operation = request(client, name, left_pending(content_type=PEM), preserve_order=True)
        leaf = authority.issue(operation.csr)
        client.merge_certificate(name, [der(authority.certificate), der(leaf)])
        assert loaded(client.get_certificate(name)) == leaf
        _, chain = unpacked(vault.secrets().get_secret(name).value or "", PEM)
        assert chain == [authority.certificate, leaf]

    async def test_a_leaf_lives_through_the_asynchronous_client_too(self, new_vault: VaultClients) -> None:
        """The provider uses azure-keyvault-certificates' aio client, whose pipeline differs."""
        name, authority = fresh(), Authority()
        options = new_vault.async_options()
        async with options["credential"], AsyncCertificateClient(new_vault.uri, **options) as client:
            operation = await client.create_certificate(name, left_pending(), _polling_interval=0)
            assert isinstance(operation, CertificateOperation)
            assert operation.status == "inProgress"
            again = await client.get_certificate_operation(name)
            assert again.csr == operation.csr
            leaf = authority.issue(operation.csr)
            merged = await client.merge_certificate(name, [der(leaf)])
            assert loaded(merged) == leaf
            assert (await client.get_certificate_operation(name)).status == "completed"
            await client.delete_certificate(name, _polling_interval=0)
            assert [deleted.name async for deleted in client.list_deleted_certificates()] == [name]
            await client.recover_deleted_certificate(name, _polling_interval=0)
            assert [kept.version async for kept in client.list_properties_of_certificate_versions(name)] == [
                version_of(merged)
            ]
            itself = await client.create_certificate(fresh(), self_issued(), _polling_interval=0)
            assert isinstance(itself, KeyVaultCertificate)


def unpacked(value: str, content_type: str) -> tuple[Any, list[x509.Certificate]]:
    if content_type == PEM:
        key: Any = serialization.load_pem_private_key(value.encode(), None)
        return key, x509.load_pem_x509_certificates(value.encode())
    key, leaf, others = pkcs12.load_key_and_certificates(base64.b64decode(value), None)
    assert leaf is not None
    return key, [leaf, *others]


class TestPending:
    def test_a_first_request_is_a_disabled_version_without_key_and_secret(
        self, vault: VaultClients, client: CertificateClient
    ) -> None:
        """Recorded of Azure: 200, not 404, with nothing but id and attributes. Code that takes it for issued fails."""
        name = fresh()
        request(client, name, left_pending())
        certificate = client.get_certificate(name)
        assert (certificate.cer, certificate.key_id, certificate.secret_id) == (None, None, None)
        assert about(certificate).enabled is False
        assert about(certificate).x509_thumbprint is None
        assert certificate.policy is not None
        assert certificate.policy.issuer_name == "Unknown"
        same = client.get_certificate_version(name, version_of(certificate))
        assert same.cer is None
        assert name not in names(client.list_properties_of_certificates())
        assert name in names(client.list_properties_of_certificates(include_pending=True))
        with pytest.raises(ResourceNotFoundError):
            vault.keys().get_key(name)
        with pytest.raises(ResourceNotFoundError):
            vault.secrets().get_secret(name)

    def test_a_renewal_leaves_the_current_version_current_until_it_is_merged(
        self, vault: VaultClients, client: CertificateClient
    ) -> None:
        """Recorded of Azure: the bare name means the issued version, while the policy is already the new one."""
        name, authority = fresh(), Authority()
        operation = request(client, name, left_pending(), tags={"version": "1"})
        first = client.merge_certificate(name, [der(authority.issue(operation.csr))])
        operation = request(client, name, left_pending(subject="CN=renewed"), tags={"version": "2"})
        while_pending = client.get_certificate(name)
        assert while_pending.id == first.id
        assert about(while_pending).tags == {"version": "1"}
        assert while_pending.policy is not None
        assert while_pending.policy.subject == "CN=renewed"
        assert vault.secrets().get_secret(name).id == first.secret_id
        assert vault.keys().get_key(name).id == first.key_id

        second = client.merge_certificate(name, [der(authority.issue(operation.csr))])
        assert client.get_certificate(name).id == second.id
        versions = {each.version: each.tags for each in client.list_properties_of_certificate_versions(name)}
        assert versions == {
            version_of(first): {"version": "1"},
            version_of(second): {"version": "2"},
        }
        assert client.get_certificate_version(name, version_of(first)).cer == first.cer
        assert first.key_id != second.key_id
        assert public_of(first) != public_of(second)

    def test_a_request_says_what_the_policy_says(self, client: CertificateClient) -> None:
        """A request with other names or usages than on Azure would hide that the policy is wrong."""
        policy = left_pending(
            subject='CN=frontend, OU=platform, O="Acme, Inc."',
            san_dns_names=["frontend.example", "*.frontend.example"],
            san_emails=["ops@frontend.example"],
            san_uris=["spiffe://example/frontend"],
            san_ip_addresses=["127.0.0.1", "::1"],
            san_user_principal_names=["frontend@example"],
            enhanced_key_usage=[ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string],
            key_usage=["digitalSignature", "crlSign"],
        )
        csr = x509.load_der_x509_csr(request(client, fresh(), policy).csr or b"")
        assert csr.is_signature_valid
        assert [attribute.value for attribute in csr.subject] == ["Acme, Inc.", "platform", "frontend"]
        names_ = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names_.get_values_for_type(x509.DNSName) == ["frontend.example", "*.frontend.example"]
        assert names_.get_values_for_type(x509.RFC822Name) == ["ops@frontend.example"]
        assert names_.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://example/frontend"]
        assert [str(ip) for ip in names_.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
        assert len(names_.get_values_for_type(x509.OtherName)) == 1
        purposes = csr.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        usage = csr.extensions.get_extension_for_class(x509.KeyUsage)
        assert usage.critical
        assert (usage.value.digital_signature, usage.value.crl_sign, usage.value.key_cert_sign) == (True, True, False)
        assert not csr.extensions.get_extension_for_class(x509.BasicConstraints).value.ca

    def test_defaults_are_those_of_azure(self, client: CertificateClient) -> None:
        name = fresh()
        request(client, name, CertificatePolicy(issuer_name="Unknown", subject="cn=defaults"))
        policy = client.get_certificate_policy(name)
        assert (policy.key_type, policy.key_size, policy.exportable, policy.reuse_key) == ("RSA", 2048, True, False)
        assert policy.key_usage == ["digitalSignature", "keyEncipherment"]
        assert policy.enhanced_key_usage == ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]
        assert (policy.content_type, policy.validity_in_months) == (PKCS12, 12)
        assert policy.lifetime_actions is not None
        assert [(action.action, action.lifetime_percentage) for action in policy.lifetime_actions] == [
            ("EmailContacts", 80)
        ]

    def test_a_self_issued_certificate_is_an_end_entity_that_began_ten_minutes_ago(self, vault: VaultClients) -> None:
        """Azure makes no authorities: one that is trusted here as such would be refused there."""
        created = vault.create(self_issued(validity_in_months=3))
        certificate = loaded(created)
        certificate.verify_directly_issued_by(certificate)
        assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        backdated = datetime.now(UTC) - certificate.not_valid_before_utc
        assert timedelta(minutes=10) <= backdated < timedelta(minutes=11)
        assert certificate.not_valid_after_utc.month == (datetime.now(UTC).month + 2) % 12 + 1
        assert created.policy is not None
        assert [action.action for action in created.policy.lifetime_actions or []] == ["AutoRenew"]

    def test_an_issuer_takes_the_dialled_number_of_polls(self, vault: VaultClients, client: CertificateClient) -> None:
        """Code that takes the first answer for the last one would pass against a vault that answers at once."""
        vault.azure.dials(certificatePendingPolls=2)
        name = fresh()
        begin_self_issued(client, name)
        seen = [client.get_certificate_operation(name).status for _ in range(3)]
        assert seen == ["inProgress", "inProgress", "completed"]
        assert client.get_certificate(name).cer is not None

    def test_a_cancelled_request_makes_way(self, client: CertificateClient) -> None:
        name = fresh()
        request(client, name, left_pending())
        cancelled = client.cancel_certificate_operation(name)
        assert (cancelled.cancellation_requested, cancelled.status) == (True, "inProgress")
        assert client.get_certificate_operation(name).status == "cancelled"
        refusal(lambda: client.cancel_certificate_operation(name), 400, "BadParameter")
        assert request(client, name, left_pending()).status == "inProgress"

    def test_a_deleted_request_makes_way_and_leaves_its_version(self, client: CertificateClient) -> None:
        """A killed creation is cleared away by deleting its request; the name must then work as before."""
        name, authority = fresh(), Authority()
        abandoned = request(client, name, left_pending())
        left_behind = version_of(client.get_certificate(name))
        assert client.delete_certificate_operation(name).csr == abandoned.csr
        message = refusal(lambda: client.get_certificate_operation(name), 404, "PendingCertificateNotFound")
        assert message == f"Pending certificate not found: {name}"
        assert version_of(client.get_certificate(name)) == left_behind
        operation = request(client, name, left_pending())
        merged = client.merge_certificate(name, [der(authority.issue(operation.csr))])
        assert version_of(merged) != left_behind
        assert [each.version for each in client.list_properties_of_certificate_versions(name)] == [version_of(merged)]

    def test_an_operation_is_found_by_its_own_request_id_only(self, client: CertificateClient) -> None:
        name = fresh()
        operation = request(client, name, left_pending())
        path = f"/certificates/{name}/pending?request_id="
        assert client.send_request(HttpRequest("GET", f"{path}{operation.request_id}")).status_code == 200
        assert client.send_request(HttpRequest("GET", f"{path}{'0' * 32}")).status_code == 404


class TestConflicts:
    def test_no_second_creation_while_one_is_pending(self, client: CertificateClient) -> None:
        name = fresh()
        request(client, name, left_pending())
        message = refusal(lambda: client.begin_create_certificate(name, left_pending()), 409, "Conflict")
        assert "while a pending key vault certificate's status is inProgress" in message

    def test_a_deleted_name_is_refused_until_it_is_purged(self, vault: VaultClients, client: CertificateClient) -> None:
        name = fresh()
        vault.create(self_issued(), name)
        client.begin_delete_certificate(name, _polling_interval=0).wait()
        with pytest.raises(ResourceExistsError, match="deleted but recoverable"):
            client.begin_create_certificate(name, left_pending())
        refusal(
            lambda: client.begin_create_certificate(name, left_pending()),
            409,
            "Conflict",
            "ObjectIsDeletedButRecoverable",
        )
        secrets, keys = vault.secrets(), vault.keys()
        refusal(lambda: secrets.set_secret(name, "x"), 409, "Conflict", "ObjectIsDeletedButRecoverable")
        refusal(lambda: keys.create_ec_key(name), 409, "Conflict", "ObjectIsDeletedButRecoverable")
        client.purge_deleted_certificate(name)
        assert request(client, name, left_pending()).status == "inProgress"

    def test_a_certificate_for_another_key_is_not_merged(self, client: CertificateClient) -> None:
        """The words are Azure's: code may look at them, there is no inner code."""
        name, authority = fresh(), Authority()
        request(client, name, left_pending())
        stranger = authority.issue_for(ec.generate_private_key(ec.SECP256R1()).public_key(), authority.name)
        message = refusal(lambda: client.merge_certificate(name, [der(stranger)]), 400, "BadParameter")
        assert message.startswith(
            "The public key of the end-entity certificate in the specified X.509 certificate content"
        )
        refusal(lambda: client.merge_certificate(name, [b"not a certificate"]), 400, "BadParameter")
        assert client.get_certificate_operation(name).status == "inProgress"

    def test_without_a_request_there_is_nothing_to_merge(self, client: CertificateClient) -> None:
        name, authority = fresh(), Authority()
        leaf = authority.issue_for(ec.generate_private_key(ec.SECP256R1()).public_key(), authority.name)
        refusal(lambda: client.merge_certificate(name, [der(leaf)]), 404, "PendingCertificateNotFound")
        operation = request(client, name, left_pending())
        client.merge_certificate(name, [der(authority.issue(operation.csr))])
        again = der(authority.issue(operation.csr))
        refusal(lambda: client.merge_certificate(name, [again]), 404, "PendingCertificateNotFound")

    def test_what_the_vault_issues_itself_is_not_merged(self, vault: VaultClients, client: CertificateClient) -> None:
        vault.azure.dials(certificatePendingPolls=1000)
        name, authority = fresh(), Authority()
        content = {
            "policy": {"issuer": {"name": "Self"}, "x509_props": {"subject": "CN=x"}, "key_props": {"kty": "EC"}}
        }
        assert client.send_request(HttpRequest("POST", f"/certificates/{name}/create", json=content)).status_code == 202
        csr = client.get_certificate_operation(name).csr
        message = refusal(lambda: client.merge_certificate(name, [der(authority.issue(csr))]), 403, "Forbidden")
        assert "created with issuer : Self" in message

    @pytest.mark.parametrize(
        "changes",
        [{"key_curve_name": "P-384"}, {"key_type": "RSA", "key_size": 2048}, {"exportable": True}],
        ids=["curve", "type", "exportable"],
    )
    def test_a_key_is_not_reused_as_another_kind_of_key(
        self, vault: VaultClients, client: CertificateClient, changes: dict[str, Any]
    ) -> None:
        """An authority's key would become exportable by asking for a new version."""
        name = fresh()
        vault.create(self_issued(exportable=False), name)
        policy = left_pending(**({"exportable": False, "reuse_key": True} | changes))
        refusal(lambda: client.begin_create_certificate(name, policy), 400, "BadParameter")

    def test_a_plain_key_or_secret_keeps_its_name(self, vault: VaultClients, client: CertificateClient) -> None:
        key, secret = fresh(), fresh()
        vault.keys().create_ec_key(key)
        vault.secrets().set_secret(secret, "x")
        refusal(lambda: client.begin_create_certificate(key, left_pending()), 409, "Conflict")
        refusal(lambda: client.begin_create_certificate(secret, left_pending()), 409, "Conflict")

    @pytest.mark.parametrize(
        ("policy", "place"),
        [
            ([], ""),
            ({"x509_props": []}, "x509_props"),
            ({"x509_props": {}}, "x509_props"),
            ({"x509_props": {"sans": {"dns_names": []}}}, "x509_props"),
            ({"x509_props": {"subject": "CN=a"}, "issuer": "Self"}, "issuer"),
            ({"x509_props": {"subject": "CN=a"}, "key_props": {"kty": "EC", "crv": ["P-256"]}}, "key_props.crv"),
            ({"x509_props": {"subject": "no name"}}, "x509_props.subject"),
            ({"x509_props": {"subject": "CN=a\\, b"}}, "x509_props.subject"),
            ({"x509_props": {"subject": "CN=a", "key_usage": ["invalid"]}}, "x509_props.key_usage"),
            ({"x509_props": {"subject": "CN=a", "key_usage": ["encipherOnly"]}}, "x509_props"),
            ({"x509_props": {"subject": "CN=a", "ekus": ["serverAuth"]}}, "x509_props.ekus"),
            ({"x509_props": {"subject": "CN=a", "validity_months": 0}}, "x509_props.validity_months"),
            ({"x509_props": {"sans": {"ipAddresses": ["localhost"]}}}, "x509_props.sans.ipAddresses"),
            ({"x509_props": {"subject": "CN=a"}, "key_props": {"kty": "RSA", "key_size": 1024}}, "key_props"),
            ({"x509_props": {"subject": "CN=a"}, "key_props": {"kty": "oct"}}, "key_props.kty"),
            ({"x509_props": {"subject": "CN=a"}, "key_props": {"kty": "EC", "crv": "P-256K"}}, "key_props.crv"),
            ({"x509_props": {"subject": "CN=a"}, "issuer": {"name": "DigiCert"}}, "issuer.name"),
            ({"x509_props": {"subject": "CN=a"}, "secret_props": {"contentType": "text/plain"}}, "secret_props"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_policy_that_is_none_is_refused_by_its_place_and_leaves_nothing(
        self, client: CertificateClient, policy: Any, place: str
    ) -> None:
        name = fresh()
        response = client.send_request(HttpRequest("POST", f"/certificates/{name}/create", json={"policy": policy}))
        assert response.status_code == 400
        error = response.json()["error"]
        assert error["code"] == "BadParameter"
        assert error["message"].startswith(f"Property policy.{place}".removesuffix("."))
        with pytest.raises(ResourceNotFoundError):
            client.get_certificate(name)

    def test_an_unknown_api_version_is_refused(self, new_vault: VaultClients) -> None:
        for version in ("7.4", "7.6", "2025-07-01", "2026-04-01"):
            assert names(new_vault.certificates(api_version=version).list_properties_of_certificates()) == []
        client = new_vault.certificates(api_version="7.0")
        refusal(lambda: names(client.list_properties_of_certificates()), 400, "BadParameter")

    def test_a_key_creation_counts_against_the_limit_of_its_vault(self, new_vault: VaultClients) -> None:
        """Azure answers 429 from the twenty-first certificate in ten seconds on: issuing must pace itself."""
        new_vault.azure.dials(keyCreationsPer10s=1)
        client = new_vault.certificates()
        request(client, fresh(), left_pending())
        refusal(lambda: client.begin_create_certificate(fresh(), left_pending()), 429, "Throttled")

    async def test_of_two_creations_at_once_one_is_refused(self, new_vault: VaultClients) -> None:
        """All look before a key is made, which takes its time: the slowest would overwrite the request of another."""
        name, options = fresh(), new_vault.async_options()
        policy = left_pending(key_type="RSA", key_size=4096)
        async with options["credential"], AsyncCertificateClient(new_vault.uri, **options) as client:
            creations = [client.create_certificate(name, policy, _polling_interval=0) for _ in range(3)]
            outcomes = await asyncio.gather(*creations, return_exceptions=True)
            (made,) = [outcome for outcome in outcomes if isinstance(outcome, CertificateOperation)]
            assert sum(isinstance(outcome, ResourceExistsError) for outcome in outcomes) == 2
            assert (await client.get_certificate_operation(name)).csr == made.csr


class TestChanges:
    def test_a_policy_changes_in_what_is_given_only(self, vault: VaultClients, client: CertificateClient) -> None:
        name = fresh()
        vault.create(self_issued(subject="CN=before", exportable=False), name)
        action = LifetimeAction(action="EmailContacts", days_before_expiry=5)
        changed = client.update_certificate_policy(
            name, CertificatePolicy(issuer_name="Unknown", lifetime_actions=[action])
        )
        assert (changed.issuer_name, changed.subject, changed.exportable) == ("Unknown", "CN=before", False)
        assert changed.key_type == "EC"
        read = client.get_certificate_policy(name)
        assert read.lifetime_actions is not None
        assert [each.days_before_expiry for each in read.lifetime_actions] == [5]

    def test_tags_belong_to_a_version(self, vault: VaultClients, client: CertificateClient) -> None:
        name = fresh()
        first = vault.create(self_issued(), name, tags={"a": "1"})
        second = vault.create(self_issued(), name, tags={"b": "2"})
        client.update_certificate_properties(name, version_of(first), tags={"c": "3"})
        assert about(client.get_certificate_version(name, version_of(first))).tags == {"c": "3"}
        assert about(client.get_certificate(name)).tags == {"b": "2"}
        assert client.update_certificate_properties(name, tags={}).id == second.id

    def test_lists_come_in_pages(self, new_vault: VaultClients) -> None:
        """Whatever reads the first page for the whole would lose certificates from the twenty-sixth on."""
        client = new_vault.certificates()
        made = {new_vault.create(self_issued()).name for _ in range(3)}
        pages = [
            [each.name for each in page] for page in client.list_properties_of_certificates(max_page_size=2).by_page()
        ]
        assert [len(page) for page in pages] == [2, 1]
        assert {name for page in pages for name in page} == made
        refusal(lambda: names(client.list_properties_of_certificates(max_page_size=26)), 400, "BadParameter")

    def test_delete_recover_and_purge(self, vault: VaultClients, client: CertificateClient) -> None:
        name = fresh()
        created = vault.create(self_issued(), name)
        deleted = client.begin_delete_certificate(name, _polling_interval=0).result()
        assert deleted.recovery_id == f"{vault.uri}deletedcertificates/{name}"
        assert deleted.scheduled_purge_date is not None
        assert deleted.deleted_on is not None
        assert deleted.scheduled_purge_date - deleted.deleted_on == timedelta(days=90)
        assert about(deleted).recovery_level == "Recoverable+Purgeable"
        with pytest.raises(ResourceNotFoundError):
            client.get_certificate(name)
        assert vault.keys().get_deleted_key(name).properties.managed
        assert vault.secrets().get_deleted_secret(name).properties.managed
        assert client.get_deleted_certificate(name).cer == created.cer
        recovered = client.begin_recover_deleted_certificate(name, _polling_interval=0).result()
        assert recovered.cer == created.cer
        assert vault.keys().get_key(name).id == created.key_id
        client.begin_delete_certificate(name, _polling_interval=0).wait()
        client.purge_deleted_certificate(name)
        refusal(lambda: client.get_deleted_certificate(name), 404, "CertificateNotFound")

    def test_purge_protection_refuses_to_purge(self, sdk: Sdk) -> None:
        with ExitStack() as stack:
            vault = VaultClients(sdk, stack, enablePurgeProtection=True, softDeleteRetentionInDays=7)
            name, client = fresh(), vault.certificates()
            created = vault.create(self_issued(), name)
            assert about(created).recovery_level == "CustomizedRecoverable"
            assert about(created).recoverable_days == 7
            client.begin_delete_certificate(name, _polling_interval=0).wait()
            message = refusal(lambda: client.purge_deleted_certificate(name), 403, "Forbidden")
            assert "purge protection is enabled" in message
            client.begin_recover_deleted_certificate(name, _polling_interval=0).wait()

    def test_a_backup_is_opaque_and_can_be_restored(self, vault: VaultClients, client: CertificateClient) -> None:
        name = fresh()
        created = vault.create(self_issued(), name)
        blob = client.backup_certificate(name)
        refusal(lambda: client.restore_certificate_backup(blob), 409, "Conflict")
        client.begin_delete_certificate(name, _polling_interval=0).wait()
        client.purge_deleted_certificate(name)
        assert client.restore_certificate_backup(blob).cer == created.cer
        refusal(lambda: client.restore_certificate_backup(b"other"), 400, "BadParameter")


class TestImport:
    @pytest.mark.parametrize("form", ["pem", "pfx", "pfx with password"])
    def test_an_imported_certificate_comes_out_as_it_went_in(
        self, vault: VaultClients, client: CertificateClient, form: str
    ) -> None:
        authority, key = Authority(), rsa.generate_private_key(65537, 2048)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "imported")])
        leaf = authority.issue_for(key.public_key(), subject)
        password = "secret" if form.endswith("password") else None
        name = fresh()
        imported = client.import_certificate(
            name, packed(form, key, [leaf, authority.certificate], password), password=password, tags={"a": "b"}
        )
        assert loaded(imported) == leaf
        assert about(imported).tags == {"a": "b"}
        assert imported.policy is not None
        assert (imported.policy.subject, imported.policy.issuer_name) == ("CN=imported", "Unknown")
        secret = vault.secrets().get_secret(name)
        private_key, chain = unpacked(secret.value or "", secret.properties.content_type or "")
        assert chain == [leaf, authority.certificate]
        assert public_der(private_key.public_key()) == public_der(key.public_key())

    def test_what_cannot_be_read_is_not_imported(self, vault: VaultClients, client: CertificateClient) -> None:
        authority, key = Authority(), rsa.generate_private_key(65537, 2048)
        stranger = authority.issue_for(rsa.generate_private_key(65537, 2048).public_key(), authority.name)
        protected = packed("pfx", key, [authority.issue_for(key.public_key(), authority.name)], "right")
        unfit = packed("pem", key, [stranger], None)
        refusal(lambda: client.import_certificate(fresh(), b"nothing"), 400, "BadParameter")
        refusal(lambda: client.import_certificate(fresh(), der(authority.certificate)), 400, "BadParameter")
        refusal(lambda: client.import_certificate(fresh(), protected, password="wrong"), 400, "BadParameter")
        refusal(lambda: client.import_certificate(fresh(), unfit), 400, "BadParameter")

    def test_an_import_is_a_new_version_and_waits_for_a_pending_one(
        self, vault: VaultClients, client: CertificateClient
    ) -> None:
        authority, key, name = Authority(), rsa.generate_private_key(65537, 2048), fresh()
        content = packed("pfx", key, [authority.issue_for(key.public_key(), authority.name)], None)
        operation = request(client, name, left_pending())
        refusal(lambda: client.import_certificate(name, content), 409, "Conflict")
        client.merge_certificate(name, [der(authority.issue(operation.csr))])
        client.import_certificate(name, content)
        assert len(list(client.list_properties_of_certificate_versions(name))) == 2


def packed(form: str, key: rsa.RSAPrivateKey, chain: list[x509.Certificate], password: str | None) -> bytes:
    encryption: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    )
    if form == "pem":
        certificates = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain)
        return (
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption) + certificates
        )
    return pkcs12.serialize_key_and_certificates(None, key, chain[0], chain[1:], encryption)


def names(listed: Any) -> list[str]:
    return [each.name for each in listed]


def public_of(certificate: KeyVaultCertificate) -> bytes:
    return public_der(loaded(certificate).public_key())
