"""What Temporal and Temporal Cloud refuse, each rule broken alone and together with another."""

import re
import string
import subprocess
import warnings
from base64 import encodebytes
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from pki import Finding, IssuancePolicy, bundle_findings, client_findings, draft, held, obstacles
from pki.held import Held
from pki.names import comparable
from pki.reading import PasswordNeeded, read
from pki.rules import LARGEST_BUNDLE_BYTES, RULES, table
from tests.certificates import authority_policy, issue, leaf_policy, private_key
from tests.go_verifier import GoVerifier
from tests.unit.pki_corpus import (
    BUNDLE_BASE,
    CA_TRUE,
    CERTIFIES,
    CLIENT,
    CLIENT_BASE,
    CLIENT_ORDER,
    DAY,
    NOW,
    SERVER,
    Blueprint,
    Case,
    Expected,
    Family,
    broken,
    bundle_breaks,
    cases,
    client_breaks,
    elements,
    inside,
    make,
    name,
    one,
    pem,
    tcld,
    tlv,
    usage,
)

CLIENT_CASES = cases(CLIENT_BASE, client_breaks, CLIENT_ORDER)
BUNDLE_CASES = cases(BUNDLE_BASE, bundle_breaks, BUNDLE_BASE.presented)

X509_RULES: dict[str, set[int]] = {
    "authority": {24, 79},
    "authority-key-usage": {20, 24, 32, 79},
    "chain-complete": {2, 7, 18, 20, 21},
    "bundle-closed": {2, 7, 18, 20, 21},
    "path-length": {25},
    "name-constraints": {47, 48},
    "not-yet-valid": {9},
    "expired": {10},
    "extended-key-usage": {26},
    "critical-extensions": {34},
    "not-critical": {34},
}
"""The rules that are X.509's own, with the errors of `openssl verify` that mean them."""

GO_RULES = {
    "certificate-policies",
    "name-encoding",
    "not-critical",
    "serial-number",
    "signature-padding",
    "uri-readable",
}
"""The rules that are there because Go refuses what breaks them; key-size has a test of its own."""


def findings_of(case: Case) -> list[tuple[str, str | None]]:
    """What is found in a case: the rule's identifier, and the member that it is about."""
    presented = held(case.certificates(case.presented), "presented")
    if case.accepted is None:
        findings = bundle_findings(presented, filters=case.filters, at=NOW)
        accepted = None
    else:
        accepted = held(case.certificates(case.accepted), "accepted")
        findings = client_findings(presented, accepted, NOW)
    return [(finding.rule.identifier, _member(case, finding)) for finding in findings]


def _member(case: Case, finding: Finding) -> str | None:
    if finding.place is None:
        return None
    members = case.presented if finding.place.file == "presented" else case.accepted or ()
    member = members[finding.place.position - 1]
    certificate = case.certificate(member)
    with warnings.catch_warnings():
        # Of a serial number that is negative.
        warnings.simplefilter("ignore")
        assert finding.place.serial == f"{certificate.serial_number:x}"
    assert finding.place.subject == certificate.subject.rfc4514_string()
    return member


def expected(case: Case) -> list[tuple[str, str | None]]:
    return [(each.rule, each.member) for each in case.expected]


def labels(corpus: Sequence[Case]) -> list[str]:
    return [case.label for case in corpus]


# The corpus


def test_the_corpus_is_large_and_breaks_every_rule_about_certificates() -> None:
    """A rule that no case breaks could be gone tomorrow."""
    assert len(CLIENT_CASES) + len(BUNDLE_CASES) >= 120
    found = {each.rule for case in [*CLIENT_CASES, *BUNDLE_CASES] for each in case.expected}
    of_files = {
        "certificate-present",
        "certificate-readable",
        "no-trailing-data",
        "key-matches",
        "key-without-passphrase",
        "no-private-key",
    }
    of_whole_bundles = {"bundle-count", "bundle-size", "bundle-duplicates", "well-known-authority"}
    assert {rule.identifier for rule in RULES} == found | of_files | of_whole_bundles


@pytest.mark.parametrize("case", CLIENT_CASES, ids=labels(CLIENT_CASES))
def test_a_client_is_told_exactly_what_is_wrong(case: Case, tmp_path: Path) -> None:
    """A finding too few lets it be issued; one too many sends somebody after a fault that is not there."""
    assert Counter(findings_of(case)) == Counter(expected(case))
    trusted, untrusted, leaf = (tmp_path / name for name in ("trusted.pem", "untrusted.pem", "leaf.pem"))
    assert case.accepted is not None
    trusted.write_bytes(pem(case.certificates(case.accepted)))
    untrusted.write_bytes(pem(case.certificates(case.presented[1:])))
    leaf.write_bytes(pem([case.certificate(case.presented[0])]))
    _assert_openssl_agrees(case, {rule for rule, _ in expected(case)}, trusted, untrusted, leaf)


