"""From outputs and keys to directories: what each file holds, what is refused, and what readers see meanwhile."""

import base64
import copy
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import deploy.keys
from deploy import directory, envfile
from deploy.__main__ import main
from deploy.checks import problems, warnings
from deploy.composition import compose
from deploy.delivered import delivered
from deploy.deliveries import State
from deploy.keys import sign_in_settings
from deploy.outputs import Outputs
from deploy.problem import DeployError, Problem
from deploy.secret import PKCS12, Keys, Secret
from deploy.summary import summarise
from environment import (
    Deployment,
    cli_environment,
    dynamic_config,
    internal_frontend_environment,
    server_config,
    server_environment,
    ui_environment,
    worker_environment,
)
from pki import to_pem
from tests.certificates import authority_policy, issue, leaf_policy

NOW = datetime.now(UTC).replace(microsecond=0)
SERVER_NAME = "temporal.internal"
CLIENT_SECRETS = {"ui": "hunter2~ui", "orders": "hunter2~orders"}
SECRETS_END = NOW + timedelta(days=100)
CONSUMERS = ("server", "ui", "cli", "workers/orders")
LEAVES = {"server": "cluster", "ui": "ui", "cli": "cli", "workers/orders": "orders"}
ROOT = "/etc/temporal"


class Issuer:
    """An authority, or somebody's idea of one."""

    def __init__(
        self,
        common_name: str,
        *,
        begins: datetime = NOW - timedelta(days=1),
        ends: datetime = NOW + timedelta(days=1000),
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        self.certificate = self.renewed(begins=begins, ends=ends)

    def renewed(self, *, begins: datetime = NOW - timedelta(days=1), ends: datetime) -> x509.Certificate:
        """Another certificate of it, with the same name and key."""
        return self._certify(self.name, self.key, begins=begins, ends=ends, authority=True)

    def issue(
        self,
        common_name: str,
        key: ec.EllipticCurvePrivateKey | None = None,
        *,
        begins: datetime = NOW - timedelta(days=1),
        ends: datetime = NOW + timedelta(days=89),
        dns_names: tuple[str, ...] = (),
    ) -> Secret:
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        return Secret(self._certify(subject, key, begins=begins, ends=ends, dns_names=dns_names), key)

    def _certify(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        begins: datetime = NOW - timedelta(days=1),
        ends: datetime,
        dns_names: tuple[str, ...] = (),
        authority: bool = False,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder(self.name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if dns_names:
            names = x509.SubjectAlternativeName([x509.DNSName(name) for name in dns_names])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())


INTERNODE, CLIENTS, STRANGER = Issuer("internode"), Issuer("clients"), Issuer("stranger")


@dataclass(frozen=True)
class SignOn:
    """Sign-on as the program's outputs have it."""

    issuer: str = "https://login.example/tenant/v2.0"
    keys_url: str = "https://login.example/tenant/discovery/v2.0/keys"
    client_id: str = "client"
    client_secret: str = CLIENT_SECRETS["ui"]
    scopes: str = "openid,client/default"
    token_scope: str = "api://client/.default"
    ui_url: str = "http://localhost:8080"
    callback_url: str = "http://localhost:8080/auth/sso/callback"
    worker_variables: Mapping[str, Mapping[str, str]] = field(
        default_factory=lambda: {
            "orders": {
                "AZURE_AUTHORITY_HOST": "https://login.example",
                "AZURE_TENANT_ID": "tenant",
                "AZURE_CLIENT_ID": "orders",
                "AZURE_CLIENT_SECRET": CLIENT_SECRETS["orders"],
            }
        }
    )


def _sign_on_facts() -> dict[str, Any]:
    def secret(name: str) -> dict[str, Any]:
        return {
            "notAfter": f"{SECRETS_END:%Y-%m-%dT%H:%M:%SZ}",
            "renewBeforeDays": 90,
            "secretId": f"https://leaves.example/secrets/{name}-client-secret/1",
        }

    return {
        "tenantId": "tenant",
        "clientId": "client",
        "roles": {"default:read": "1"},
        "clientSecret": secret("ui"),
        "workers": {"orders": {"clientId": "orders", "objectId": "1", "clientSecret": secret("orders")}},
    }


class Stack:
    """The outputs and keys of a stack in order, for tests to spoil."""

    def __init__(self, *, sign_on: bool = True) -> None:
        self.keys = {
            "cluster": INTERNODE.issue("cluster", dns_names=(SERVER_NAME,)),
            **{name: CLIENTS.issue(name) for name in ("ui", "cli", "orders")},
        }
        deployment = Deployment(
            internode_authority="internode", client_authorities=("clients",), sign_on=SignOn() if sign_on else None
        )
        self.raw: dict[str, Any] = {
            "serverEnv": server_environment(deployment),
            "internalFrontendEnv": internal_frontend_environment(deployment),
            "uiEnv": ui_environment(deployment),
            "cliEnv": cli_environment(deployment),
            "workerEnvs": {"orders": worker_environment(deployment, "orders")},
            "serverConfig": server_config(deployment),
            "dynamicConfig": dynamic_config(),
            "certificates": {
                name: _certificate(name, key.certificate, INTERNODE if name == "cluster" else CLIENTS)
                for name, key in self.keys.items()
            },
            "caBundles": {"internode": [to_pem(INTERNODE.certificate)], "clients": [to_pem(CLIENTS.certificate)]},
            "keyVaults": {"leaves": {"name": "leaves", "id": "/vaults/leaves", "uri": "https://leaves.example/"}},
            "signOn": _sign_on_facts() if sign_on else {},
            "temporalCloud": {},
        }
        for name, authority in (("internode-1", INTERNODE), ("clients-1", CLIENTS)):
            self.raw["certificates"][name] = _certificate(name, authority.certificate, None)

    @property
    def outputs(self) -> Outputs:
        return Outputs.parse(self.raw, "dev")

    def issue(self, name: str, secret: Secret) -> None:
        """Have the certificate `name` replaced, in the outputs and in the vault."""
        self.keys[name] = secret
        self.raw["certificates"][name]["certificatePem"] = to_pem(secret.certificate)

    def problems(self, now: datetime = NOW) -> list[Problem]:
        return problems(self.outputs, self.keys, CONSUMERS, now)

    def compose(self, *, inline: bool = False, https_trust: bytes | None = None) -> dict[str, Mapping[str, bytes]]:
        return compose(self.outputs, self.keys, ROOT, inline=inline, https_trust=https_trust)


def _certificate(name: str, certificate: x509.Certificate, issuer: Issuer | None) -> dict[str, Any]:
    role = "authority" if issuer is None else "node" if name == "cluster" else "client"
    return {
        "role": role,
        "renewBeforeDays": 0 if issuer is None else 30,
        "secretId": None if issuer is None else f"https://leaves.example/secrets/{name}/1",
        "vaultUri": "https://leaves.example/",
        "certificatePem": to_pem(certificate),
        "chainPem": [] if issuer is None else [to_pem(issuer.certificate)],
    }


@pytest.fixture(scope="module")
def sound() -> Stack:
    return Stack()


@pytest.fixture
def stack(sound: Stack) -> Stack:
    """A copy of a stack in order."""
    return _copied(sound)


@pytest.fixture(scope="module")
def sound_without_sign_on() -> Stack:
    return Stack(sign_on=False)


@pytest.fixture
def stack_without_sign_on(sound_without_sign_on: Stack) -> Stack:
    return _copied(sound_without_sign_on)


def _copied(stack: Stack) -> Stack:
    copied = copy.copy(stack)
    copied.raw, copied.keys = copy.deepcopy(stack.raw), dict(stack.keys)
    return copied


def key_material(stack: Stack) -> list[bytes]:
    """What must not be seen of the private keys and client secrets, in every form that could carry it."""
    found = [
        form for secret in CLIENT_SECRETS.values() for form in (secret.encode(), base64.b64encode(secret.encode()))
    ]
    for secret in stack.keys.values():
        assert isinstance(secret.private_key, ec.EllipticCurvePrivateKey)
        number = secret.private_key.private_numbers().private_value
        raw = number.to_bytes(32, "big")
        body = b"".join(secret.private_key_pem.splitlines()[1:-1])
        found += [raw, raw.hex().encode(), base64.b64encode(raw), str(number).encode(), body[:40], body[40:80]]
    return found


# What each file holds


def test_each_consumer_gets_its_own_key_and_nobody_elses(stack: Stack) -> None:
    """A mount of one directory would show another consumer's private key."""
    files = stack.compose()
    authority_slots = {f"ca/{authority}-{slot}.pem" for authority in ("internode", "clients") for slot in "ab"}
    assert {name: set(content) for name, content in files.items()} == {
        "server": {
            "server.env",
            "internal-frontend.env",
            "server.yaml",
            "dynamicconfig.yaml",
            "cluster.pem",
            "cluster.key",
            *authority_slots,
        },
        "ui": {"ui.env", "ui.pem", "ui.key", "ca/internode.pem"},
        "cli": {"cli.env", "cli.pem", "cli.key", "ca/internode.pem"},
        "workers/orders": {"worker.env", "orders.pem", "orders.key", "ca/internode.pem"},
    }
    for name, content in files.items():
        everything = b"".join(content.values())
        for leaf, secret in stack.keys.items():
            assert (secret.private_key_pem in everything) == (leaf == LEAVES[name])


def test_a_pem_is_the_leaf_and_then_its_chain(stack: Stack) -> None:
    """A server takes the first certificate of the file for its own."""
    for name, content in stack.compose().items():
        leaf = LEAVES[name]
        issuer = INTERNODE if leaf == "cluster" else CLIENTS
        found = x509.load_pem_x509_certificates(content[f"{leaf}.pem"])
        assert found == [stack.keys[leaf].certificate, issuer.certificate]


def test_the_server_sees_one_generation_a_file_and_clients_see_all(stack: Stack) -> None:
    """The server notices a change by a file's first certificate alone; a client reads its one file once."""
    alone = stack.compose()["server"]
    assert alone["ca/clients-a.pem"] == alone["ca/clients-b.pem"] == to_pem(CLIENTS.certificate).encode()
    newer = Issuer("internode 2").certificate
    stack.raw["caBundles"]["internode"].insert(0, to_pem(newer))
    files = stack.compose()
    assert files["server"]["ca/internode-a.pem"] == to_pem(newer).encode()
    assert files["server"]["ca/internode-b.pem"] == to_pem(INTERNODE.certificate).encode()
    assert x509.load_pem_x509_certificates(files["ui"]["ca/internode.pem"]) == [newer, INTERNODE.certificate]


def test_variables_name_files_where_the_consumer_sees_them(stack: Stack) -> None:
    """A container would look for its key at the deployer's path."""
    files = stack.compose()
    for name, content in files.items():
        for file in [file for file in content if file.endswith(".env")]:
            paths = [value for value in sourced(content[file]).values() if value.startswith("/")]
            assert paths
            for path in paths:
                assert path.removeprefix(f"{ROOT}/{name}/") in content


def test_inline_carries_the_same_pem_in_the_variables(stack: Stack) -> None:
    """A platform without mounts would start with a truncated key, or with none."""
    files, inline = stack.compose(), stack.compose(inline=True)
    assert set(inline["server"]) == {"server.env", "internal-frontend.env", "server.yaml", "dynamicconfig.yaml"}
    assert [set(inline[name]) for name in CONSUMERS[1:]] == [{"ui.env"}, {"cli.env"}, {"worker.env"}]

    def decoded(name: str, file: str, variable: str) -> bytes:
        return base64.b64decode(sourced(inline[name][file])[variable], validate=True)

    for file, authority in (("server.env", "clients"), ("internal-frontend.env", "internode")):
        assert decoded("server", file, "TEMPORAL_TLS_SERVER_CERT_DATA") == files["server"]["cluster.pem"]
        assert decoded("server", file, "TEMPORAL_TLS_FRONTEND_KEY_DATA") == files["server"]["cluster.key"]
        assert decoded("server", file, "TEMPORAL_TLS_SERVER2_CA_CERT_DATA") == files["server"]["ca/internode-b.pem"]
        assert decoded("server", file, "TEMPORAL_TLS_CLIENT2_CA_CERT_DATA") == files["server"][f"ca/{authority}-b.pem"]
        assert sourced(inline["server"][file])["TEMPORAL_SERVER_CONFIG_FILE_PATH"] == f"{ROOT}/server/server.yaml"
    assert decoded("ui", "ui.env", "TEMPORAL_TLS_KEY_DATA") == files["ui"]["ui.key"]
    for name, file in (("cli", "cli.env"), ("workers/orders", "worker.env")):
        variables = sourced(inline[name][file])
        assert variables["TEMPORAL_TLS_CLIENT_KEY_DATA"].encode() == files[name][f"{LEAVES[name]}.key"]
        assert variables["TEMPORAL_TLS_CLIENT_CERT_DATA"].encode() == files[name][f"{LEAVES[name]}.pem"]
    for name in CONSUMERS:
        for content in inline[name].values():
            assert b"_KEY=/" not in content
            assert b"_KEY_PATH" not in content


def test_trust_for_https_lies_beside_what_else_a_consumer_has(stack: Stack) -> None:
    """Behind a proxy nobody could sign in; or Temporal's own authorities would be trusted for every web site."""
    pem = to_pem(STRANGER.certificate).encode()
    files, without = stack.compose(https_trust=pem), stack.compose()
    for name, content in files.items():
        assert content["https.crt"] == pem
        assert content.keys() - without[name].keys() == {"https.crt"}
        for file in [file for file in content if file.endswith(".env")]:
            added = sourced(content[file]).items() - sourced(without[name][file]).items()
            path = f"{ROOT}/{name}/https.crt"
            assert added == {("SSL_CERT_FILE", path), ("REQUESTS_CA_BUNDLE", path)}


def test_the_same_outputs_and_keys_give_the_same_bytes(stack: Stack) -> None:
    """Watchers would fire, and processes restart, at each write that changes nothing."""
    assert stack.compose() == stack.compose()


# Environment files


def sourced(content: bytes) -> dict[str, str]:
    """What a shell has after `set -a; . FILE`."""
    program = f"set -a; . /dev/stdin; exec {sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    with subprocess.Popen(["sh", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}) as shell:
        printed, _ = shell.communicate(content)
    variables: dict[str, str] = json.loads(printed)
    return {name: value for name, value in variables.items() if name not in ("PWD", "LC_CTYPE")}


LINES = st.text(st.characters(exclude_categories=("C", "Zl", "Zp"), exclude_characters="'\\"), min_size=1)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.from_regex(r"X_[A-Z0-9_]{1,8}", fullmatch=True), LINES, min_size=1))
def test_a_shell_reads_what_was_written(variables: dict[str, str]) -> None:
    """A dollar sign, a hash or a blank in a value would become something else on the way."""
    assume(not any(envfile.obstacle(name, value) for name, value in variables.items()))
    assert sourced(envfile.render(variables, "It's `a` $comment")) == variables


