"""Which data action each operation of a vault asks for, and what the built-in roles therefore allow."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest
from azure.keyvault.certificates import CertificatePolicy
from azure.keyvault.keys.crypto import SignatureAlgorithm

from localazure.client import LocalAzure
from tests.engine.localazure.sdk import Sdk
from tests.engine.localazure.vault_clients import OTHER, VaultClients, fresh, refusal

ACTIONS = [
    ("GET /certificates", "certificates/read"),
    ("GET /certificates/x", "certificates/read"),
    ("GET /certificates/x/", "certificates/read"),
    ("GET /certificates/x/1", "certificates/read"),
    ("GET /certificates/x/versions", "certificates/read"),
    ("GET /certificates/x/policy", "certificates/read"),
    ("GET /certificates/x/pending", "certificates/read"),
    ("GET /deletedcertificates", "certificates/read"),
    ("GET /deletedcertificates/x", "certificates/read"),
    ("POST /certificates/x/create", "certificates/create/action"),
    ("POST /certificates/x/pending/merge", "certificates/create/action"),
    ("POST /certificates/x/import", "certificates/import/action"),
    ("PATCH /certificates/x/1", "certificates/update/action"),
    ("PATCH /certificates/x/policy", "certificates/update/action"),
    ("PATCH /certificates/x/pending", "certificates/update/action"),
    ("DELETE /certificates/x/pending", "certificates/update/action"),
    ("DELETE /certificates/x", "certificates/delete"),
    ("POST /certificates/x/backup", "certificates/backup/action"),
    ("POST /certificates/restore", "certificates/restore/action"),
    ("POST /deletedcertificates/x/recover", "certificates/recover/action"),
    ("DELETE /deletedcertificates/x", "certificates/purge/action"),
    ("GET /keys", "keys/read"),
    ("GET /keys/x", "keys/read"),
    ("GET /keys/x/1", "keys/read"),
    ("GET /keys/x/versions", "keys/read"),
    ("GET /deletedkeys", "keys/read"),
    ("GET /deletedkeys/x", "keys/read"),
    ("POST /keys/x/create", "keys/create/action"),
    ("PATCH /keys/x/1", "keys/update/action"),
    ("POST /keys/x/1/sign", "keys/sign/action"),
    ("POST /keys/x/1/verify", "keys/verify/action"),
    ("DELETE /keys/x", "keys/delete"),
    ("POST /keys/x/backup", "keys/backup/action"),
    ("POST /keys/restore", "keys/restore/action"),
    ("POST /deletedkeys/x/recover", "keys/recover/action"),
    ("DELETE /deletedkeys/x", "keys/purge/action"),
    ("GET /secrets", "secrets/readMetadata/action"),
    ("GET /secrets/x/versions", "secrets/readMetadata/action"),
    ("GET /deletedsecrets", "secrets/readMetadata/action"),
    ("GET /deletedsecrets/x", "secrets/readMetadata/action"),
    ("GET /secrets/x", "secrets/getSecret/action"),
    ("GET /secrets/x/1", "secrets/getSecret/action"),
    ("PUT /secrets/x", "secrets/setSecret/action"),
    ("PATCH /secrets/x/1", "secrets/update/action"),
    ("DELETE /secrets/x", "secrets/delete"),
    ("POST /secrets/x/backup", "secrets/backup/action"),
    ("POST /secrets/restore", "secrets/restore/action"),
    ("POST /deletedsecrets/x/recover", "secrets/recover/action"),
    ("DELETE /deletedsecrets/x", "secrets/purge/action"),
]
SELF_ISSUED = CertificatePolicy("Self", subject="CN=x", key_type="EC")


@pytest.fixture(autouse=True)
def prompt_issuer(azure: LocalAzure) -> None:
    azure.dials(certificatePendingPolls=0)


@pytest.fixture(scope="module")
def closed_vault(running_azure: LocalAzure) -> Iterator[VaultClients]:
    """A vault in which `OTHER` has no role."""
    with ExitStack() as stack:
        yield VaultClients(Sdk(running_azure, stack), stack)


@pytest.fixture
def vault(sdk: Sdk) -> Iterator[VaultClients]:
    with ExitStack() as stack:
        yield VaultClients(sdk, stack)


@pytest.mark.parametrize(("operation", "action"), ACTIONS, ids=[operation for operation, _ in ACTIONS])
def test_each_operation_asks_for_its_data_action_at_its_object(
    closed_vault: VaultClients, operation: str, action: str
) -> None:
    """An operation under another action would pass with a role here that is refused on Azure.

    The refusal comes before anything about the object is told: whether it exists, whether the body makes sense.
    """
    method, path = operation.split()
    response = closed_vault.certificates(OTHER).send_request(HttpRequest(method, path))
    assert response.status_code == 403
    error = response.json()["error"]
    assert error["innererror"] == {"code": "ForbiddenByRbac"}
    assert f"Action: 'Microsoft.KeyVault/vaults/{action}'" in error["message"]
    collection = path.split("/")[1].removeprefix("deleted")
    scope = f"{closed_vault.id}/{collection}" + ("/x" if "/x" in path else "")
    assert f"Resource: '{scope.lower()}'" in error["message"]


def test_who_may_read_one_secret_reads_no_other(vault: VaultClients) -> None:
    """The readers of the design: a worker's key is for that worker alone."""
    mine, other = fresh(), fresh()
    for name in (mine, other):
        vault.create(SELF_ISSUED, name)
    vault.assign(OTHER, "Key Vault Secrets User", f"/secrets/{mine}")
    secrets = vault.secrets(OTHER)
    assert secrets.get_secret(mine).value
    refusal(lambda: secrets.get_secret(other), 403, "Forbidden", "ForbiddenByRbac")
    refusal(lambda: list(secrets.list_properties_of_secrets()), 403, "Forbidden", "ForbiddenByRbac")
    certificates = vault.certificates(OTHER)
    refusal(lambda: certificates.get_certificate(mine), 403, "Forbidden", "ForbiddenByRbac")