@pytest.mark.parametrize("case", CLIENT_CASES, ids=labels(CLIENT_CASES))
def test_what_go_refuses_is_told(case: Case, go: GoVerifier) -> None:
    """Go decides in Temporal: what only it refuses would be found out about in the first handshake."""
    assert case.accepted is not None
    refusal = go.refusal(case.certificates(case.presented), case.certificates(case.accepted), NOW)
    rules = {rule for rule, _ in expected(case)}
    assert rules or not refusal, refusal
    assert refusal or not rules & GO_RULES, rules


@pytest.mark.parametrize("case", BUNDLE_CASES, ids=labels(BUNDLE_CASES))
def test_a_bundle_is_told_exactly_what_is_wrong(case: Case, tmp_path: Path) -> None:
    """As above. To openssl it is shown by a client of each authority in the bundle."""
    assert Counter(findings_of(case)) == Counter(expected(case))
    trusted, leaf = tmp_path / "trusted.pem", tmp_path / "leaf.pem"
    trusted.write_bytes(pem(case.certificates(case.presented)))
    for member in case.presented:
        above = {"intermediate": ("intermediate", "root")}.get(member, (member,))
        cut = ("bundle-closed", "intermediate") in expected(case)
        rules = {rule for rule, about in expected(case) if about in (above[:1] if cut else above)}
        if member == "root":
            rules -= {"path-length"}
        family = {**case.family, "probe": replace(CLIENT_BASE.family["leaf"], issuer=member, subject="probe")}
        leaf.write_bytes(pem([make(family, "probe")]))
        _assert_openssl_agrees(case, rules, trusted, trusted, leaf)


def _assert_openssl_agrees(case: Case, rules: set[str], trusted: Path, untrusted: Path, leaf: Path) -> None:
    """What breaks X.509's own rules openssl refuses, strictly asked, for the same reason; all else it takes.

    Above a link that is broken it may look further than we do: then its reason may be the other change.
    """
    if "extensions-readable" in rules:
        return  # What openssl makes of it depends on which extension it is.
    if any(each.fields.get("signature") == "sha3" for each in case.breaks):
        return  # It verifies SHA-3 with some keys and versions only.
    of_authorities = {about for rule, about in expected(case) if rule == "x509v3" and about != "leaf"}
    reasons = {code for rule in rules for code in X509_RULES.get(rule, ())}
    if "x509v3" in rules and of_authorities:
        reasons |= X509_RULES["authority"]
    options = ("-x509_strict",) if reasons else ()
    asked = (
        "openssl",
        "verify",
        *options,
        "-check_ss_sig",
        "-purpose",
        "sslclient",
        "-attime",
        f"{NOW.timestamp():.0f}",
    )
    answer = subprocess.run(
        [*asked, "-CAfile", trusted, "-untrusted", untrusted, leaf], capture_output=True, text=True, check=False
    )
    said = {int(code) for code in re.findall(r"error (\d+) at", answer.stderr)}
    if reasons:
        hidden = {each.rule for change in case.breaks for each in change.expected}
        assert said & reasons.union(*(X509_RULES.get(rule, set()) for rule in hidden)), (rules, answer.stderr)
        assert answer.returncode == 2
    else:
        assert answer.returncode == 0, (rules, answer.stderr)


@pytest.mark.parametrize("base", [CLIENT_BASE, BUNDLE_BASE], ids=["client", "bundle"])
def test_what_passes_passes_openssl_strictly(base: Case, tmp_path: Path) -> None:
    """Else a broken case could be refused for something that its passing twin has as well."""
    trusted, leaf = tmp_path / "trusted.pem", tmp_path / "leaf.pem"
    trusted.write_bytes(pem(base.certificates(["intermediate", "root"])))
    leaf.write_bytes(pem([make({**base.family, "leaf": CLIENT_BASE.family["leaf"]}, "leaf")]))
    asked = ("openssl", "verify", "-x509_strict", "-check_ss_sig", "-purpose", "sslclient")
    at = ("-attime", f"{NOW.timestamp():.0f}")
    assert subprocess.run([*asked, *at, "-CAfile", trusted, leaf], capture_output=True, check=False).returncode == 0


# What is accepted