def test_several_lines_of_pem_arrive_whole() -> None:
    """SDKs take PEM as it is, with its line breaks."""
    pem = to_pem(INTERNODE.certificate)
    assert sourced(envfile.render({"PEM": pem, "B": "b"}, "two")) == {"PEM": pem, "B": "b"}


def test_variables_are_sorted_lines_below_one_comment() -> None:
    """Somebody who compares two of them would see differences that are none."""
    assert envfile.render({"B": "2", "A": "x y", "C": "1=1"}, "Why") == b"# Why\nA='x y'\nB=2\nC=1=1\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [("A", "it's"), ("A", "a\\b"), ("A", "a\nb"), ("A", "a\rb"), ("A", "\x07"), ("1A", "a"), ("A-B", "a"), ("", "a")],
)
def test_what_no_environment_file_can_carry_is_refused(name: str, value: str) -> None:
    """Docker, systemd and a shell would each read another value."""
    assert envfile.obstacle(name, value)
    assert envfile.obstacle("A", '$HOME `id` "quoted" # ; & ~ * ') is None


# Secrets


def test_a_secret_is_read_as_pem_and_as_pkcs12() -> None:
    """A certificate that was imported as PKCS #12 would have no key."""
    secret = CLIENTS.issue("ui")
    assert isinstance(secret.private_key, ec.EllipticCurvePrivateKey)
    pem = secret.private_key_pem.decode() + to_pem(secret.certificate) + to_pem(CLIENTS.certificate)
    archive = pkcs12.serialize_key_and_certificates(
        b"ui", secret.private_key, secret.certificate, None, serialization.NoEncryption()
    )
    for found in (
        Secret.parse(pem, "application/x-pem-file"),
        Secret.parse(base64.b64encode(archive).decode(), PKCS12),
    ):
        assert found.certificate == secret.certificate
        assert found.private_key_pem == secret.private_key_pem


