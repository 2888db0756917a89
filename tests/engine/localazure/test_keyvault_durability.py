"""What a vault holds survives the process: a restart, and SIGKILL before and after each write of a leaf's life."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Literal

import pytest
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.keyvault.certificates import CertificateClient, CertificatePolicy
from azure.keyvault.keys.crypto import SignatureAlgorithm

from localazure.client import LocalAzure
from tests.engine.localazure.sdk import Sdk
from tests.engine.localazure.vault_clients import Authority, VaultClients, der, loaded, public_der, version_of

Start = Callable[..., tuple[LocalAzure, Sdk]]
LEFT_PENDING = CertificatePolicy("Unknown", subject="CN=leaf", key_type="EC")
SELF_ISSUED = CertificatePolicy("Self", subject="CN=itself", key_type="EC")


def test_a_restart_keeps_everything(start: Start) -> None:
    """`make up` on the next day would make a new authority, and nothing would trust anything."""
    azure, sdk = start(certificatePendingPolls=0)
    with ExitStack() as stack:
        vault = VaultClients(sdk, stack)
        issued = vault.create(SELF_ISSUED, "issued", tags={"a": "b"})
        vault.certificates().begin_create_certificate("pending", LEFT_PENDING)
        pending = vault.certificates().get_certificate_operation("pending")
        vault.create(SELF_ISSUED, "deleted")
        vault.certificates().begin_delete_certificate("deleted", _polling_interval=0).wait()
        key = vault.keys().create_ec_key("plain")
        secret = vault.secrets().set_secret("plain", "value")
        backup = vault.keys().backup_key("plain")
        value = vault.secrets().get_secret("issued").value
        azure.stop()

        start(certificatePendingPolls=0)
        certificates, keys, secrets = vault.certificates(), vault.keys(), vault.secrets()
        again = certificates.get_certificate("issued")
        assert (again.id, again.cer) == (issued.id, issued.cer)
        assert secrets.get_secret("issued").value == value
        operation = certificates.get_certificate_operation("pending")
        assert operation.csr == pending.csr
        assert certificates.merge_certificate("pending", [der(Authority().issue(operation.csr))]).cer
        assert certificates.begin_recover_deleted_certificate("deleted", _polling_interval=0).result().cer
        assert keys.get_key("plain").id == key.id
        assert vault.cryptography(key.id).sign(SignatureAlgorithm.es256, bytes(32)).signature
        assert secrets.get_secret("plain").id == secret.id
        keys.begin_delete_key("plain", _polling_interval=0).wait()
        keys.purge_deleted_key("plain")
        assert keys.restore_key_backup(backup).id == key.id


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_a_write_the_vault_is_as_before_or_as_after_it(
    start: Start, when: Literal["before", "after"]
) -> None:
    """A certificate without its key, or with half a version, could never be repaired by the next `up`."""
    authority = Authority()
    azure, sdk = start(certificatePendingPolls=0)
    with ExitStack() as stack, ThreadPoolExecutor(1) as caller:
        vault = VaultClients(sdk, stack)
        client = vault.certificates()

        def killed_at(write: Callable[[], Any]) -> None:
            nonlocal azure
            azure.hold(1, when)
            call = caller.submit(write)
            azure.wait_for_held()
            azure.kill()
            with pytest.raises(AzureError):
                call.result()
            azure, _ = start(certificatePendingPolls=0)

        killed_at(lambda: client.begin_create_certificate("leaf", LEFT_PENDING))
        if when == "before":
            assert_absent(client, "leaf")
            client.begin_create_certificate("leaf", LEFT_PENDING)
        csr = client.get_certificate_operation("leaf").csr
        leaf = authority.issue(csr)

        killed_at(lambda: client.merge_certificate("leaf", [der(leaf)]))
        if when == "before":
            assert client.get_certificate("leaf").cer is None
            assert client.get_certificate_operation("leaf").status == "inProgress"
            client.merge_certificate("leaf", [der(leaf)])
        assert_whole(vault, "leaf")
        assert loaded(client.get_certificate("leaf")) == leaf

        killed_at(lambda: client.begin_create_certificate("leaf", LEFT_PENDING))
        assert loaded(client.get_certificate("leaf")) == leaf
        assert_whole(vault, "leaf")

        killed_at(lambda: client.begin_delete_certificate("leaf"))
        if when == "before":
            assert_whole(vault, "leaf")
            client.begin_delete_certificate("leaf", _polling_interval=0).wait()
        assert_absent(client, "leaf")
        killed_at(lambda: client.begin_recover_deleted_certificate("leaf"))
        if when == "before":
            client.begin_recover_deleted_certificate("leaf", _polling_interval=0).wait()
        assert_whole(vault, "leaf")


def assert_absent(client: CertificateClient, name: str) -> None:
    with pytest.raises(ResourceNotFoundError):
        client.get_certificate(name)


def assert_whole(vault: VaultClients, name: str) -> None:
    """Certificate, key and secret are of one version and fit together."""
    certificate = vault.certificates().get_certificate(name)
    key, secret = vault.keys().get_key(name), vault.secrets().get_secret(name)
    assert (certificate.key_id, certificate.secret_id) == (key.id, secret.id)
    assert secret.properties.version == version_of(certificate)
    signer = vault.cryptography(key.id)
    signature = signer.sign(SignatureAlgorithm.es256, bytes(32)).signature
    assert signer.verify(SignatureAlgorithm.es256, bytes(32), signature).is_valid
    assert public_der(loaded(certificate).public_key())