@pytest.mark.parametrize(
    "changes",
    [
        {"leaf": {"owner": "P-521 leaf"}},
        {"leaf": {"owner": "rsa leaf", "usage": usage("digital_signature", "key_encipherment")}},
        {"leaf": {"extended_usages": ()}},
        {"leaf": {"extended_usages": (SERVER, CLIENT)}},
        {"leaf": {"extended_usages": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)}},
        {"leaf": {"signature": "sha384"}, "intermediate": {"signature": "sha512"}},
        {"intermediate": {"signature": "pss"}},
        {"intermediate": {"constraints": x509.BasicConstraints(True, 0)}},
        {"root": {"constraints": x509.BasicConstraints(True, 1)}},
        {"intermediate": {"usage": None}},
        {"leaf": {"subject": "clients 10"}},
        {"leaf": {"not_after": NOW}},
        {"leaf": {"not_before": NOW}},
    ],
)
def test_what_is_within_the_rules_passes(changes: dict[str, dict[str, object]]) -> None:
    family = dict(CLIENT_BASE.family)
    for member, fields in changes.items():
        family[member] = replace(family[member], **fields)  # type: ignore[arg-type]
    assert findings_of(replace(CLIENT_BASE, family=family)) == []


@pytest.mark.parametrize(
    ("presented", "accepted"),
    [
        (("leaf", "intermediate", "root"), ("root",)),
        (("leaf", "root", "intermediate"), ("root",)),
        (("leaf",), ("intermediate", "root")),
        (("leaf",), ("root", "intermediate")),
        (("leaf",), ("intermediate",)),
        (("leaf", "intermediate"), ("intermediate", "root")),
    ],
)
def test_a_chain_is_complete_wherever_its_links_are(presented: tuple[str, ...], accepted: tuple[str, ...]) -> None:
    """The bundle may hold the intermediates, and a client may send its root along."""
    assert findings_of(replace(CLIENT_BASE, presented=presented, accepted=accepted)) == []


def test_a_link_that_is_missing_is_told() -> None:
    case = replace(CLIENT_BASE, presented=("leaf",))
    assert findings_of(case) == [("chain-complete", "leaf")]
    elsewhere = held([make(BUNDLE_BASE.family, "second")], "accepted")
    whole = held(CLIENT_BASE.certificates(CLIENT_ORDER), "presented")
    [finding] = client_findings(whole, elsewhere)
    assert (finding.rule.identifier, finding.what) == ("chain-complete", "is a root that is not among those trusted")


def test_without_a_bundle_the_chain_is_followed_as_far_as_it_goes() -> None:
    """A file without its root is how clients are given theirs; one with a gap in it is not."""
    certificates = CLIENT_BASE.certificates(CLIENT_ORDER)
    for presented in (certificates[:1], certificates[:2], certificates):
        assert client_findings(held(presented)) == []
    leaf, _, root = certificates
    assert [str(finding.rule.identifier) for finding in client_findings(held([leaf, root]))] == ["chain-complete"]


@pytest.mark.parametrize("signature", ["sha256", "sha1"])
def test_an_issuer_is_named_to_the_letter(signature: str) -> None:
    """Names match without regard to case, but Go looks issuers up by their bytes, and finds none otherwise."""
    case = broken(CLIENT_BASE, [one("", "leaf", "", issuer_subject="CLIENTS 1", signature=signature)], CLIENT_ORDER)
    weak = [("signature-hash", "leaf")] if signature == "sha1" else []
    assert findings_of(case) == [*weak, ("chain-complete", "leaf")]


def test_a_way_to_a_root_is_taken_before_one_that_ends() -> None:
    """An authority that is certified by one that is not sent along, too, is no gap."""
    family: Family = {
        **CLIENT_BASE.family,
        "old": Blueprint(subject="Old Root", owner="old", issuer="old", constraints=CA_TRUE, usage=CERTIFIES),
        "crossed": replace(CLIENT_BASE.family["intermediate"], issuer="old"),
    }
    case = replace(CLIENT_BASE, family=family)
    for order in (("leaf", "crossed", "intermediate", "root"), ("leaf", "intermediate", "root", "crossed")):
        assert client_findings(held(case.certificates(order))) == []
    [gap] = client_findings(held(case.certificates(("leaf", "crossed", "root"))))
    assert gap.rule.identifier == "chain-complete"


def test_an_authority_that_certifies_its_own_name_is_not_counted() -> None:
    """A root's new key, certified by its old one, is no level of its own (RFC 5280, 6.1.4 (l)); its name is told."""
    root = replace(CLIENT_BASE.family["root"], constraints=x509.BasicConstraints(True, 0))
    new_key = replace(root, owner="new root", issuer="root", constraints=CA_TRUE)
    family = {**CLIENT_BASE.family, "root": root, "intermediate": new_key}
    assert findings_of(replace(CLIENT_BASE, family=family)) == [("unique-names", "intermediate")]