@pytest.mark.parametrize("content_type", ["application/x-pem-file", PKCS12, None])
@pytest.mark.parametrize("kept", ["key", "certificate", "neither"])
def test_half_a_secret_is_refused_without_quoting_it(kept: str, content_type: str | None) -> None:
    """The half that is there would be in a log."""
    secret = CLIENTS.issue("ui")
    halves = {"key": secret.private_key_pem.decode(), "certificate": to_pem(secret.certificate), "neither": "hunter2"}
    with pytest.raises(ValueError, match="does not hold a private key and its certificate") as caught:
        Secret.parse(halves[kept], content_type)
    said = f"{caught.value!r} {caught.value.__context__!r}"
    assert "hunter2" not in said
    assert halves["key"].splitlines()[1] not in said


def test_a_secret_does_not_show_its_key(stack: Stack) -> None:
    """A traceback with local variables, or a log line, would hold a private key."""
    shown = repr(stack.keys).encode()
    assert not [material for material in key_material(stack) if material in shown]


# Outputs


def test_a_stack_without_outputs_says_what_to_do() -> None:
    """Whoever writes before the first `up` would see a traceback."""
    with pytest.raises(DeployError, match="make up STACK=dev"):
        Outputs.parse({}, "dev")


def test_all_malformed_outputs_are_named_and_no_value_is_shown(stack: Stack) -> None:
    """The second mistake would show only after the first is mended; a secret would be printed."""
    del stack.raw["caBundles"]
    stack.raw["certificates"]["ui"]["certificatePem"] = "hunter2"
    stack.raw["uiEnv"] = {"TEMPORAL_ADDRESS": ["hunter2"]}
    with pytest.raises(DeployError) as caught:
        stack.outputs  # noqa: B018
    message = caught.value.format_message()
    assert all(path in message for path in ("caBundles", "certificates.ui.certificatePem", "uiEnv.TEMPORAL_ADDRESS"))
    assert "hunter2" not in message


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", "A", ".."])
def test_a_worker_is_not_written_outside_its_folder(stack: Stack, name: str) -> None:
    """A key would be written wherever the name leads."""
    stack.raw["workerEnvs"][name] = {}
    with pytest.raises(DeployError, match="workerEnvs"):
        stack.outputs  # noqa: B018


# Checks


def test_a_delivered_pair_is_taken_up_unless_it_is_another(stack: Stack, base: Path) -> None:
    """An old pair would be kept for ever, or each run would need a right on each secret."""
    directory.write(base, stack.compose())
    found = delivered(base, stack.outputs, CONSUMERS)
    assert {name: pair.private_key_pem for name, pair in found.items()} == {
        name: pair.private_key_pem for name, pair in stack.keys.items()
    }
    stack.issue("ui", CLIENTS.issue("ui"))
    assert delivered(base, stack.outputs, CONSUMERS).keys() == stack.keys.keys() - {"ui"}
    directory.write(base, {"cli": {"cli.key": stack.keys["ui"].private_key_pem, "cli.pem": b"no certificate"}})
    assert delivered(base, stack.outputs, CONSUMERS).keys() == stack.keys.keys() - {"ui", "cli"}
    _other_key(stack)
    directory.write(base, {"ui": stack.compose()["ui"]})
    assert "ui" not in delivered(base, stack.outputs, CONSUMERS)


def test_a_sound_stack_has_no_problems(sound: Stack) -> None:
    """The passing twin of every problem below."""
    assert sound.problems() == []
    assert warnings(sound.outputs, NOW) == []


def _other_key(stack: Stack) -> None:
    stack.keys["ui"] = Secret(stack.keys["ui"].certificate, ec.generate_private_key(ec.SECP256R1()))


def _other_version(stack: Stack) -> None:
    stack.keys["ui"] = CLIENTS.issue("ui")


def _other_authority(stack: Stack) -> None:
    stack.issue("ui", STRANGER.issue("ui"))
    stack.raw["certificates"]["ui"]["chainPem"] = [to_pem(STRANGER.certificate)]


def _broken_chain(stack: Stack) -> None:
    stack.raw["certificates"]["ui"]["chainPem"] = [to_pem(INTERNODE.certificate)]


def _ended(stack: Stack) -> None:
    stack.issue("ui", CLIENTS.issue("ui", ends=NOW))


def _not_begun(stack: Stack) -> None:
    stack.issue("ui", CLIENTS.issue("ui", begins=NOW + timedelta(hours=1)))


def _no_name(stack: Stack) -> None:
    stack.issue("cluster", INTERNODE.issue("cluster"))


def _other_name(stack: Stack) -> None:
    stack.issue("cluster", INTERNODE.issue("cluster", dns_names=("temporal.example", "*.temporal.internal")))


def _set(*path: str, to: object) -> Callable[[Stack], None]:
    def spoil(stack: Stack) -> None:
        place = stack.raw
        for step in path[:-1]:
            place = place[step]
        if to is None:
            del place[path[-1]]
        else:
            place[path[-1]] = to

    return spoil


