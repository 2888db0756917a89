"""`python -m pki check`: every format in, findings out, and never a private key."""

import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import certifi
import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)

from pki.__main__ import main
from tests.unit.pki_corpus import (
    BUNDLE_BASE,
    CLIENT_BASE,
    CLIENT_ORDER,
    Key,
    broken,
    key,
    one,
    pem,
    tcld,
)

LEAF, INTERMEDIATE, ROOT = CLIENT_BASE.certificates(CLIENT_ORDER)
WITHOUT_USAGE = broken(CLIENT_BASE, [one("", "leaf", "", usage=None)], CLIENT_ORDER).certificate("leaf")
PASSWORD = b"correct horse"


def private_pem(own: Key, encryption: KeySerializationEncryption | None = None) -> bytes:
    return own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def pfx(leaf: x509.Certificate = LEAF, own: Key | None = None, password: bytes | None = PASSWORD) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return pkcs12.serialize_key_and_certificates(
        b"orders",
        own or key("leaf"),
        leaf,
        [INTERMEDIATE],
        encryption,
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, content in {
        "client.pem": pem([LEAF, INTERMEDIATE]),
        "client.der": LEAF.public_bytes(Encoding.DER),
        "client.p12": pfx(),
        "open.p12": pfx(password=None),
        "client.key": private_pem(key("leaf")),
        "other.key": private_pem(key("other")),
        "pair.pem": pem([LEAF, INTERMEDIATE]) + private_pem(key("leaf")),
        "wrong-pair.pem": pem([LEAF, INTERMEDIATE]) + private_pem(key("other")),
        "locked.pem": pem([LEAF, INTERMEDIATE]) + private_pem(key("leaf"), BestAvailableEncryption(PASSWORD)),
        "wrong-pair.p12": pkcs12.serialize_key_and_certificates(None, key("other"), None, [LEAF], NoEncryption()),
        "bundle.pem": pem(BUNDLE_BASE.certificates(BUNDLE_BASE.presented)),
        "ca.pem": pem([ROOT]),
        "ca-with-key.pem": pem([ROOT]) + private_pem(key("rsa root")),
        "whole.pem": pem([INTERMEDIATE, ROOT]),
        "lacking.pem": pem([WITHOUT_USAGE, INTERMEDIATE]),
        "text": b"nothing to see",
        "password": PASSWORD + b"\n",
        "wrong-password": b"battery staple\n",
        "public.pem": certifi.contents().encode(),
    }.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def check(*arguments: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["check", *arguments], input=given)


def found(*arguments: str, given: bytes | None = None) -> dict[str, list[str]]:
    """The identifiers of what is found, by file; the exit status must say the same."""
    result = check(*arguments, "--json", given=given)
    answer = json.loads(result.stdout)
    assert result.exit_code == int(not answer["passed"])
    rules = {each["file"]: [finding["rule"] for finding in each["findings"]] for each in answer["files"]}
    assert answer["passed"] is not any(rules.values())
    return rules


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "rules"),
    [
        (["client.pem", "--ca", "ca.pem"], []),
        (["client.pem"], []),
        (["client.der", "--ca", "ca.pem"], ["chain-complete"]),
        (["client.der", "--ca", "whole.pem"], []),
        (["client.p12", "--ca", "ca.pem", "--password-file", "password"], []),
        (["open.p12", "--ca", "ca.pem"], []),
        (["pair.pem", "--ca", "ca.pem"], []),
        (["wrong-pair.pem", "--ca", "ca.pem"], ["key-matches"]),
        (["wrong-pair.p12", "--ca", "whole.pem"], ["key-matches"]),
        (["locked.pem", "--ca", "ca.pem"], ["key-without-passphrase"]),
        (["lacking.pem", "--ca", "ca.pem"], ["digital-signature"]),
        (["bundle.pem"], []),
        (["bundle.pem", "--as", "client"], ["leaf-not-authority"]),
        (["client.pem", "--as", "ca-bundle"], ["authority", "authority-key-usage", "bundle-closed"]),
        (["whole.pem", "--as", "ca-bundle"], []),
        (["ca-with-key.pem"], ["no-private-key"]),
        (["text"], ["certificate-present"]),
        (["client.key"], ["certificate-present"]),
        (["client.pem", "--at", "2026-03-29"], []),
        (["client.pem", "--at", "2026-06-30"], ["expired"]),
        (["client.pem", "--at", "2026-03-01T12:00:00Z"], ["not-yet-valid", "not-yet-valid"]),
    ],
)
def test_each_format_is_read_and_judged(arguments: list[str], rules: list[str]) -> None:
    """Certificates come in whatever format their maker's tool writes."""
    assert sorted(found(*arguments)[arguments[0]]) == rules


