"""What a Cloud namespace is given: a bundle, its fingerprints, and commands that tcld understands."""

import base64
import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki import CaBundle, IssuancePolicy, KeyType, Role, file_commands, largest_pem, load_certificates, to_pem
from pki.cloud_access import LARGEST_BUNDLE, MOST_AUTHORITIES
from tests.certificates import authority_policy, issue, policies

NAMESPACE = "payments.a1b2c"
# Flags of tcld's commands (app/namespace.go), which all take --namespace.
TCLD = {
    ("accepted-client-ca", "add"): {"--ca-certificate", "--ca-certificate-file"},
    ("accepted-client-ca", "set"): {"--ca-certificate", "--ca-certificate-file"},
    ("certificate-filters", "import"): {"--certificate-filter-file", "--certificate-filter-input"},
}


@pytest.fixture(scope="module")
def pems() -> list[str]:
    return [to_pem(issue(authority_policy(f"clients {number}")).certificate) for number in (2, 1)]


def test_a_bundle_is_the_certificates_in_their_order(pems: list[str]) -> None:
    """A trusted generation is left out, or text of another kind gets in."""
    bundle = CaBundle.of(pems)

    assert bundle.pem == "".join(pems)
    assert [to_pem(certificate) for certificate in load_certificates(bundle.pem)] == pems
    assert base64.b64decode(bundle.base64).decode() == bundle.pem
    assert bundle.base64.split() == [bundle.base64], "on one line"


def test_fingerprints_are_openssls_in_tclds_spelling(pems: list[str]) -> None:
    """Somebody compares with `tcld namespace accepted-client-ca list`, and finds nothing."""
    shown = [
        subprocess.run(
            ["openssl", "x509", "-noout", "-fingerprint", "-sha1"],
            input=pem,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for pem in pems
    ]

    assert CaBundle.of(pems).fingerprints == [line.strip().partition("=")[2].replace(":", "").lower() for line in shown]


def test_a_bundle_that_temporal_cloud_has_no_room_for_is_refused(pems: list[str]) -> None:
    """Temporal Cloud refuses it, in its own words, after everything has been made."""
    assert len(CaBundle.of(pems[:1] * MOST_AUTHORITIES).fingerprints) == MOST_AUTHORITIES
    with pytest.raises(ValueError, match=r"17 certificates.*trust fewer"):
        CaBundle.of(pems[:1] * (MOST_AUTHORITIES + 1))
    subject = {"common_name": "n" * 64, "organization": "n" * 64, "organizational_unit": "n" * 64}
    large = to_pem(issue(authority_policy(key_type=KeyType.RSA_4096, subject=subject)).certificate)
    fits = LARGEST_BUNDLE // len(large)
    assert fits < MOST_AUTHORITIES
    assert len(CaBundle.of([large] * fits).pem) <= LARGEST_BUNDLE
    with pytest.raises(ValueError, match=f"{(fits + 1) * len(large)} bytes"):
        CaBundle.of([large] * (fits + 1))


def test_what_is_no_certificate_is_refused() -> None:
    """Temporal Cloud gets a bundle with a hole."""
    with pytest.raises(ValueError, match="PEM"):
        CaBundle.of(["clients-1"])


@pytest.mark.parametrize("key_type", KeyType)
def test_the_length_of_a_root_is_known_before_it_exists(key_type: KeyType) -> None:
    """A bundle is found to be too large when its authorities have been made."""
    policy = authority_policy("clients 1", key_type=key_type)

    assert 0 <= largest_pem(policy) - len(to_pem(issue(policy).certificate)) <= 40


@given(policy=policies(roles=(Role.AUTHORITY,)))
def test_the_length_is_that_of_any_root(policy: IssuancePolicy) -> None:
    """Names of several bytes a letter make a root larger than was thought."""
    assert 0 <= largest_pem(policy) - len(to_pem(issue(policy).certificate)) <= 40


def test_commands_are_tclds(pems: list[str]) -> None:
    """tcld knows no such flag, or the command is for somebody else's namespace."""
    of_files = file_commands(NAMESPACE)
    commands = [of_files["setCa"], of_files["importFilters"], *CaBundle.of(pems).add_commands(NAMESPACE)]

    for command in commands:
        program, room, group, action, *arguments = shlex.split(command)
        flags = dict(zip(arguments[::2], arguments[1::2], strict=True))
        assert (program, room) == ("tcld", "namespace")
        assert flags.pop("--namespace") == NAMESPACE
        (flag,) = flags
        assert flag in TCLD[group, action]


def test_each_certificate_is_added_by_a_command_of_its_own(pems: list[str]) -> None:
    """tcld refuses a whole bundle for one certificate that the namespace trusts already."""
    commands = CaBundle.of(pems).add_commands(NAMESPACE)

    assert [base64.b64decode(shlex.split(command)[-1]).decode() for command in commands] == pems


@pytest.fixture
def shell(tmp_path: Path) -> Callable[[str, object], Path]:
    """Runs a command in a folder of its own, with a `pulumi` that prints an output."""

    def run(command: str, printed: object) -> Path:
        program = tmp_path / "pulumi"
        (tmp_path / "output.json").write_text(json.dumps(printed), encoding="utf-8")
        program.write_text('#!/bin/sh\n[ "$*" = "stack output temporalCloud --json" ] && cat output.json\n')
        program.chmod(0o700)
        path = f"{tmp_path}:/usr/bin:/bin"
        subprocess.run(["sh", "-euc", command], cwd=tmp_path, env={"PATH": path}, check=True)
        return tmp_path

    return run


def test_the_files_are_written_from_the_output(pems: list[str], shell: Callable[[str, object], Path]) -> None:
    """A shell takes the period in the namespace's id for a step, or a final line makes another bundle."""
    bundle, filters = CaBundle.of(pems), {"filters": [{"commonName": "Größe*", "organization": "it's"}]}
    output = {NAMESPACE: {"caBundlePem": bundle.pem, "filters": filters}}
    commands = file_commands(NAMESPACE)

    folder = shell(f"{commands['writeCaBundle']}\n{commands['writeFilters']}", output)

    ca_file, filters_file = (shlex.split(commands[name])[-1] for name in ("setCa", "importFilters"))
    assert (folder / ca_file).read_text(encoding="utf-8") == bundle.pem
    assert base64.b64encode((folder / ca_file).read_bytes()).decode() == bundle.base64
    assert json.loads((folder / filters_file).read_text(encoding="utf-8")) == filters


@given(name=st.from_regex(r"[a-z](?:-?[a-z0-9]){1,10}\.[a-z0-9]{1,5}", fullmatch=True))
def test_no_two_namespaces_share_a_file(name: str) -> None:
    """One namespace is given another's filters."""
    commands = file_commands(name)

    assert shlex.split(commands["writeCaBundle"])[-1] == shlex.split(commands["setCa"])[-1] == f"{name}-ca.pem"
    assert shlex.split(commands["writeFilters"])[-1] == shlex.split(commands["importFilters"])[-1]
    assert shlex.split(commands["importFilters"])[-1] == f"{name}-filters.json"
