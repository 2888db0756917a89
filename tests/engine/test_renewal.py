"""What the days do to certificates, and what changed settings do: a leaf is issued anew for a reason, an authority
never by the clock.

The stack was made sixty days ago, as far as the program knows: what it issues by now is valid in the vault too, which
goes by the real clock.
"""

import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from localazure.client import LocalAzure
from tests.engine.stacks import ProgramStack, Watch, loaded, stored, versions

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("renewal")]

TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
START = TODAY - timedelta(days=60)
LONG = {"validityDays": 300}
AUTHORITIES: dict[str, dict[str, Any]] = {
    "internode": {"keyType": "EC-P256"},
    "clients": {"keyType": "EC-P256"},
    "brief": {"keyType": "EC-P256", "validityDays": 90},
}
CERTIFICATES: dict[str, dict[str, Any]] = {
    "cluster": LONG,
    "ui": LONG,
    "cli": LONG,
    "due": {},
    "capped": {"issuer": "brief"},
}
AUTHORITY_NAMES = {f"{name}-1" for name in AUTHORITIES}


@pytest.fixture(scope="module")
def old_stack(new_stack: Callable[[], ProgramStack]) -> ProgramStack:
    stack = new_stack()
    stack.set(certificateAuthorities=AUTHORITIES, certificates=CERTIFICATES)
    stack.today = START
    stack.run("up").check()
    return stack


@pytest.fixture
def stack(old_stack: ProgramStack) -> ProgramStack:
    """The module's stack, today and with its first settings, whatever the test before it did; but no authority is
    renewed back, so the test that renews some is the last.
    """
    old_stack.today = TODAY
    old_stack.set(certificateAuthorities=AUTHORITIES, certificates=CERTIFICATES)
    return old_stack


def vault_writes(watch: Watch) -> dict[str, list[str]]:
    """What was written about each certificate: the last step of the path, or PATCH for its tags."""
    found: dict[str, list[str]] = {}
    for write in watch.writes("vault"):
        method, path = write.split()
        name, *rest = path.removeprefix("/certificates/").strip("/").split("/")
        found.setdefault(name, []).append(method if method == "PATCH" else rest[-1])
    return found