_PEM, _KEY = pem([LEAF, INTERMEDIATE]), private_pem(key("leaf"))


@pytest.mark.parametrize(
    "seen",
    [
        _PEM.replace(b"\n", b"\r\n"),
        _PEM.replace(b"\n", b" \t\n"),
        _PEM.rstrip(),
        b"# by hand\n" + _PEM + b"\0\0",
        b"Bag Attributes\n    friendlyName: orders\n" + _PEM,
        pem([LEAF]).replace(b"\n", b"\r\n") + pem([INTERMEDIATE]),
        _KEY + _PEM,
    ],
)
def test_lines_may_end_as_they_do(seen: bytes) -> None:
    """A file from Windows is refused that every Temporal reads."""
    assert found("-", given=seen) == {"-": []}


@pytest.mark.parametrize(
    ("unseen", "rules"),
    [
        (b"\xef\xbb\xbf" + _PEM, ["certificate-readable"]),
        (_PEM.replace(b"\n", b"\r"), ["certificate-readable"] * 2),
        (pem([LEAF]).replace(b"\n", b""), ["certificate-readable"]),
        (pem([LEAF]).rstrip() + b";\n" + pem([INTERMEDIATE]), ["certificate-readable"]),
        (b"  " + _PEM.replace(b"\n-----BEGIN", b"\n  -----BEGIN"), ["certificate-readable"] * 2),
        (_PEM.replace(b" CERTIFICATE", b" X509 CERTIFICATE"), ["certificate-readable"] * 2),
        (_PEM + b"  " + _KEY, ["key-matches"]),
    ],
)
def test_a_block_that_go_does_not_see_is_found(unseen: bytes, rules: list[str]) -> None:
    """A file is called sound, and the server starts without a certificate of it. Tried with Go's encoding/pem."""
    assert found("-", given=unseen) == {"-": rules}


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (pkcs7.serialize_certificates([LEAF], Encoding.DER), "is PKCS#7, which Temporal does not read"),
        (pkcs7.serialize_certificates([LEAF], Encoding.PEM), "is PKCS#7, which Temporal does not read"),
        (_PEM.decode().encode("utf-16"), "is text in UTF-16, which Temporal does not read"),
    ],
)
def test_what_temporal_does_not_read_is_called_by_its_name(data: bytes, what: str) -> None:
    """Somebody exports the same file again and again."""
    answer = json.loads(check("-", "--json", given=data).stdout)
    [finding] = answer["files"][0]["findings"]
    assert finding["rule"] == "certificate-readable"
    assert finding["what"].startswith(what)


@pytest.mark.usefixtures("folder")
def test_a_key_in_a_file_of_its_own_belongs_to_one_of_the_others() -> None:
    assert found("client.pem", "client.key") == {"client.pem": [], "client.key": []}
    assert found("client.key", "client.pem") == {"client.pem": [], "client.key": []}
    assert found("client.pem", "other.key") == {"client.pem": [], "other.key": ["key-matches"]}


@pytest.mark.usefixtures("folder")
def test_the_standard_input_is_a_file_like_any_other() -> None:
    assert found("-", "--ca", "ca.pem", given=pem([LEAF, INTERMEDIATE])) == {"-": []}
    assert found("-", given=LEAF.public_bytes(Encoding.DER)) == {"-": []}
    assert found("client.pem", "--ca", "-", given=pem([ROOT])) == {"client.pem": []}
    assert found("client.pem", "--ca", "-", given=pem(BUNDLE_BASE.certificates(["second"]))) == {
        "client.pem": ["chain-complete"]
    }
    result = check("-", "--ca", "-", given=pem([LEAF]))
    assert result.exit_code == 2
    assert "only once" in result.stderr