SPOILED: dict[str, tuple[Callable[[Stack], None], str, str]] = {
    "key of another": (_other_key, "ui", "does not belong to the certificate ui"),
    "other version": (_other_version, "ui", "holds another certificate than the outputs"),
    "other authority": (_other_authority, "ui", "leads to CN=stranger, which is in none of the caBundles"),
    "broken chain": (_broken_chain, "ui", "the chain of the certificate ui is out of order"),
    "ended": (_ended, "ui", "ended on"),
    "not begun": (_not_begun, "ui", "begins on"),
    "no server name": (_no_name, "server", f"TEMPORAL_TLS_FRONTEND_SERVER_NAME in server.env expects .* {SERVER_NAME}"),
    "other server name": (_other_name, "ui", f"TEMPORAL_TLS_SERVER_NAME in ui.env expects .* {SERVER_NAME}"),
    "no certificate": (_set("certificates", "orders", to=None), "workers/orders", "have no certificate orders"),
    "no secret": (_set("certificates", "cli", "secretId", to=""), "cli", "the certificate cli names no secret"),
    "missing variable": (
        _set("serverEnv", "TEMPORAL_TLS_FRONTEND_KEY", to=None),
        "server",
        "TEMPORAL_TLS_FRONTEND_KEY is missing in server.env.*a missing variable means TLS off",
    ),
    "empty variable": (
        _set("internalFrontendEnv", "TEMPORAL_TLS_CLIENT1_CA_CERT", to=""),
        "server",
        "TEMPORAL_TLS_CLIENT1_CA_CERT is empty in internal-frontend.env",
    ),
    "missing for a worker": (
        _set("workerEnvs", "orders", "TEMPORAL_TLS", to=None),
        "workers/orders",
        "TEMPORAL_TLS is missing in worker.env",
    ),
    "line break": (_set("uiEnv", "TEMPORAL_ADDRESS", to="a\nb"), "ui", "TEMPORAL_ADDRESS in ui.env has a line break"),
    "quote": (_set("cliEnv", "TEMPORAL_NAMESPACE", to="it's"), "cli", "has a single quote"),
    "file of nobody": (_set("uiEnv", "TEMPORAL_EXTRA", to="ui/extra.pem"), "ui", "names ui/extra.pem, which nobody"),
    "file elsewhere": (_set("uiEnv", "TEMPORAL_TLS_CERT", to="/etc/ui.pem"), "ui", "not in its own directory"),
    "file above": (_set("uiEnv", "TEMPORAL_TLS_CERT", to="ui/../cli/ui.pem"), "ui", "not in its own directory"),
    "key of others": (_set("uiEnv", "TEMPORAL_TLS_KEY", to="ui/cluster.key"), "ui", "but its certificate is ui"),
    "no such authority": (
        _set("cliEnv", "TEMPORAL_TLS_SERVER_CA_CERT_PATH", to="cli/ca/other.pem"),
        "cli",
        "caBundles has no authority other",
    ),
    "nobody trusted": (_set("caBundles", "clients", to=[]), "server", "caBundles has no authority clients"),
    "no audience": (
        _set("serverEnv", "TEMPORAL_JWT_AUDIENCE", to=""),
        "server",
        "TEMPORAL_JWT_AUDIENCE is empty in server.env",
    ),
    "no authorizer": (
        _set("internalFrontendEnv", "TEMPORAL_AUTH_AUTHORIZER", to=None),
        "server",
        "TEMPORAL_AUTH_AUTHORIZER is missing in internal-frontend.env",
    ),
    "no client secret": (
        _set("uiEnv", "TEMPORAL_AUTH_CLIENT_SECRET", to=None),
        "ui",
        "TEMPORAL_AUTH_CLIENT_SECRET is missing in ui.env",
    ),
    "no identity": (
        _set("workerEnvs", "orders", "AZURE_CLIENT_ID", to=None),
        "workers/orders",
        "AZURE_CLIENT_ID is missing in worker.env",
    ),
    "no client secret of a worker": (
        _set("workerEnvs", "orders", "AZURE_CLIENT_SECRET", to=None),
        "workers/orders",
        "AZURE_CLIENT_SECRET is missing in worker.env",
    ),
    "no token scope": (
        _set("workerEnvs", "orders", "TEMPORAL_TOKEN_SCOPE", to=""),
        "workers/orders",
        "TEMPORAL_TOKEN_SCOPE is empty in worker.env",
    ),
    "client secret that no file can carry": (
        _set("uiEnv", "TEMPORAL_AUTH_CLIENT_SECRET", to="hunter2's"),
        "ui",
        "TEMPORAL_AUTH_CLIENT_SECRET in ui.env has a single quote",
    ),
    "no server.yaml": (_set("serverConfig", to=" \n"), "server", "the output serverConfig is empty"),
    "no dynamicconfig.yaml": (_set("dynamicConfig", to=""), "server", "the output dynamicConfig is empty"),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_each_thing_that_is_wrong_is_found_before_anything_is_written(stack: Stack, spoiled: str) -> None:
    """A consumer would start with it, and fail later somewhere else, or run without TLS."""
    spoil, consumer, said = SPOILED[spoiled]
    spoil(stack)
    found = [problem for problem in stack.problems() if problem.consumer == consumer]
    assert any(re.search(said, str(problem)) for problem in found), stack.problems()
    assert all(problem.consequence and problem.fix for problem in found)
    assert "hunter2" not in str(stack.problems())


TOMORROW, NEXT_YEAR = NOW + timedelta(days=1), NOW + timedelta(days=365)
EARLY_OR_LATE = [
    ({"begins": TOMORROW}, f"begins on {TOMORROW:%Y-%m-%d %H:%M} UTC, and here it is", "Set this machine's clock"),
    ({"ends": NOW}, f"ended on {NOW:%Y-%m-%d %H:%M} UTC", "roll it over"),
]


@pytest.mark.parametrize(("validity", "when", "fix"), EARLY_OR_LATE)
def test_an_authority_that_is_not_valid_is_a_problem_of_whom_it_vouches_for_and_of_who_judges_by_it(
    stack: Stack, validity: dict[str, datetime], when: str, fix: str
) -> None:
    """Every handshake would fail, with leaves that are as they should be."""
    authority = Issuer("clients", **validity)
    stack.issue("ui", authority.issue("ui"))
    stack.raw["certificates"]["ui"]["chainPem"] = [to_pem(authority.certificate)]
    stack.raw["certificates"]["clients-1"]["certificatePem"] = to_pem(authority.certificate)
    stack.raw["caBundles"]["clients"] = [to_pem(CLIENTS.certificate), to_pem(authority.certificate)]
    (ui,) = stack.problems()
    assert ui.consumer == "ui"
    assert f"the certificate ui leads to clients-1, which {when}" in ui.what
    assert fix in ui.fix
    stack.raw["caBundles"]["clients"] = [to_pem(authority.certificate)]
    assert "server" not in {problem.consumer for problem in stack.problems()}
    nodes = Issuer("internode", **validity)
    stack.raw["certificates"]["internode-1"]["certificatePem"] = to_pem(nodes.certificate)
    stack.raw["caBundles"]["internode"] = [to_pem(nodes.certificate)]
    for consumer in ("server", "cli"):
        whats = [problem.what for problem in stack.problems() if problem.consumer == consumer]
        assert any(
            f"of the authority internode it would trust nothing but internode-1, which {when}" in what for what in whats
        )


@pytest.mark.parametrize(("validity", "when", "fix"), EARLY_OR_LATE)
def test_a_generation_that_is_not_valid_keeps_nothing_from_being_written(
    stack: Stack, validity: dict[str, datetime], when: str, fix: str
) -> None:
    """In a rollover all would wait for the one generation that nobody needs yet, or any more; but it is told."""
    other = Issuer("clients of another time", **validity)
    stack.raw["caBundles"]["clients"].append(to_pem(other.certificate))
    stack.raw["certificates"]["clients-2"] = _certificate("clients-2", other.certificate, None)
    assert stack.problems() == []
    (told,) = warnings(stack.outputs, NOW)
    verb, on, day, *_ = when.split()
    assert told.startswith(f"clients-2 {verb} {on} {day}")


@pytest.mark.parametrize(("validity", "when", "fix"), EARLY_OR_LATE)
def test_what_is_above_a_trusted_authority_may_be_of_any_time(
    stack: Stack, validity: dict[str, datetime], when: str, fix: str
) -> None:
    """A leaf that everybody accepts, by an authority's other certificate, would be refused here."""
    stack.raw["certificates"]["ui"]["chainPem"] = [to_pem(CLIENTS.renewed(**{"ends": NEXT_YEAR, **validity}))]
    assert stack.problems() == []


def test_a_name_in_a_certificate_does_not_steer_a_terminal(stack: Stack) -> None:
    """Whoever chose the name would write over what the person reads."""
    evil = Issuer("evil\x1b[2J\nAll is well")
    stack.issue("ui", evil.issue("ui"))
    stack.raw["certificates"]["ui"]["chainPem"] = [to_pem(evil.certificate)]
    found = "\n\n".join(map(str, stack.problems()))
    assert "leads to CN=evil\\u001b[2J\\u000aAll is well, which is in none" in found
    assert "\x1b" not in found


def test_without_sign_on_nothing_of_it_is_missed(stack_without_sign_on: Stack) -> None:
    """A stack that decided against it could not be deployed; but that decision has to reach the server."""
    assert stack_without_sign_on.outputs.sign_on.client_secrets == {}
    assert stack_without_sign_on.problems() == []
    _set("serverEnv", "TEMPORAL_ALLOW_NO_AUTH", to=None)(stack_without_sign_on)
    [problem] = stack_without_sign_on.problems()
    assert "TEMPORAL_ALLOW_NO_AUTH is missing in server.env" in str(problem)


def test_a_worker_needs_a_secret_only_where_it_has_one(stack: Stack) -> None:
    """A worker with a federated credential or a managed identity could not be deployed."""
    _set("workerEnvs", "orders", "AZURE_CLIENT_SECRET", to=None)(stack)
    _set("signOn", "workers", "orders", "clientSecret", to=None)(stack)
    assert stack.problems() == []
    _set("workerEnvs", "orders", "AZURE_CLIENT_ID", to=None)(stack)
    assert "AZURE_CLIENT_ID is missing" in str(stack.problems())


def test_outputs_say_whether_there_is_sign_on(stack: Stack) -> None:
    """Outputs of an older program would pass for those of a stack without sign-on: nothing of it would be missed."""
    assert stack.outputs.sign_on.client_secrets.keys() == {"ui", "orders"}
    assert stack.outputs.sign_on.client_id == "client"
    del stack.raw["signOn"]
    with pytest.raises(DeployError, match="signOn: Field required"):
        stack.outputs  # noqa: B018


def test_a_third_trusted_generation_has_no_place_at_the_server(stack: Stack) -> None:
    """Clients of the generation in the middle would be locked out."""
    stack.raw["caBundles"]["clients"] += [to_pem(Issuer(f"clients {number}").certificate) for number in (2, 3)]
    assert "3 generations of clients are trusted" in str(stack.problems()[0])


def test_all_that_is_wrong_is_said_at_once(stack: Stack) -> None:
    """The second problem would show only after the first is mended."""
    for spoil in (_other_key, _ended, _no_name, _set("cliEnv", "TEMPORAL_TLS", to=None)):
        spoil(stack)
    assert {problem.consumer for problem in stack.problems()} == set(CONSUMERS)


def test_a_wildcard_stands_for_one_label(stack: Stack) -> None:
    """A server name that every client accepts would be refused, or one that none accepts written."""
    stack.issue("cluster", INTERNODE.issue("cluster", dns_names=("*.INTERNAL",)))
    assert stack.problems() == []
    _set("uiEnv", "TEMPORAL_TLS_SERVER_NAME", to="a.temporal.internal")(stack)
    assert [problem.consumer for problem in stack.problems()] == ["ui"]


def test_only_the_consumers_that_are_asked_for_are_checked(stack: Stack) -> None:
    """Somebody who may read one key could write nothing."""
    _other_key(stack)
    assert problems(stack.outputs, stack.keys, ["server", "cli"], NOW) == []


def test_what_ends_soon_is_a_warning_and_no_problem(stack: Stack) -> None:
    """Nobody would hear of it before it ended, or could deploy until it was renewed."""
    leaf, authority = stack.keys["ui"].certificate, CLIENTS.certificate
    window = (leaf.not_valid_after_utc - timedelta(days=30)).replace(hour=0, minute=0, second=0)
    assert warnings(stack.outputs, window - timedelta(seconds=1)) == []
    inside = warnings(stack.outputs, window)
    assert {warning.partition(" ")[0] for warning in inside} == set(stack.keys)
    assert stack.problems(window) == []
    later = warnings(stack.outputs, authority.not_valid_after_utc - timedelta(days=179))
    assert any(warning.startswith("clients-1 ends on") and "not renewed by itself" in warning for warning in later)


def test_a_client_secret_that_ends_soon_is_a_warning(stack: Stack) -> None:
    """People are sent back to the sign-in page one day, and a worker is refused, and nobody was told."""
    soon = SECRETS_END - timedelta(days=30)
    _set("signOn", "workers", "orders", "clientSecret", "notAfter", to="2999-01-01T00:00:00Z")(stack)

    def told(now: datetime) -> list[str]:
        return [warning for warning in warnings(stack.outputs, now) if "client secret" in warning]

    assert told(soon - timedelta(seconds=1)) == []
    assert told(soon) == [
        f"ui's client secret ends on {SECRETS_END:%Y-%m-%d}. `make up` makes another; then restart ui."
    ]
    assert told(SECRETS_END) == [
        f"ui's client secret ended on {SECRETS_END:%Y-%m-%d}. `make up` makes another; then restart ui."
    ]
    _set("signOn", "clientSecret", "renewBeforeDays", to=5)(stack)
    assert told(SECRETS_END - timedelta(days=6)) == [], "`make up` would make no other yet"
    assert len(told(SECRETS_END - timedelta(days=5))) == 1


# Directories


PAIR = {"ui.pem": b"certificate 1", "ui.key": b"key 1", "ca/internode.pem": b"authority"}
NEXT_PAIR = {"ui.pem": b"certificate 2", "ui.key": b"key 2", "ca/clients.pem": b"authority", "ui.env": b"A=1\n"}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / ".deploy" / "dev"


def seen(base: Path, name: str = "ui") -> dict[str, bytes]:
    """The files as somebody sees them who opens them by their names."""
    folder = base / name
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith("..")]
    files = [file for entry in entries for file in ([*entry.iterdir()] if entry.is_dir() else [entry])]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def assert_clean(base: Path, files: Mapping[str, bytes], name: str = "ui") -> None:
    """Exactly these files, private, of one generation, and nothing left of others."""
    assert seen(base, name) == files
    assert directory.read(base, name) == files
    folder = base / name
    generation = os.readlink(folder / "..data")
    links = {path.partition("/")[0] for path in files}
    assert set(os.listdir(folder)) == links | {"..data", generation}
    assert {os.readlink(folder / link) for link in links} == {f"..data/{link}" for link in links}
    for parent, _, names in os.walk(folder):
        assert stat.S_IMODE(os.stat(parent).st_mode) == 0o700
        for file in names:
            status = os.lstat(os.path.join(parent, file))
            assert stat.S_ISLNK(status.st_mode) or stat.S_IMODE(status.st_mode) == 0o600