def test_who_issues_needs_to_sign_besides(vault: VaultClients) -> None:
    """Certificates Officer has every right on certificates, and none to sign with an authority's key."""
    authority = vault.create(SELF_ISSUED, fresh())
    vault.assign(OTHER, "Key Vault Certificates Officer")
    certificates, crypto = vault.certificates(OTHER), vault.cryptography(authority.key_id, OTHER)
    certificates.begin_create_certificate(fresh(), SELF_ISSUED, _polling_interval=0).wait()
    refusal(lambda: crypto.sign(SignatureAlgorithm.es256, bytes(32)), 403, "Forbidden", "ForbiddenByRbac")
    vault.assign(OTHER, "Key Vault Crypto User", f"/keys/{authority.name}")
    assert crypto.sign(SignatureAlgorithm.es256, bytes(32)).signature
    keys = vault.keys(OTHER)
    refusal(lambda: keys.create_ec_key(fresh()), 403, "Forbidden", "ForbiddenByRbac")


def test_who_previews_sees_everything_but_values(vault: VaultClients) -> None:
    """`previewer` is Key Vault Reader: what a preview needs beyond that, it must not have."""
    name = fresh()
    created = vault.create(SELF_ISSUED, name)
    certificates, keys, secrets = vault.certificates("previewer"), vault.keys("previewer"), vault.secrets("previewer")
    assert certificates.get_certificate(name).id == created.id
    assert keys.get_key(name).id == created.key_id
    assert name in [each.name for each in secrets.list_properties_of_secrets()]
    refusal(lambda: secrets.get_secret(name), 403, "Forbidden", "ForbiddenByRbac")
    crypto = vault.cryptography(created.key_id, "previewer")
    refusal(lambda: crypto.sign(SignatureAlgorithm.es256, bytes(32)), 403, "Forbidden", "ForbiddenByRbac")
    with pytest.raises(HttpResponseError):
        certificates.begin_create_certificate(fresh(), SELF_ISSUED)


def test_a_refused_write_is_no_write(vault: VaultClients, azure: LocalAzure) -> None:
    last = azure.requests()[-1]["n"]
    client = vault.secrets(OTHER)
    refusal(lambda: client.set_secret(fresh(), "x"), 403, "Forbidden", "ForbiddenByRbac")
    assert azure.writes(after=last) == []