@pytest.mark.usefixtures("folder")
def test_public_authorities_pass_with_filters_alone() -> None:
    """Their list is far too long for a bundle, whatever else."""
    without, with_filters = (found("public.pem", *more)["public.pem"] for more in ((), ("--filters",)))
    assert {"well-known-authority", "bundle-count", "bundle-size"} <= {*without}
    assert {*without} - {*with_filters} == {"well-known-authority"}


@pytest.mark.usefixtures("folder")
def test_a_password_is_asked_for_or_read_from_a_file() -> None:
    """On the command line everybody on the machine could read it."""
    asked = check("client.p12", "--ca", "ca.pem", given=PASSWORD + b"\n")
    assert asked.exit_code == 0, asked.output
    assert "Password of client.p12" in asked.stderr
    for result, text in (
        (check("client.p12", given=b""), "needs a password"),
        (check("client.p12", given=b"wrong\n"), "does not open with that password"),
        (check("client.p12", "--password-file", "wrong-password"), "does not open with the password given"),
    ):
        assert result.exit_code == 2
        assert text in result.stderr
        assert result.stdout == ""
    assert check("client.p12", "--password", "correct horse").exit_code == 2


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "Missing argument"),
        (["missing.pem"], "missing.pem cannot be read: No such file"),
        (["."], "cannot be read: Is a directory"),
        (["client.pem", "--ca", "missing.pem"], "missing.pem cannot be read"),
        (["client.pem", "--ca", "text"], "text (--ca) holds no certificate"),
        (["client.pem", "--at", "tomorrow"], "tomorrow"),
        (["client.pem", "--as", "server"], "server"),
        (["client.p12", "--password-file", "missing"], "missing cannot be read"),
    ],
)
def test_what_cannot_be_asked_ends_with_2(arguments: list[str], text: str) -> None:
    """A script must not take an unreadable file for a certificate that is in order, or for one that is not."""
    result = check(*arguments, "--json")
    assert result.exit_code == 2
    assert text in result.stderr
    assert result.stdout == ""


@pytest.mark.usefixtures("folder")
def test_the_json_is_what_is_documented() -> None:
    """Programs read it: a name that changes breaks them in silence."""
    answer = json.loads(check("lacking.pem", "--ca", "ca.pem", "--json").stdout)
    [finding] = answer["files"][0].pop("findings")
    assert finding.pop("consequence").endswith(".")
    assert finding.pop("fix").endswith(".")
    place = {"file": "lacking.pem", "position": 1, "subject": "CN=orders,O=Contoso", "serial": "2"}
    assert finding == {
        "rule": "digital-signature",
        "certificate": place,
        "what": "has no key usage",
        "requirement": "has digitalSignature in its key usage",
    }
    certificate = {"position": 1, "subject": "CN=orders,O=Contoso", "issuer": "CN=clients 1,O=Contoso", "serial": "2"}
    times = {"notBefore": "2026-03-19T12:30:00+00:00", "notAfter": "2026-06-17T12:30:00+00:00"}
    [file] = answer.pop("files")
    assert file["certificates"][0] == certificate | times
    assert len(file.pop("certificates")) == 2
    note = "Whether it is valid in time was not checked: give a day with --at."
    assert file == {"file": "lacking.pem", "checkedAs": "client", "notes": [note]}
    assert answer == {"version": 1, "passed": False}
    whole = json.loads(check("text", "--json").stdout)["files"][0]
    assert (whole["checkedAs"], whole["findings"][0]["certificate"]) == (None, None)


def test_people_are_told_what_is_wrong_and_what_to_do(folder: Path) -> None:
    """The example of docs/certificates.md, word for word."""
    leaf, authority = tcld("temporal")
    (folder / "client.pem").write_bytes(pem([leaf]))
    (folder / "ca.pem").write_bytes(pem([authority]))
    result = check("client.pem", "--ca", "ca.pem")
    assert result.exit_code == 1
    documentation = (Path(__file__).parents[2] / "docs" / "certificates.md").read_text(encoding="utf-8")
    assert f"$ python -m pki check client.pem --ca ca.pem\n{result.stdout}```" in documentation


def test_a_file_s_name_cannot_steer_a_terminal(folder: Path) -> None:
    """Whoever sends an archive to be checked chooses the names in it."""
    (folder / "a\x1b[2Jb.pem").write_bytes(pem([WITHOUT_USAGE, INTERMEDIATE]))
    result = check("a\x1b[2Jb.pem")
    assert result.exit_code == 1
    assert "\x1b" not in result.output
    assert "a\\u001b[2Jb.pem: checked as a client's" in result.stdout
    assert "certificate 1 of a\\u001b[2Jb.pem" in result.stdout