NAMES = st.from_regex(r"[a-z][a-z0-9.-]{0,6}", fullmatch=True)
CONTENTS = st.dictionaries(
    st.one_of(NAMES, st.builds("CA-{}/{}".format, NAMES, NAMES)), st.binary(max_size=50), min_size=1, max_size=6
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(generations=st.lists(CONTENTS, min_size=1, max_size=4))
def test_a_directory_holds_exactly_what_was_written_last(
    tmp_path_factory: pytest.TempPathFactory, generations: list[dict[str, bytes]]
) -> None:
    """A key that is no longer wanted would stay, or a file of the last write be missing."""
    base = tmp_path_factory.mktemp("writes") / "dev"
    before: dict[str, bytes] | None = None
    for files in generations:
        assert directory.write(base, {"ui": files}) == ({"ui"} if files != before else set())
        assert_clean(base, files)
        before = files


def test_the_same_content_touches_nothing(base: Path) -> None:
    """Whoever watches the files would restart for nothing."""

    def state() -> dict[str, tuple[int, int, int]]:
        found = {}
        for path in base.rglob("*"):
            status = path.lstat()
            found[str(path)] = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        return found

    assert directory.write(base, {"ui": PAIR, "workers/orders": PAIR}) == {"ui", "workers/orders"}
    before = state()
    assert directory.write(base, {"ui": PAIR, "workers/orders": PAIR}) == set()
    assert state() == before
    assert directory.write(base, {"ui": NEXT_PAIR, "workers/orders": PAIR}) == {"ui"}
    assert_clean(base, NEXT_PAIR)


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o277])
def test_modes_do_not_depend_on_the_umask(base: Path, mask: int) -> None:
    """Keys would be readable for everybody on a machine with a liberal umask."""
    before = os.umask(mask)
    try:
        directory.write(base, {"ui": PAIR, "workers/orders": PAIR})
    finally:
        os.umask(before)
    assert_clean(base, PAIR)
    assert_clean(base, PAIR, "workers/orders")
    for folder in (base.parent, base, base / "workers"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_loosened_modes_are_mended(base: Path) -> None:
    """A key that somebody made readable would stay so until it is renewed."""
    directory.write(base, {"ui": PAIR})
    (base / "ui" / "ui.key").chmod(0o644)
    (base / "ui").chmod(0o755)
    assert directory.write(base, {"ui": PAIR}) == {"ui"}
    assert_clean(base, PAIR)


CHANGES = {"open", "os.mkdir", "os.chmod", "os.rename", "os.symlink", "os.remove", "os.rmdir"}


def is_killed_at(step: int, change: Callable[[], object]) -> bool:
    """Run `change` in a process that gets SIGKILL before its step-th operation on files; tell whether it got there."""
    child = os.fork()
    if child == 0:
        left = step

        def count(event: str, _: object) -> None:
            nonlocal left
            if event in CHANGES:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            change()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def killed_everywhere(prepare: Callable[[], None], change: Callable[[], object]) -> Iterator[int]:
    """Kill `change` before each of its operations in turn, and yield after each; the last one is not killed."""
    step = 1
    prepare()
    while is_killed_at(step, change):
        yield step
        step += 1
        prepare()
    assert step > 10


@pytest.mark.parametrize("before", [None, PAIR], ids=["first write", "renewal"])
def test_a_killed_writer_leaves_one_whole_generation_and_no_trace(
    tmp_path: Path, before: dict[str, bytes] | None
) -> None:
    """A process that starts after the crash would find a certificate beside another's key, and keys would pile up."""
    base = tmp_path / ".deploy" / "0"

    def prepare() -> None:
        nonlocal base
        base = base.with_name(str(int(base.name) + 1))
        if before:
            directory.write(base, {"ui": before, "cli": before})

    def change() -> None:
        os.umask(0)
        with directory.locked(base, lambda: None):
            directory.write(base, {"ui": NEXT_PAIR, "cli": NEXT_PAIR})

    for step in killed_everywhere(prepare, change):
        for name in ("ui", "cli"):
            assert directory.read(base, name) in (before, NEXT_PAIR)
        assert not [path for path in base.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o077]
        following = before if before and step % 2 else NEXT_PAIR
        with directory.locked(base, lambda: pytest.fail("the dead writer still holds the lock")):
            directory.write(base, {"ui": following, "cli": following})
        assert_clean(base, following)
        assert_clean(base, following, "cli")


def test_a_killed_removal_is_finished_by_the_next(tmp_path: Path) -> None:
    """The key of a worker that is gone would stay."""
    base = tmp_path / ".deploy" / "0"

    def prepare() -> None:
        nonlocal base
        base = base.with_name(str(int(base.name) + 1))
        directory.write(base, {"workers/old": PAIR, "workers/orders": PAIR})

    for _ in killed_everywhere(prepare, lambda: directory.prune(base, "workers", {"orders"})):
        assert directory.read(base, "workers/old") in (None, PAIR)
        directory.prune(base, "workers", {"orders"})
        assert os.listdir(base / "workers") == ["orders"]
        assert_clean(base, PAIR, "workers/orders")


def test_readers_never_see_half_a_pair_while_it_is_swapped(base: Path) -> None:
    """A server that reloads in that moment would present a certificate whose key it does not have."""
    swaps = 200
    mismatches, generations, stop = [], set[bytes](), threading.Event()

    def write(number: int) -> None:
        directory.write(base, {"ui": {"ui.pem": b"%d" % number, "ui.key": b"%d" % number}})

    def watch() -> None:
        while not stop.is_set():
            data = (base / "ui" / "..data").resolve()
            try:
                certificate = (data / "ui.pem").read_bytes()
                key = (data / "ui.key").read_bytes()
            except FileNotFoundError:
                continue  # This generation has just been replaced.
            generations.add(certificate)
            if certificate != key:
                mismatches.append((certificate, key))

    write(0)
    readers = [threading.Thread(target=watch) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(swaps):
        write(number + 1)
    stop.set()
    for reader in readers:
        reader.join()
    assert mismatches == []
    assert len(generations) > 10


def _planted(base: Path, where: str, victim: Path) -> Path:
    place = base.parent if where == ".deploy" else base if where == "." else base / where
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        place.rename(place.with_name("before"))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(victim)
    return place


@pytest.mark.parametrize("written_before", [False, True])
@pytest.mark.parametrize("where", [".deploy", ".", "ui", "ui/ui.key", "ui/ca", "ui/..data"])
def test_nothing_is_written_through_a_planted_symlink(
    tmp_path: Path, base: Path, where: str, written_before: bool
) -> None:
    """A key would end up in a place of somebody else's choice."""
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    if written_before:
        directory.write(base, {"ui": PAIR})
    place = _planted(base, where, victim)
    with pytest.raises(DeployError, match=f"{re.escape(str(place))}.*Nothing was written"):
        directory.write(base, {"ui": NEXT_PAIR | PAIR})
    assert os.listdir(victim) == []
    assert stat.S_IMODE(victim.stat().st_mode) == 0o755
    place.unlink()
    directory.write(base, {"ui": NEXT_PAIR | PAIR})
    assert seen(base) == NEXT_PAIR | PAIR


def test_a_planted_lock_is_not_followed(tmp_path: Path, base: Path) -> None:
    """A file of somebody else's choice would be created or emptied."""
    victim = tmp_path / "victim"
    victim.write_text("kept")
    base.parent.mkdir()
    (base.parent / ".dev.lock").symlink_to(victim)
    with pytest.raises(DeployError, match="cannot be written"), directory.locked(base, lambda: None):
        pytest.fail("locked through a symlink")
    assert victim.read_text() == "kept"


def test_a_directory_of_another_user_gets_no_key(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could read the key."""
    directory.write(base, {"ui": PAIR})
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(DeployError, match="belongs to another user"):
        directory.write(base, {"ui": NEXT_PAIR})
    monkeypatch.undo()
    assert_clean(base, PAIR)


def test_a_full_disk_changes_nothing(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One consumer would be on the new certificate and another on the old, and half a generation lie about."""
    directory.write(base, {"ui": PAIR, "cli": PAIR})
    real = os.fsync

    def full(descriptor: int) -> None:
        if "cli" in os.readlink(f"/proc/self/fd/{descriptor}") and stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DeployError, match="No space left on device"):
        directory.write(base, {"ui": NEXT_PAIR, "cli": NEXT_PAIR})
    assert_clean(base, PAIR)
    assert_clean(base, PAIR, "cli")


@pytest.mark.parametrize("path", ["../ui.key", "/etc/ui.key", "ca/../../x", "..data", "a//b", "."])
def test_a_file_cannot_leave_its_directory(base: Path, path: str) -> None:
    """A name in the outputs would decide where a key is written."""
    with pytest.raises(ValueError, match="not a path below"):
        directory.write(base, {"ui": {path: b"key"}})


def test_what_else_is_in_a_directory_stays(base: Path) -> None:
    """A person's own file beside the written ones would be lost."""
    directory.write(base, {"ui": PAIR, "workers/old": PAIR})
    for name in ("ui", "workers/old"):
        (base / name / "database.env").write_text("DB=sqlite\n")
    directory.write(base, {"ui": NEXT_PAIR})
    assert directory.prune(base, "workers", set()) == set()
    assert seen(base) == NEXT_PAIR | {"database.env": b"DB=sqlite\n"}
    assert os.listdir(base / "workers" / "old") == ["database.env"]


def test_workers_that_are_gone_are_removed(base: Path, tmp_path: Path) -> None:
    """The key of a worker that is gone would stay on the machine."""
    assert directory.prune(base, "workers", {"orders"}) == set()
    directory.write(base, {"workers/orders": PAIR, "workers/old": PAIR})
    (base / "workers" / "elsewhere").symlink_to(tmp_path)
    assert directory.prune(base, "workers", {"orders"}) == {"old"}
    assert set(os.listdir(base / "workers")) == {"orders", "elsewhere"}
    assert_clean(base, PAIR, "workers/orders")


def test_a_second_writer_waits_for_the_first(base: Path) -> None:
    """The one that read older outputs could write last."""
    order, waits = [], threading.Event()

    def second() -> None:
        with directory.locked(base, waits.set):
            order.append("second")

    with directory.locked(base, lambda: pytest.fail("nobody is there yet")):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(30)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


# The command


class Project:
    """A folder with a Pulumi CLI that knows the outputs of one stack, and a vault that gives its keys."""

    def __init__(self, folder: Path, stack: Stack) -> None:
        self.folder = folder
        self.stack = stack
        self.deployed = folder / ".deploy" / "dev"
        program = folder / "bin" / "pulumi"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\nexec cat {folder}/outputs.json\n')
        program.chmod(0o755)

    def run(self, *arguments: str) -> Result:
        (self.folder / "outputs.json").write_text(json.dumps(self.stack.raw))
        result = CliRunner().invoke(main, [*arguments, "--stack", "dev"])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert not [material for material in key_material(self.stack) if material in result.output.encode()]
        return result


@pytest.fixture
def project(tmp_path: Path, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Project:
    class NoSession:
        async def __aenter__(self) -> None: ...
        async def __aexit__(self, *_: object) -> None: ...

    async def sign_in(*_: object) -> NoSession:
        return NoSession()

    async def read_keys(_: object, outputs: Outputs, consumers: list[str], **__: object) -> Keys:
        names = {LEAVES[name] for name in consumers}
        refused = tuple(
            Problem(name, "403", "No key.", "A role.") for name in consumers if LEAVES[name] not in stack.keys
        )
        return Keys({name: key for name, key in stack.keys.items() if name in names}, refused)

    monkeypatch.setattr(deploy.keys, "sign_in", sign_in)
    monkeypatch.setattr(deploy.keys, "read_keys", read_keys)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, stack)


def test_write_fills_every_directory_and_then_changes_nothing(project: Project) -> None:
    """The second run would restart everything that watches its files."""
    first, second = project.run("write"), project.run("write")
    assert first.exit_code == second.exit_code == 0
    assert first.stdout == "".join(f"written    .deploy/dev/{name}\n" for name in CONSUMERS)
    assert second.stdout == "".join(f"unchanged  .deploy/dev/{name}\n" for name in CONSUMERS)
    for name, files in compose(project.stack.outputs, project.stack.keys, str(project.deployed)).items():
        assert_clean(project.deployed, files, name)


def test_nothing_is_written_while_anything_is_wrong(project: Project) -> None:
    """One half of the consumers would have moved on without the other."""
    _other_key(project.stack)
    _set("cliEnv", "TEMPORAL_TLS", to=None)(project.stack)
    refused = project.run("write")
    assert refused.exit_code == 1
    assert "2 problems; nothing in .deploy/dev was changed" in refused.stderr
    assert "--only server --only workers/orders" in refused.stderr
    assert not project.deployed.exists()
    assert project.run("write", "--only", "server", "--only", "workers/orders").exit_code == 0
    assert {path.name for path in project.deployed.iterdir()} == {"server", "workers"}


def test_only_writes_and_reads_for_the_named_consumer(project: Project) -> None:
    """Somebody who runs the server would need the right to read every key."""
    del project.stack.keys["ui"], project.stack.keys["cli"], project.stack.keys["orders"]
    assert project.run("write", "--only", "server").exit_code == 0
    assert os.listdir(project.deployed) == ["server"]
    assert project.run("write").exit_code == 1


def test_only_knows_its_consumers(project: Project) -> None:
    """A typing error would write nothing, and say that all went well."""
    result = project.run("write", "--only", "worker/orders")
    assert result.exit_code == 2
    assert "server, ui, cli, workers/orders" in result.stderr


def test_a_worker_that_the_stack_no_longer_has_is_removed(project: Project) -> None:
    """Its key would stay; but a run for one consumer has no say about the others."""
    project.run("write")
    project.stack.raw["workerEnvs"] = {}
    assert "removed" not in project.run("write", "--only", "server").stdout
    assert "removed    .deploy/dev/workers/orders\n" in project.run("write").stdout
    assert os.listdir(project.deployed / "workers") == []


def test_root_must_mean_the_same_wherever_a_consumer_starts(project: Project) -> None:
    """A relative path would depend on the folder that a process starts in."""
    assert project.run("write", "--root", "etc/temporal").exit_code == 2
    assert project.run("write", "--root", ROOT).exit_code == 0
    assert sourced((project.deployed / "ui" / "ui.env").read_bytes())["TEMPORAL_TLS_CERT"] == f"{ROOT}/ui/ui.pem"


@pytest.mark.parametrize("root", ["/mnt/it's", "/mnt/a\\b", "/mnt/a\nb", "/mnt/a\x1b[31mb"])
def test_a_root_that_no_environment_file_can_carry_is_refused(project: Project, root: str) -> None:
    """A person would get a traceback, or consumers variables with half a path."""
    refused = project.run("write", "--root", root)
    assert refused.exit_code == 2
    assert "Invalid value for --root" in refused.stderr
    assert "Nothing was written. Choose one without." in refused.stderr
    assert "\x1b" not in refused.stderr
    assert not project.deployed.exists()


def test_a_folder_that_no_environment_file_can_carry_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is called O'Brien would get a traceback; where consumers see another path, the folder does no harm."""
    folder = project.folder / "o'brien"
    folder.mkdir()
    (folder / "outputs.json").write_text(json.dumps(project.stack.raw))
    monkeypatch.chdir(folder)
    refused = project.run("write")
    assert refused.exit_code == 2
    assert "has a single quote or a backslash in it" in refused.stderr
    assert "say with --root where consumers see this one" in refused.stderr
    assert not (folder / ".deploy").exists()
    assert project.run("write", "--root", ROOT).exit_code == 0
    assert project.run("write", "--directory", str(project.folder / ".deploy")).exit_code == 0


@pytest.mark.parametrize("command", ["write", "remove", "summary", "status"])
@pytest.mark.parametrize("name", ["", ".", "..", "org/proj/", "org/proj/..", "a/b/c/dev", "a b", "dev\n", "../dev/x y"])
def test_a_name_that_is_no_stacks_is_refused_before_anything_is_asked(
    project: Project, command: str, name: str
) -> None:
    """Files would be written to, or removed from, a folder that is not the stack's own."""
    result = CliRunner().invoke(main, [command, "--stack", name])
    assert result.exit_code == 2
    assert "names no stack" in result.stderr
    assert os.listdir(project.folder) == ["bin"]


def test_a_stack_may_be_named_in_full(project: Project) -> None:
    """The passing twin; its directory is named after the stack alone."""
    project.run("write")
    assert CliRunner().invoke(main, ["remove", "--stack", "my-org/my.project/dev"]).exit_code == 0
    assert not list(project.deployed.rglob("*.key"))


def test_inline_leaves_no_key_file_and_says_what_remains(project: Project) -> None:
    """Somebody would look for mounts that are not needed, or forget the two that are."""
    project.run("write")
    result = project.run("write", "--inline")
    assert "server.yaml and dynamicconfig.yaml" in result.stderr
    assert not list(project.deployed.rglob("*.key"))
    assert_clean(
        project.deployed, compose(project.stack.outputs, project.stack.keys, str(project.deployed), inline=True)["ui"]
    )


def test_trust_for_https_is_certificates_and_nothing_else(project: Project, tmp_path: Path) -> None:
    """A proxy's own file may hold its key: each consumer would get it."""
    file = tmp_path / "proxy.pem"
    proxy = STRANGER.issue("proxy")
    file.write_bytes(b"# The proxy's\n" + proxy.private_key_pem + to_pem(proxy.certificate).encode())
    assert project.run("write", "--https-trust", str(file)).exit_code == 0
    for name in CONSUMERS:
        assert (project.deployed / name / "https.crt").read_bytes() == to_pem(proxy.certificate).encode()
    assert project.run("write").exit_code == 0
    assert not list(project.deployed.rglob("https.crt"))


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (b"no certificate", (), "holds no certificates in PEM"),
        (b"", (), "holds no certificates in PEM"),
        (None, (), "does not exist"),
        (to_pem(STRANGER.certificate).encode(), ("--inline",), "--inline is for want of mounts"),
    ],
)
def test_trust_for_https_that_would_be_none_is_refused(
    project: Project, tmp_path: Path, content: bytes | None, options: tuple[str, ...], said: str
) -> None:
    """A consumer would trust nobody, or look for a file that is not there."""
    file = tmp_path / "p.pem"
    if content is not None:
        file.write_bytes(content)
    result = project.run("write", "--https-trust", str(file), *options)
    assert result.exit_code == 2
    assert said in " ".join(re.sub(r"[│╭╮╰╯─\n]+", " ", result.stderr).split())
    assert not project.deployed.exists()