def test_a_path_length_is_told_once() -> None:
    """With ten intermediates below, nine repetitions would hide the rest."""
    root = replace(BUNDLE_BASE.family["root"], constraints=x509.BasicConstraints(True, 0))
    beside = replace(BUNDLE_BASE.family["intermediate"], subject="clients 4", owner="second", serial=9)
    case = replace(BUNDLE_BASE, family={**BUNDLE_BASE.family, "root": root, "second": beside})
    assert findings_of(case) == [("path-length", "root")]


def test_a_key_for_pss_alone_is_none_that_temporal_knows(tmp_path: Path) -> None:
    """It is an RSA key by its looks; Go's parser knows no key with this identifier."""
    paths = {option: tmp_path / option for option in ("-keyout", "-out")}
    asked = ["openssl", "req", "-x509", "-nodes", "-subj", "/CN=pss", "-newkey"]
    for algorithm, salt, rules in (("rsa-pss", ["-sigopt", "rsa_pss_saltlen:32"], ["key-algorithm"]), ("rsa", [], [])):
        command = [*asked, algorithm, *(str(part) for pair in paths.items() for part in pair)]
        command += ["-pkeyopt", "rsa_keygen_bits:2048", "-sha256", *salt]
        subprocess.run(command, capture_output=True, check=True)
        made = x509.load_pem_x509_certificate(paths["-out"].read_bytes())
        assert identifiers(bundle_findings(held([made]))) == rules


def test_the_best_of_several_ways_counts() -> None:
    """While an authority is certified by an old root and a new one, one that ended does no harm."""
    family: Family = {
        **CLIENT_BASE.family,
        "old": Blueprint(subject="Old Root", owner="old", issuer="old", constraints=CA_TRUE, usage=CERTIFIES),
        "crossed": replace(CLIENT_BASE.family["intermediate"], issuer="old", not_after=NOW - DAY),
    }
    for presented in (("leaf", "crossed", "intermediate"), ("leaf", "intermediate", "crossed")):
        for accepted in (("root", "old"), ("old", "root")):
            assert findings_of(replace(CLIENT_BASE, family=family, presented=presented, accepted=accepted)) == []
    alone = replace(CLIENT_BASE, family=family, presented=("leaf", "crossed"), accepted=("root", "old"))
    assert findings_of(alone) == [("expired", "crossed")]


def test_authorities_that_certify_each_other_are_looked_at_for_a_while_only() -> None:
    """A bundle made to be slow must not hang whoever checks it."""
    family = {
        f"{one}{other}": Blueprint(
            subject=one, owner=one, issuer=f"{other}{one}", constraints=CA_TRUE, usage=CERTIFIES, serial=index
        )
        for index, (one, other) in enumerate(((a, b) for a in "ABCDEFGH" for b in "ABCDEFGH" if a != b), 1)
    }
    leaf = replace(CLIENT_BASE.family["leaf"], issuer="AB")
    presented = ("leaf", *family)
    found = findings_of(Case(label="", family=family | {"leaf": leaf}, presented=presented, accepted=("HA",)))
    assert {rule for rule, _ in found} <= {"unique-names"}


def test_time_is_judged_only_when_it_is_told() -> None:
    """What is checked today may be meant for next year."""
    expired = broken(CLIENT_BASE, [one("expired", "leaf", "", not_after=NOW - DAY)], CLIENT_ORDER)
    presented, root = held(expired.certificates(expired.presented)), held(expired.certificates(["root"]))
    assert client_findings(presented, root) == []
    assert [each.rule.identifier for each in client_findings(presented, root, NOW)] == ["expired"]
    assert client_findings(presented, root, NOW - 2 * DAY) == []


def test_a_certificate_of_version_1_is_told_once() -> None:
    """It cannot have what the other rules ask for."""
    case = broken(CLIENT_BASE, [one("x509v3", "leaf", "", version=1, usage=None)], CLIENT_ORDER)
    assert findings_of(case) == [("x509v3", "leaf")]


def test_tcld_s_certificates_lack_what_they_lack() -> None:
    """Temporal's own tool sets no key usage on a client's certificate, and its documentation asks for one."""
    leaf, authority = tcld("temporal")
    accepted = held([authority], "ca.pem")
    [finding] = client_findings(held([leaf], "client.pem"), accepted, NOW)
    assert (finding.rule.identifier, finding.what) == ("digital-signature", "has no key usage")
    assert "tcld gen leaf" in finding.rule.fix
    assert bundle_findings(accepted, at=NOW) == []