@pytest.mark.usefixtures("folder")
def test_a_sound_file_is_called_sound() -> None:
    result = check("client.pem", "--ca", "ca.pem", "--at", "2026-03-30")
    assert result.exit_code == 0
    assert "Nothing is wrong." in result.stdout
    assert "To do" not in result.stdout
    assert "Note" not in result.stdout


KEYS = ("leaf", "other", "rsa root")


def _spellings(own: Key) -> list[str]:
    """How a private key could show: PEM's lines, base64, hex, and its numbers."""
    der = own.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    raw = own.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    lines = private_pem(own).decode().splitlines()[1:-1]
    return [*lines, b64encode(der).decode(), der.hex(), raw.hex(), raw.hex()[14:78]]


@pytest.mark.parametrize("options", [(), ("--json",), ("--as", "ca-bundle"), ("--as", "client", "--json")])
def test_no_private_key_is_ever_shown(folder: Path, options: Sequence[str]) -> None:
    """Output goes into tickets and logs. Broken files above all: an error that quotes what it could not read."""
    whole = (folder / "pair.pem").read_bytes()
    for name, content in {
        "cut.pem": whole[:-60],
        "label.pem": whole.replace(b"PRIVATE KEY", b"CERTIFICATE"),
        "odd-label.pem": whole.replace(b"PRIVATE KEY", b"SECRET THING"),
        "bad-key.pem": whole.replace(b"PRIVATE KEY-----\nM", b"PRIVATE KEY-----\n*"),
        "key.der": key("leaf").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "key-cut.der": key("leaf").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())[:-3],
        "certificate-and-key.der": LEAF.public_bytes(Encoding.DER)
        + key("leaf").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
    }.items():
        (folder / name).write_bytes(content)
    secrets = [spelling for owner in KEYS for spelling in _spellings(key(owner))]
    files = [path.name for path in folder.iterdir() if "password" not in path.name]
    for file in files:
        result = check(file, "--password-file", "password", *options)
        assert result.exit_code in (0, 1, 2)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert PASSWORD.decode() not in result.output
        assert not [secret for secret in secrets if secret in result.output], file
    assert secrets[0] in (folder / "client.key").read_text()


def test_it_starts_as_a_module(folder: Path) -> None:
    """Without the Azure SDKs and Pulumi, which take seconds to import."""
    root = Path(__file__).parents[2]
    code = "import sys, runpy; sys.argv = ['pki', 'check', sys.argv[1]]\n"
    code += "try: runpy.run_module('pki', run_name='__main__')\n"
    code += "finally: assert not {'azure', 'pulumi'} & sys.modules.keys()"
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder / "bundle.pem")], cwd=root, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert "checked as a CA bundle" in run.stdout


def test_a_password_is_asked_of_a_terminal_alone(folder: Path) -> None:
    """It would be shown in a pipeline's log, or be the first line of a file that was meant as a certificate."""
    command = [sys.executable, "-m", "pki", "check", str(folder / "client.p12")]
    answer = subprocess.run(
        command,
        cwd=Path(__file__).parents[2],
        input=f"{PASSWORD.decode()}\n",
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.endswith("is PKCS#12 and needs a password: give it in a --password-file.\n")
    assert "Warning" not in answer.stderr


def test_a_version_1_root_is_taken_for_a_bundle(folder: Path) -> None:
    """It says of itself neither that it is an authority nor that it is none."""
    family = {**BUNDLE_BASE.family, "second": replace(BUNDLE_BASE.family["second"], version=1)}
    (folder / "old.pem").write_bytes(pem([replace(BUNDLE_BASE, family=family).certificate("second")]))
    answer: dict[str, Any] = json.loads(check("old.pem", "--json").stdout)
    assert answer["files"][0]["checkedAs"] == "ca-bundle"
    assert [finding["rule"] for finding in answer["files"][0]["findings"]] == ["x509v3"]


def test_the_rules_are_printed() -> None:
    result = CliRunner().invoke(main, ["rules"])
    assert result.exit_code == 0
    assert "| `unique-names` |" in result.stdout