def test_the_engine_is_asked_once_and_nothing_is_selected(project: Project) -> None:
    """Whoever deploys one stack would find it selected for the next `pulumi destroy`."""
    project.run("write")
    asked = (project.folder / "asked").read_text().splitlines()
    assert asked == ["stack output --json --non-interactive --color never --stack dev --show-secrets"]


def test_a_failing_engine_is_quoted(project: Project) -> None:
    """Whoever forgot the passphrase would see a traceback."""
    (project.folder / "bin" / "pulumi").write_text("#!/bin/sh\necho 'error: no such stack' >&2\nexit 255\n")
    result = project.run("write")
    assert result.exit_code == 1
    assert "error: no such stack" in result.stderr
    assert "make up STACK=dev" in result.stderr


def test_the_summary_says_where_the_files_are_and_what_ends(project: Project) -> None:
    """A person would have to read the state to know what to do next."""
    before = project.run("summary")
    assert "python -m deploy write --stack dev" in before.stdout
    project.run("write")
    result = project.run("summary")
    assert "\x1b" not in result.stdout
    assert "(set -a; . .deploy/dev/server/server.env; temporal-server start)" in result.stdout
    assert re.search(r"^cluster +node +internode-1 +\d{4}-\d\d-\d\d, in 88 days", result.stdout, re.MULTILINE)
    assert re.search(r"^server +current", result.stdout, re.MULTILINE)
    data = json.loads(project.run("summary", "--json").stdout)
    assert data["consumers"][0] == {
        "name": "server",
        "state": "current",
        "directory": ".deploy/dev/server",
        "environmentFiles": [".deploy/dev/server/server.env", ".deploy/dev/server/internal-frontend.env"],
    }
    assert {one["name"]: one["issuer"] for one in data["certificates"]} == {
        "cluster": "internode-1",
        **dict.fromkeys(("ui", "cli", "orders"), "clients-1"),
        "internode-1": "internode-1",
        "clients-1": "clients-1",
    }