@pytest.mark.parametrize(
    ("member", "changes", "rule"),
    [
        ("leaf", {"critical_identifiers": True}, "not-critical"),
        ("leaf", {"owner": "rsa 768 leaf"}, None),
        ("leaf", {"strings": _ASN1Type.UniversalString}, "name-encoding"),
        ("leaf", {"strings": _ASN1Type.BMPString}, None),
        ("leaf", {"strings": _ASN1Type.BMPString, "subject": "orders \U0001f600"}, "name-encoding"),
        ("leaf", {"strings": _ASN1Type.PrintableString}, None),
        ("root", {"owner": "rsa 768 root"}, "key-size"),
    ],
)
def test_go_refuses_what_is_told(member: str, changes: dict[str, Any], rule: str | None, go: GoVerifier) -> None:
    """A rule that Go does not have would send somebody after a fault that is none."""
    family = {**CLIENT_BASE.family, member: replace(CLIENT_BASE.family[member], **changes)}
    case = replace(CLIENT_BASE, family=family)
    refusal = go.refusal(case.certificates(case.presented), case.certificates(["root"]), NOW)
    assert bool(refusal) is bool(rule), refusal
    found = {each for each, _ in findings_of(case)}
    if "rsa 768 leaf" in changes.values():  # Go looks at a client's own key once that signs the handshake.
        assert found == {"key-size"}
    else:
        assert (rule in found) if rule else not found


ONE, OTHER, ANY_POLICY = (x509.ObjectIdentifier(text) for text in ("1.3.6.1.4.1.99999.7", "1.2.3", "2.5.29.32.0"))


def policies(*required: x509.ObjectIdentifier) -> x509.CertificatePolicies:
    return x509.CertificatePolicies([x509.PolicyInformation(each, None) for each in required])


def requiring(after: int) -> x509.PolicyConstraints:
    return x509.PolicyConstraints(after, None)


@pytest.mark.parametrize(
    ("leaf", "intermediate", "root", "is_told"),
    [
        ([], [], [requiring(0)], False),
        ([], [requiring(0)], [], True),
        ([], [requiring(1)], [], True),
        ([], [requiring(2)], [], False),
        ([policies(ONE)], [requiring(0)], [], True),
        ([policies(ONE)], [policies(ONE), requiring(0)], [], False),
        ([policies(ONE)], [policies(OTHER), requiring(0)], [], True),
        ([policies(ONE, OTHER)], [policies(OTHER), requiring(0)], [], False),
        ([policies(ONE)], [policies(ANY_POLICY), requiring(0)], [], False),
        ([policies(ANY_POLICY)], [policies(ONE), requiring(0)], [], False),
        ([policies(ANY_POLICY)], [policies(ONE), requiring(0), x509.InhibitAnyPolicy(0)], [], True),
        ([policies(ONE)], [policies(ONE), requiring(0), x509.InhibitAnyPolicy(0)], [], False),
        ([requiring(0)], [], [], True),
        ([requiring(1)], [], [], False),
        ([policies(ONE), requiring(0)], [policies(ONE)], [], False),
        ([policies(ONE)], [], [], False),
    ],
)
def test_required_policies_are_judged_as_go_judges_them(
    leaf: list[x509.ExtensionType],
    intermediate: list[x509.ExtensionType],
    root: list[x509.ExtensionType],
    is_told: bool,
    go: GoVerifier,
) -> None:
    """One requirement in a company's authority, and no client of it gets in."""
    added = {"leaf": leaf, "intermediate": intermediate, "root": root}
    family = {
        member: replace(CLIENT_BASE.family[member], more=tuple(x509.Extension(each.oid, True, each) for each in more))
        for member, more in added.items()
    }
    case = replace(CLIENT_BASE, family=family)
    assert bool(go.refusal(case.certificates(case.presented), case.certificates(["root"]), NOW)) is is_told
    assert findings_of(case) == ([("certificate-policies", "leaf")] if is_told else [])
    if not leaf:
        above = case.certificates(["intermediate", "root"])
        found = identifiers(obstacles(leaf_policy(), above, NOW))
        assert found == (["certificate-policies"] if is_told else [])


# Bundles


def roots(count: int, *, padding: int = 0) -> list[x509.Certificate]:
    """As many roots, with a comment of so many bytes in each."""
    comment = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.2"), b"x" * padding)
    more = (x509.Extension(comment.oid, False, comment),) if padding else ()
    return [
        make(
            {
                "root": Blueprint(
                    subject=f"root {i}",
                    owner="second",
                    issuer="root",
                    constraints=CA_TRUE,
                    usage=CERTIFIES,
                    more=more,
                    serial=i + 1,
                )
            },
            "root",
        )
        for i in range(count)
    ]


def identifiers(findings: Sequence[Finding]) -> list[str]:
    return [finding.rule.identifier for finding in findings]