def merge(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {**settings, **{name: {**settings.get(name, {}), **change} for name, change in changes.items()}}


def test_leaf_outside_its_window_is_left_alone(stack: ProgramStack, azure: LocalAzure) -> None:
    """Prevents certificates that change with every run."""
    stack.today = TODAY - timedelta(days=1)
    watch = Watch(azure)
    preview = stack.run("preview", identity="nobody").check()
    assert preview.changes.keys() == {"same"}
    assert "To be renewed" not in preview.shown
    assert watch.writes() == []


def test_leaf_inside_its_window_is_announced_and_issued_under_the_same_name(
    stack: ProgramStack, azure: LocalAzure
) -> None:
    """Prevents a certificate that ends because nobody was told, and a renewal that takes others along."""
    before = stack.facts()
    preview = stack.run("preview", identity="nobody").check()
    assert preview.certificates("update") == {"due"}
    ends = loaded(before["due"]).not_valid_after_utc
    assert f"To be renewed: it ends on {ends:%Y-%m-%d}, inside its renewal window of 30 days." in preview.said_of("due")

    watch = Watch(azure)
    up = stack.run("up").check()
    assert up.steps == preview.steps
    assert vault_writes(watch) == {"due": ["create", "merge"]}
    after = stack.facts()
    assert {name for name in before if before[name] != after[name]} == {"due"}
    old, new = before["due"], after["due"]
    assert loaded(new).not_valid_after_utc == ends + timedelta(days=60)
    assert loaded(new).public_key() != loaded(old).public_key()
    assert new["certificateId"].rpartition("/")[0] == old["certificateId"].rpartition("/")[0]
    kept = versions(stored(azure, stack.vault("leaves")["name"])["due"])
    assert kept == [old["certificateId"].rpartition("/")[2], new["certificateId"].rpartition("/")[2]]
    assert stack.run("preview").check().changes.keys() == {"same"}


def test_leaf_that_could_not_last_longer_is_not_issued_every_day(stack: ProgramStack) -> None:
    """Prevents a new version at each run, when it is the authority that ends."""
    facts = stack.facts()
    assert facts["capped"]["notAfter"] == facts["brief-1"]["notAfter"]
    stack.today = loaded(facts["capped"]).not_valid_after_utc - timedelta(days=2)
    preview = stack.run("preview").check()
    assert "capped" not in preview.certificates("update")
    assert "This authority ends on" in preview.said_of("brief-1")
    assert "raise its renewal, or roll it over" in preview.said_of("brief-1")


def test_authority_near_its_end_only_warns(stack: ProgramStack) -> None:
    """Prevents an authority that is replaced overnight, with every certificate under it."""
    end = loaded(stack.facts()["clients-1"]).not_valid_after_utc
    stack.today = end - timedelta(days=100)
    preview = stack.run("preview", identity="nobody").check()
    assert not preview.certificates("update") & AUTHORITY_NAMES
    assert preview.certificates("update") == CERTIFICATES.keys() - {"capped"}
    for authority in ("clients-1", "internode-1"):
        (warning,) = (message for message in preview.messages if message.name == authority)
        assert warning.severity == "warning"
        assert f"This authority ends on {end:%Y-%m-%d}" in warning.text
    assert "This authority ended on" in preview.said_of("brief-1")
    assert "Cannot be renewed: its authority" in preview.said_of("capped")


def test_ended_authority_issues_nothing_and_says_so(stack: ProgramStack, azure: LocalAzure) -> None:
    """Prevents a certificate that nobody accepts, and a request that waits in the vault for nothing."""
    stack.today = loaded(stack.facts()["brief-1"]).not_valid_after_utc + timedelta(days=1)
    stack.set(certificates=CERTIFICATES | {"late": {"issuer": "brief"}})
    watch = Watch(azure)
    only = [argument for urn in (stack.leaf_urn("late"), stack.component_urn("late")) for argument in ("--target", urn)]
    up = stack.run("up", *only).refused()
    assert "cannot be issued: its authority, CN=" in up.said_of("late")
    assert f"ended on {stack.today - timedelta(days=1):%Y-%m-%d}" in up.said_of("late")
    assert "docs/runbooks/roll-over-an-authority.md" in up.said_of("late")
    assert watch.writes("vault") == []


@pytest.mark.parametrize(
    ("change", "setting"), [({"keyType": "RSA-2048"}, "policy.keyType"), ({"country": "DE"}, "policy.subject.country")]
)
def test_authority_does_not_become_another_one(
    stack: ProgramStack, azure: LocalAzure, change: dict[str, Any], setting: str
) -> None:
    """Prevents that one word in the settings invalidates everything, with a way out in the message."""
    stack.set(certificateAuthorities=merge(AUTHORITIES, {"clients": change}))
    watch = Watch(azure)
    up = stack.run("up").refused()
    said = up.said_of("clients-1")
    assert f'{setting} of the authority "clients-1" changed.' in said
    assert "add a generation under certificateAuthorities" in said
    assert "Nothing was changed" in said
    assert watch.writes() == []


def test_changed_leaf_is_issued_anew_and_tags_alone_are_not_a_change(
    new_stack: Callable[[], ProgramStack], azure: LocalAzure
) -> None:
    """Prevents a setting without effect, and a new certificate for a new tag."""
    stack = new_stack()
    changes = {
        "names": {"dnsNames": ["names.internal"]},
        "subject": {"organizationalUnit": "Accounts"},
        "key": {"keyType": "EC-P384"},
        "issuer": {"issuer": "internode"},
    }
    # Whom a leaf moves to is trusted before it moves, because it issues for somebody already.
    other = {"other": {"issuer": "internode"}}
    stack.set(certificates={name: {} for name in changes} | other)
    stack.run("up").check()
    before = stack.facts()
    stack.set(certificates=changes | other)
    preview = stack.run("preview", identity="nobody").check()
    assert preview.certificates("update") == changes.keys()
    watch = Watch(azure)
    assert stack.run("up").check().steps == preview.steps
    assert vault_writes(watch) == {name: ["create", "merge"] for name in changes}
    changed = stack.facts()
    assert {name for name in changed if changed[name] != before[name]} == changes.keys()
    names = loaded(changed["names"]).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["names.internal"]
    assert "OU=Accounts" in changed["subject"]["subject"]
    key = loaded(changed["key"]).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp384r1"
    loaded(changed["issuer"]).verify_directly_issued_by(loaded(changed["internode-1"]))

    stack.set(tags={"team": "payments"})
    watch = Watch(azure)
    assert stack.run("up").check().certificates("update") == changed.keys()
    assert vault_writes(watch) == {name: ["PATCH"] for name in changed}
    assert stack.facts() == changed
    kept = [
        document
        for purpose in ("leaves", "authorities")
        for document in stored(azure, stack.vault(purpose)["name"]).values()
    ]
    assert {document["name"] for document in kept if document["versions"][-1]["tags"]["team"] == "payments"} == (
        changed.keys()
    )


def test_renewed_authority_keeps_key_and_name_and_its_leaves(
    stack: ProgramStack, azure: LocalAzure, tmp_path: Path
) -> None:
    """Prevents that to renew an authority is to replace every certificate under it at once."""
    before = stack.facts()
    changes: dict[str, dict[str, Any]] = {
        "clients": {"generations": {"1": {"renewal": 1}}},
        "internode": {"validityDays": 3650},
    }
    stack.set(certificateAuthorities=merge(AUTHORITIES, changes))
    preview = stack.run("preview", identity="nobody").check()
    watch = Watch(azure)
    assert stack.run("up").check().steps == preview.steps
    writes = vault_writes(watch)
    assert writes == {name: ["create", "merge"] for name in ("clients-1", "internode-1")}

    after = stack.facts()
    for name, days in (("clients-1", 1825), ("internode-1", 3650)):
        old, new = loaded(before[name]), loaded(after[name])
        assert new.public_key() == old.public_key()
        assert new.subject == old.subject
        assert new.serial_number != old.serial_number
        assert new.not_valid_after_utc == TODAY.replace(hour=0) + timedelta(days=days)
    for name, authority in (("cluster", "internode-1"), ("ui", "clients-1"), ("due", "clients-1")):
        assert after[name]["certificateId"] == before[name]["certificateId"]
        assert after[name]["chainPem"] == [after[authority]["certificatePem"]]
        for root in (before[authority], after[authority]):
            assert_verifies(tmp_path, loaded(after[name]), loaded(root))
    assert stack.run("preview").check().changes.keys() == {"same"}


def assert_verifies(folder: Path, leaf: x509.Certificate, authority: x509.Certificate) -> None:
    (folder / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    (folder / "authority.pem").write_bytes(authority.public_bytes(Encoding.PEM))
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(folder / "authority.pem"), str(folder / "leaf.pem")]
    subprocess.run(command, check=True, capture_output=True)