def test_the_summary_sees_that_files_are_older_than_the_stack(stack: Stack, base: Path) -> None:
    """Somebody would start the server with a certificate that was renewed long ago."""
    assert {one.state for one in summarise(stack.outputs, "dev", base, NOW).consumers} == {State.MISSING}
    for inline in (False, True):
        directory.write(base, stack.compose(inline=inline))
        assert {one.state for one in summarise(stack.outputs, "dev", base, NOW).consumers} == {State.CURRENT}
        stack.issue("ui", CLIENTS.issue("ui"))
        states = {one.name: one.state for one in summarise(stack.outputs, "dev", base, NOW).consumers}
        assert states == {**dict.fromkeys(CONSUMERS, State.CURRENT), "ui": State.OUTDATED}


def test_the_summary_warns_of_what_ends_soon(stack: Stack, base: Path) -> None:
    """`make up` would end well the day before everything stops."""
    late = stack.keys["ui"].certificate.not_valid_after_utc - timedelta(hours=1)
    found = summarise(stack.outputs, "dev", base, late)
    assert found.warnings
    assert {one.name: one.days_left for one in found.certificates}["ui"] == 0


# Signing in


def test_the_stacks_file_says_how_to_sign_in(tmp_path: Path) -> None:
    """`up` would use one cloud and `deploy write` look for the keys in another."""
    file = tmp_path / "Pulumi.dev.yaml"
    assert sign_in_settings(file) == {}
    file.write_text(
        "config:\n"
        "  azure-native:environment: usgovernment\n"
        "  azure-native:useOidc: true\n"
        "  azure-native:location: westeurope\n"
        "  azure-native:clientSecret:\n    secure: AAAB\n"
        "  azure-native:tenantId: one\n"
        "  temporalazure:tenantId: two\n"
        "  temporal-azure:location: westeurope\n"
    )
    assert sign_in_settings(file) == {"environment": "usgovernment", "useOidc": "true", "tenantId": "two"}
    file.write_text("- nothing\n")
    with pytest.raises(DeployError, match="not a stack's file"):
        sign_in_settings(file)