def test_sixteen_certificates_and_no_more() -> None:
    """Temporal Cloud refuses the seventeenth, and with it the whole bundle."""
    assert bundle_findings(held(roots(16))) == []
    [finding] = bundle_findings(held(roots(17)))
    assert (finding.rule.identifier, finding.place, finding.what) == ("bundle-count", None, "holds 17 certificates")
    assert identifiers(bundle_findings(held(roots(17, padding=2000)))) == ["bundle-count", "bundle-size"]


def test_thirty_two_kilobytes_and_no_more() -> None:
    """The documented limit is of the PEM, before it is encoded once more."""
    bundle = held(roots(2))
    assert bundle_findings(bundle, size_bytes=LARGEST_BUNDLE_BYTES) == []
    assert identifiers(bundle_findings(bundle, size_bytes=LARGEST_BUNDLE_BYTES + 1)) == ["bundle-size"]
    assert identifiers(bundle_findings(held(roots(10, padding=3000)))) == ["bundle-size"]
    assert bundle_findings(held(roots(10, padding=1000))) == []


def test_a_certificate_twice_is_told_once_and_judged_once() -> None:
    for breaks in ([], [one("signature-hash", "second", "", signature="sha1")]):
        case = broken(BUNDLE_BASE, breaks, BUNDLE_BASE.presented)
        twice = held(case.certificates(["second", "root", "second"]))
        findings = bundle_findings(twice)
        assert identifiers(findings) == ["bundle-duplicates", *(rule for rule, _ in expected(case))]
        assert findings[0].place is not None
        assert (findings[0].place.position, findings[0].what) == (3, "is the same as 1")


def test_a_renewed_root_beside_its_old_one_is_no_duplicate() -> None:
    """That is how a bundle looks while an authority is renewed: same name, same key, and neither above the other."""
    family: Family = {**BUNDLE_BASE.family, "renewed": replace(BUNDLE_BASE.family["root"], serial=99)}
    assert findings_of(replace(BUNDLE_BASE, family=family, presented=("root", "renewed", "intermediate"))) == []


def public_roots() -> list[x509.Certificate]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x509.load_pem_x509_certificates(certifi.contents().encode())


def test_a_public_authority_needs_filters() -> None:
    """Everybody can buy a certificate of DigiCert's; with filters, everybody cannot choose the name in it."""
    [digicert] = [each for each in public_roots() if "DigiCert Global Root G2" in each.subject.rfc4514_string()]
    [finding] = bundle_findings(held([digicert, *roots(1)]))
    assert finding.rule.identifier == "well-known-authority"
    assert finding.place is not None
    assert finding.place.position == 1
    assert bundle_findings(held([digicert, *roots(1)]), filters=True) == []


def test_a_namesake_of_a_public_authority_is_not_one() -> None:
    """The name alone proves nothing, in either direction."""
    [isrg] = [each for each in public_roots() if "ISRG Root X1" in each.subject.rfc4514_string()]
    signer = private_key(authority_policy().key_type)
    namesake = (
        x509.CertificateBuilder(isrg.subject, isrg.subject, signer.public_key(), 1, NOW - DAY, NOW + DAY)
        .add_extension(CA_TRUE, critical=True)
        .add_extension(CERTIFIES, critical=True)
        .sign(signer, hashes.SHA256())
    )
    assert bundle_findings(held([namesake])) == []


def test_what_a_public_authority_issued_is_public_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """An intermediate in the bundle would let in everybody who is a customer there."""
    intermediate, root = BUNDLE_BASE.certificates(["intermediate", "root"])
    assert identifiers(bundle_findings(held([intermediate]))) == ["bundle-closed"]
    monkeypatch.setattr("pki.well_known.roots", lambda: {comparable(root.subject): [root]})
    assert identifiers(bundle_findings(held([intermediate]))) == ["well-known-authority", "bundle-closed"]
    assert identifiers(bundle_findings(held([intermediate]), filters=True)) == ["bundle-closed"]


def test_every_public_authority_is_known() -> None:
    found = {
        finding.place.position
        for finding in bundle_findings(held(public_roots()))
        if finding.rule.identifier == "well-known-authority" and finding.place
    }
    assert found == set(range(1, len(public_roots()) + 1))


def test_nothing_at_all_is_told() -> None:
    assert identifiers(bundle_findings([])) == identifiers(client_findings([], [])) == ["certificate-present"]


# Before issuing


