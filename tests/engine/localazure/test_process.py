"""The process: what it listens on, what it leaves in its folder, and what survives its end."""

import json
import socket
import ssl
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from azure.core.exceptions import AzureError
from azure.keyvault.secrets import SecretClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from localazure.client import LocalAzure, LocalAzureError
from tests.engine.localazure.sdk import Sdk, fresh_name

Start = Callable[..., tuple[LocalAzure, Sdk]]
ADMINISTRATOR = "00482a5a-887f-4fb3-b363-3b7fe8e74483"


def secrets_in(sdk: Sdk, uri: str) -> SecretClient:
    client = SecretClient(uri, sdk.credential(), verify_challenge_resource=False, retry_total=0, **sdk.trust)
    return sdk.closing(client)


def test_it_listens_on_loopback_only(azure: LocalAzure, sdk: Sdk) -> None:
    """A development cloud with known secrets must not be reachable from the network."""
    sdk.create_vault(sdk.create_group())
    listening = [c.laddr.ip for c in psutil.Process(azure.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert len(listening) >= 2
    assert set(listening) == {"127.0.0.1"}


def test_killed_at_any_moment_it_comes_back_with_what_it_confirmed(start: Start) -> None:
    """SIGKILL between two writes, or in one: ports, identities, keys and every answered write are there again."""
    azure, sdk = start()
    group = sdk.create_group()
    vault = sdk.create_vault(group)
    sdk.assign("deployer", ADMINISTRATOR, vault.id)
    secrets_in(sdk, vault.properties.vault_uri).set_secret("ui", "value")
    confirmed: list[str] = []

    def write_until_killed() -> None:
        groups = sdk.resources().resource_groups
        try:
            while True:
                confirmed.append(groups.create_or_update(fresh_name(), {"location": "westeurope"}).name)
        except AzureError:
            return

    writer = threading.Thread(target=write_until_killed)
    writer.start()
    while len(confirmed) < 5:
        assert writer.is_alive()
    azure.kill()
    writer.join(30)
    identities, origin = azure.identities, azure.origin
    assert (azure.state / "endpoint.json").exists()

    azure, sdk = start()
    assert (azure.identities, azure.origin) == (identities, origin)
    assert set(confirmed) <= {each.name for each in sdk.resources().resource_groups.list()}
    assert secrets_in(sdk, vault.properties.vault_uri).get_secret("ui").value == "value"


def test_a_token_outlives_a_restart(start: Start) -> None:
    """The signing key is kept: a client with a cached token goes on."""
    azure, sdk = start()
    credential = sdk.credential()
    token = credential.get_token(f"{azure.origin}/.default").token
    azure.stop()
    azure, sdk = start()

    class Cached:
        def get_token(self, *_: str, **__: Any) -> Any:
            return type(credential.get_token(f"{azure.origin}/.default"))(token, 2**31)

    assert list(sdk.resources(credential=Cached()).resource_groups.list()) == []


def test_the_folder_keeps_its_secrets(azure: LocalAzure) -> None:
    """Client secrets, CA key and state are for the owner alone."""
    for name in ("identities.json", "ca.key", "server.pem", "state.sqlite3", "endpoint.json"):
        assert stat.S_IMODE((azure.state / name).stat().st_mode) == 0o600, name


def test_the_endpoint_file_is_there_while_it_listens(start: Start) -> None:
    """Tools take the file for "it is up"; a stopped one must not look alive."""
    azure, _ = start()
    endpoint = json.loads((azure.state / "endpoint.json").read_text())
    assert endpoint["metadataHost"] == f"127.0.0.1:{endpoint['port']}"
    assert LocalAzure.attach(azure.state).pid == azure.pid
    azure.stop()
    assert not (azure.state / "endpoint.json").exists()
    with pytest.raises(LocalAzureError, match="no local Azure runs"):
        LocalAzure.attach(azure.state)
    azure.stop()


def test_sigterm_stops_it_cleanly(start: Start) -> None:
    """`make down` from another shell, or a supervisor."""
    azure, _ = start()
    process = psutil.Process(azure.pid)
    process.terminate()
    azure.stop()
    assert not process.is_running()
    assert not (azure.state / "endpoint.json").exists()


def test_a_crashed_one_leaves_a_file_that_attach_does_not_believe(start: Start) -> None:
    """After a crash endpoint.json is still there, and points at nobody."""
    azure, _ = start()
    azure.kill()
    with pytest.raises(LocalAzureError, match="no local Azure runs"):
        LocalAzure.attach(azure.state)


def test_one_process_a_state_directory(start: Start) -> None:
    """Two writers would corrupt each other's vaults."""
    azure, _ = start()
    with pytest.raises(LocalAzureError, match="already runs"):
        start()
    assert azure.dials()


def test_a_taken_port_is_said_and_not_swapped(start: Start) -> None:
    """The address is in stacks and tokens: another port would look like another cloud."""
    azure, _ = start()
    azure.stop()
    port = int(azure.metadata_host.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)), pytest.raises(LocalAzureError, match="taken by another process"):
        start()
    start()


def test_a_deleted_vault_keeps_its_port(start: Start) -> None:
    """A vault comes back under the address that stacks know, or not at all: nobody may have got that meanwhile."""
    azure, sdk = start()
    group = sdk.create_group()
    vault = sdk.create_vault(group)
    uri = vault.properties.vault_uri
    port = int(uri.rstrip("/").rpartition(":")[2])
    sdk.vaults().vaults.delete(group, vault.name)
    assert_taken(port)
    azure.stop()
    with socket.create_server(("127.0.0.1", port)):
        pass
    azure, sdk = start()
    assert_taken(port)
    sdk.create_vault(group, vault.name, createMode="recover")
    sdk.assign("deployer", ADMINISTRATOR, vault.id)
    assert secrets_in(sdk, uri).set_secret("ui", "value").value == "value"


def assert_taken(port: int) -> None:
    """No server can have the port, not even one that takes what nobody listens on, as servers do."""
    with pytest.raises(OSError, match="Address already in use"):
        socket.create_server(("127.0.0.1", port))


def test_wrong_dials_at_the_start_are_said(tmp_path: Path) -> None:
    """The log's tail is in the exception: nobody should have to look for it."""
    with pytest.raises(LocalAzureError, match="rbacPropagationSecond"):
        LocalAzure.start(tmp_path / "azure", rbacPropagationSecond=1)


def test_its_authority_can_vouch_for_loopback_only(azure: LocalAzure) -> None:
    """The file is put into trust stores: whoever gets the CA's key must not gain the power over other names."""
    assert handshake(azure, "localhost", x509.DNSName("localhost")) is None
    refused = handshake(azure, "login.microsoftonline.com", x509.DNSName("login.microsoftonline.com"))
    assert "permitted subtree violation" in str(refused)


def handshake(azure: LocalAzure, host: str, name: x509.GeneralName) -> ssl.SSLError | None:
    """What a client that trusts the authority says to a certificate that it issued for the name; None if it takes
    it.
    """
    authority = x509.load_pem_x509_certificate(azure.ca_file.read_bytes())
    authority_key = serialization.load_pem_private_key((azure.state / "ca.key").read_bytes(), None)
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    chain = azure.state / f"{fresh_name()}.pem"
    chain.write_bytes(
        leaf.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(chain)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = azure.tls_context().wrap_bio(to_client, to_server, server_hostname=host)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    while waiting:
        for side in tuple(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return error
    return None