# Sign-on in the summary


@pytest.fixture
def signed_on(stack: Stack, base: Path) -> Stack:
    stack.raw["signOn"] = {"clientId": "11111111-2222-3333-4444-555555555555"}
    stack.raw["uiEnv"]["TEMPORAL_AUTH_CALLBACK_URL"] = "https://temporal.example.com/auth/sso/callback"
    directory.write(base, stack.compose())
    return stack


def test_the_summary_says_how_to_sign_in(signed_on: Stack, base: Path) -> None:
    """People would have the files of sign-on, and no idea where it is, or how the CLI gets a token."""
    steps = "\n".join(summarise(signed_on.outputs, "dev", base, NOW).next)
    assert re.search(
        r"/ui/ui\.env; temporal-ui-server .*start\) .* https://temporal\.example\.com$", steps, re.MULTILINE
    )
    wanted = "az account get-access-token --scope 11111111-2222-3333-4444-555555555555/default"
    assert f"export TEMPORAL_API_KEY=$({wanted} --query accessToken --output tsv)" in steps
    assert "orders/worker.env; python examples/python/worker.py)" in steps


def test_the_summary_has_the_token_command_that_it_is_given(signed_on: Stack, base: Path) -> None:
    """Where the Azure CLI has no account, nobody would get a token with it."""
    steps = "\n".join(summarise(signed_on.outputs, "dev", base, NOW, token_command="make token").next)
    assert "export TEMPORAL_API_KEY=$(make token)" in steps
    assert "az account" not in steps


def test_the_summary_of_a_stack_without_sign_on_speaks_of_none(signed_on: Stack, base: Path) -> None:
    """Somebody would look for a sign-in page that does not exist."""
    signed_on.raw["signOn"] = {}
    steps = "\n".join(summarise(signed_on.outputs, "dev", base, NOW).next)
    assert "orders/worker.env; python worker.py)" in steps
    assert not re.search("TOKEN|API_KEY|sign in", steps)


# Trees of authorities


def test_a_leaf_is_trusted_by_any_link_of_its_line(stack: Stack) -> None:
    """Servers trust intermediates: were they to trust the root above, nodes and clients would be one."""
    root = issue(authority_policy("root", path_length=1), now=NOW)
    clients = issue(authority_policy("clients 1"), root, now=NOW, owner="clients")
    leaf = issue(leaf_policy("ui"), clients, now=NOW)
    chain = [to_pem(clients.certificate), to_pem(root.certificate)]
    stack.raw["certificates"]["ui"] |= {"certificatePem": to_pem(leaf.certificate), "chainPem": chain}
    del stack.keys["ui"]
    assert [str(each) for each in stack.problems() if "none of the caBundles" in each.what] != []
    stack.raw["caBundles"]["clients"] = chain[:1]
    assert [each for each in stack.problems() if each.consumer == "ui"] == []


def test_what_is_awaited_is_told(stack: Stack) -> None:
    """To run `make up` would be the advice, again and again, to somebody who must go to a safe."""
    for name in ("ui", "clients-1"):
        stack.raw["certificates"].pop(name, None)
    stack.raw["caBundles"]["clients"] = []
    stack.raw["certificateSigningRequests"] = {"clients-1": "request"}
    found = {each.consumer: str(each) for each in stack.problems()}
    assert found.keys() >= {"ui", "server"}
    for consumer in ("ui", "server"):
        assert "First clients-1 must get a certificate from whoever has its issuer's key" in found[consumer]
        assert "certificateSigningRequests" in found[consumer]