def certificate_of(**changes: object) -> x509.Certificate:
    """An authority that was brought along."""
    plan = replace(BUNDLE_BASE.family["second"], owner="second", **changes)  # type: ignore[arg-type]
    return make({"second": plan}, "second")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"signature": "sha1"}, "signature-hash"),
        ({"version": 1}, "x509v3"),
        ({"usage": CLIENT_BASE.family["leaf"].usage}, "authority-key-usage"),
        ({"extended_usages": (SERVER,)}, "extended-key-usage"),
        ({"not_after": NOW - DAY}, "expired"),
        ({"constraints": None}, "authority"),
        ({"subject": "ORDERS "}, "unique-names"),
    ],
)
def test_what_would_be_refused_is_not_issued(changes: dict[str, object], rule: str) -> None:
    """An authority that was brought along, or two names alike, are found by the first handshake otherwise."""
    assert obstacles(leaf_policy(), [certificate_of()], NOW) == []
    issuer = certificate_of(**changes)
    assert identifiers(obstacles(leaf_policy(), [issuer], NOW)) == [rule]
    with pytest.raises(ValueError, match=rf"\[{rule}\]|is no authority|ended on"):
        draft(leaf_policy(), private_key(leaf_policy().key_type).public_key(), issuer, NOW)


def test_the_whole_chain_above_is_judged() -> None:
    """A fault two levels up refuses the leaf as surely as one in its issuer."""
    certificates = CLIENT_BASE.certificates(["intermediate", "root"])
    assert obstacles(leaf_policy(), certificates, NOW) == []
    weak = broken(CLIENT_BASE, [one("signature-hash", "root", "", signature="sha1")], CLIENT_ORDER)
    assert identifiers(obstacles(leaf_policy(), weak.certificates(["intermediate", "root"]))) == ["signature-hash"]
    stranger = [certificates[0], certificate_of()]
    assert identifiers(obstacles(leaf_policy(), stranger)) == ["chain-complete"]


def test_an_authority_counts_towards_the_path_length_above() -> None:
    below = authority_policy("below")
    short = broken(
        CLIENT_BASE, [one("", "root", "", constraints=x509.BasicConstraints(True, 1))], CLIENT_ORDER
    ).certificates(["intermediate", "root"])
    assert obstacles(leaf_policy(), short) == []
    [finding] = obstacles(below, short)
    assert finding.rule.identifier == "path-length"
    assert finding.what == "allows 1 authorities below it, and has 2"
    assert obstacles(below, CLIENT_BASE.certificates(["intermediate", "root"])) == []


@pytest.mark.parametrize("policy", [authority_policy(), leaf_policy(), leaf_policy(role="node")])
def test_what_is_issued_here_passes(policy: IssuancePolicy) -> None:
    """Our own profiles must never be what is refused."""
    authority = issue(authority_policy("clients 1"))
    assert bundle_findings(held([authority.certificate]), at=NOW) == []
    if policy == authority_policy():
        return
    leaf = issue(policy, authority)
    assert client_findings(held([leaf.certificate]), held([authority.certificate]), NOW) == []


# Names

parts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(
    lambda text: bool(text.strip())
)


@given(parts)
@example("Straße")
@example("ﬁnance İ")
def test_case_and_blanks_make_no_other_name(text: str) -> None:
    """RFC 5280, 7.1: these would be one authority to some verifiers and two to others."""
    own = comparable(name(text))
    assert own == comparable(name(normalize("NFD", text)[:64])) or len(normalize("NFD", text)) > 64
    assert own == comparable(name(f"  {text} "))
    assert own == comparable(name(text.replace(" ", " \u00a0 ")))
    for other in (text.casefold(), text.swapcase() if text.isascii() else text):
        assert own == comparable(name(other))


@given(st.text(string.ascii_lowercase + " ", min_size=1), st.text(string.ascii_lowercase + " ", min_size=1))
def test_names_are_equal_only_if_their_words_are(left: str, right: str) -> None:
    """A comparison that finds too much equal would refuse sound chains."""
    left, right = left[:50] + "a", right[:50] + "a"
    same = left.split() == right.split()
    assert (comparable(name(left)) == comparable(name(right.upper()))) is same


def test_the_order_of_parts_counts_and_inside_a_part_does_not() -> None:
    unit = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Shop")
    common = x509.NameAttribute(NameOID.COMMON_NAME, "orders")
    assert comparable(x509.Name([unit, common])) != comparable(x509.Name([common, unit]))
    assert comparable(x509.Name([unit])) != comparable(x509.Name([unit, common]))
    joint = [x509.RelativeDistinguishedName(pair) for pair in ([unit, common], [common, unit])]
    assert comparable(x509.Name([joint[0]])) == comparable(x509.Name([joint[1]]))
    assert comparable(x509.Name([joint[0]])) != comparable(x509.Name([unit, common]))


# What cannot be read


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x30")
@example(b"\x30\x80")
@example(b"\x30\x82\xff\xff")
@example(b"\x30\x03\x02\x01\x00")
def test_arbitrary_bytes_are_findings(data: bytes) -> None:
    """A traceback tells nobody what is wrong with a file."""
    contents = read(data)
    assert contents.findings
    assert not contents.certificates


@given(st.sampled_from([0, 1, 2]), st.data())
def test_a_certificate_with_a_byte_changed_is_judged_or_told(member: int, data: st.DataObject) -> None:
    """Damage in a copy, anywhere."""
    whole = bytearray(DER[member])
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    try:
        contents = read(bytes(whole))
    except PasswordNeeded:
        return  # It looks like PKCS#12 now.
    others = held([x509.load_der_x509_certificate(each) for each in DER])
    assert contents.findings or contents.certificates or contents.private_keys
    for judged in (client_findings, bundle_findings):
        for finding in judged([*contents.certificates, *others]):
            assert str(finding)


def test_what_a_certificate_cannot_hold_is_told() -> None:
    """Each is one change away from the certificate that is read without a word."""
    der = DER[0]
    assert _read(der) == []
    assert _read(der + b"\0") == ["no-trailing-data"]
    assert _read(der[:-1]) == ["certificate-readable"]
    assert _read(pem_of(der)) == []
    assert _read(pem_of(der) + b"Bag Attributes: a comment\n") == []
    assert _read(pem_of(der + b"xyz")) == ["no-trailing-data"]
    assert _read(pem_of(der).replace(b"-----END", b"-----AND")) == ["certificate-readable"]
    assert _read(pem_of(der).replace(b"M", b"*", 1)) == ["certificate-readable"]
    assert _read(pem_of(der).replace(b"CERTIFICATE", b"CERTIFICATE REQUEST")) == ["certificate-readable"]
    tbs, algorithm, signature = elements(inside(der))
    _, *rest = elements(inside(tbs))
    version_2 = tlv(0x30, tlv(0x30, b"".join([tlv(0xA0, b"\x02\x01\x01"), *rest])) + algorithm + signature)
    assert _read(version_2) == ["x509v3"]


def test_a_name_cannot_steer_a_terminal() -> None:
    """Whoever sends a certificate to be checked chooses its name."""
    steering = make({"leaf": Blueprint(subject="a\x1b[2Jb\u202ec", owner="leaf", issuer="leaf")}, "leaf")
    assert Held.of(steering, position=1).subject == "CN=a\\u001b[2Jb\\u202ec,O=Contoso"


def _read(data: bytes) -> list[str]:
    return identifiers(read(data, file="file").findings)


def pem_of(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + encodebytes(der) + b"-----END CERTIFICATE-----\n"


DER = [each.public_bytes(Encoding.DER) for each in CLIENT_BASE.certificates(CLIENT_ORDER)]


# What is said


def test_a_finding_says_which_what_why_and_what_to_do() -> None:
    leaf, authority = tcld("temporal")
    [finding] = client_findings(held([leaf], "client.pem"), held([authority], "ca.pem"))
    assert str(finding) == (
        "certificate 1 of client.pem (OU=,O=temporal, serial 2) has no key usage [digital-signature]. It is outside "
        "what Temporal Cloud documents: it may be rejected, now or later. Issue it anew with the key usage "
        "digitalSignature. `tcld gen leaf` sets none."
    )


def test_every_rule_is_whole_and_has_an_identifier_of_its_own() -> None:
    assert len({rule.identifier for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert re.fullmatch(r"[a-z0-9-]+", rule.identifier)
        assert not rule.requirement.endswith(".")
        assert rule.consequence.endswith(".")
        assert rule.fix.endswith(".")
        assert rule.source


def test_the_table_in_the_documentation_is_current() -> None:
    """A rule that is documented otherwise than it is judged is worse than one that is not."""
    text = (Path(__file__).parents[2] / "docs" / "certificates.md").read_text(encoding="utf-8")
    assert "\n".join(table()) in text


def test_the_corpus_hides_what_is_above_a_cut() -> None:
    """The corpus' own arithmetic: a cut hides what is above it, and only that."""
    cut, above, below = (
        next(each for each in client_breaks() if each.label.startswith(label))
        for label in ("chain-complete of leaf (signed", "authority of root", "digital-signature of leaf (no")
    )
    assert broken(CLIENT_BASE, [cut, above], CLIENT_ORDER).expected == cut.expected
    both = broken(CLIENT_BASE, [cut, below], CLIENT_ORDER).expected
    assert both == (*cut.expected, Expected(rule="digital-signature", member="leaf"))
