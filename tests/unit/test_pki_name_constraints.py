"""Which names may stand below an authority, as a policy says it, and as verifiers judge it."""

import re
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from pki import (
    IssuancePolicy,
    NameConstraints,
    SubjectAlternativeNames,
    deviations,
    load_certificate,
    obstacles,
    to_pem,
)
from pki.name_constraints import excluded_names, is_fully_known
from pki.openssl import extension_lines
from tests.certificates import NOW, Issued, authority_policy, issue, leaf_policy, private_key
from tests.go_verifier import GoVerifier
from tests.offline_root import OfflineRoot

DNS, IP, EMAIL, URI = x509.DNSName, x509.IPAddress, x509.RFC822Name, x509.UniformResourceIdentifier

permitted = st.builds(
    NameConstraints,
    dns_names=st.lists(st.sampled_from(["a.test", "b.test", "c.a.test"]), unique=True).map(tuple),
    ip_addresses=st.lists(st.ip_addresses(), unique=True, max_size=3).map(tuple),
)


def constraints(permits: list[x509.GeneralName], excludes: list[x509.GeneralName]) -> x509.NameConstraints:
    return x509.NameConstraints(permits or None, excludes or None)


@given(permitted)
def test_a_policy_and_its_extension_say_the_same(names: NameConstraints) -> None:
    """An imported intermediate would otherwise show as one that somebody changed."""
    assert NameConstraints.of(names.extension()) == names
    policy = authority_policy("clients 1", name_constraints=names)
    certificate = issue(policy, issue(authority_policy("root", path_length=1))).certificate
    assert IssuancePolicy.of(certificate).name_constraints == names
    found = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert found.critical


@pytest.mark.parametrize(
    "foreign",
    [
        constraints([DNS("a.test")], []),
        constraints([DNS("a.test"), IP(ip_network("10.0.0.0/8"))], []),
        constraints([DNS("a.test"), EMAIL("a.test")], [IP(ip_network("0.0.0.0/0")), IP(ip_network("::/0"))]),
    ],
)
def test_constraints_of_another_form_are_no_policy(foreign: x509.NameConstraints) -> None:
    with pytest.raises(ValueError, match="name constraints are others"):
        NameConstraints.of(foreign)


def test_only_an_authority_has_them() -> None:
    with pytest.raises(ValueError, match="only an authority has name constraints"):
        leaf_policy(name_constraints=NameConstraints())


@pytest.mark.parametrize(
    ("permits", "excludes", "name", "fits"),
    [
        ([DNS("a.test")], [], DNS("a.test"), True),
        ([DNS("a.test")], [], DNS("A.TEST"), True),
        ([DNS("a.test")], [], DNS("x.y.a.test"), True),
        ([DNS("a.test")], [], DNS("*.a.test"), True),
        ([DNS("a.test")], [], DNS("xa.test"), False),
        ([DNS("a.test")], [], DNS("test"), False),
        ([DNS(".a.test")], [], DNS("x.a.test"), True),
        ([DNS(".a.test")], [], DNS("a.test"), False),
        ([DNS("a.test"), DNS("b.test")], [], DNS("x.b.test"), True),
        ([DNS("a.test")], [DNS("x.a.test")], DNS("y.x.a.test"), False),
        ([DNS("a.test")], [], IP(ip_address("10.0.0.1")), True),
        ([], [DNS("")], DNS("a.test"), False),
        ([], [DNS("")], IP(ip_address("10.0.0.1")), True),
        ([IP(ip_network("10.0.0.0/8"))], [], IP(ip_address("10.1.2.3")), True),
        ([IP(ip_network("10.0.0.0/8"))], [], IP(ip_address("11.1.2.3")), False),
        ([IP(ip_network("10.0.0.0/8"))], [], IP(ip_address("2001:db8::1")), False),
        ([], [IP(ip_network("::/0"))], IP(ip_address("2001:db8::1")), False),
        ([], [IP(ip_network("::/0"))], IP(ip_address("10.0.0.1")), True),
        ([EMAIL("a.test")], [], EMAIL("ops@a.test"), True),
        ([EMAIL("a.test")], [], EMAIL("ops@x.a.test"), False),
        ([EMAIL(".a.test")], [], EMAIL("ops@x.a.test"), True),
        ([EMAIL("ops@a.test")], [], EMAIL("ops@A.test"), True),
        ([EMAIL("ops@a.test")], [], EMAIL("dev@a.test"), False),
        ([URI("a.test")], [], URI("https://a.test:8443/x"), True),
        ([URI("a.test")], [], URI("https://x.a.test/"), False),
        ([URI(".a.test")], [], URI("spiffe://x.a.test/orders"), True),
        ([], [URI("a.test")], URI("https://a.test/"), False),
    ],
)
def test_names_are_judged_as_openssl_judges_them(
    permits: list[x509.GeneralName],
    excludes: list[x509.GeneralName],
    name: x509.GeneralName,
    fits: bool,
    tmp_path: Path,
) -> None:
    """What is refused only in the handshake has been delivered by then."""
    judged = constraints(permits, excludes)
    assert (not list(excluded_names(judged, [name]))) is fits
    policy = leaf_policy(subject_alternative_names=SubjectAlternativeNames.of(x509.SubjectAlternativeName([name])))
    key = private_key(policy.key_type, "below")
    root = issue(authority_policy("root", path_length=None))
    intermediate = _certified("below", key.public_key(), root, x509.BasicConstraints(True, None), judged)
    leaf = _certified("orders", key.public_key(), Issued(intermediate, key), x509.SubjectAlternativeName([name]))
    files = {"root": root.certificate, "below": intermediate, "leaf": leaf}
    for stem, certificate in files.items():
        (tmp_path / stem).write_text(to_pem(certificate))
    asked = ["openssl", "verify", "-attime", f"{NOW.timestamp():.0f}", "-CAfile", "root", "-untrusted", "below", "leaf"]
    answer = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (answer.returncode == 0) is fits, answer.stderr
    if not fits:
        assert re.search(r"error 4[78] at", answer.stderr)
    found = {each.rule.identifier for each in obstacles(policy, [intermediate, root.certificate])}
    assert ("name-constraints" in found) is not fits


def _certified(
    common_name: str, key: CertificatePublicKeyTypes, issuer: Issued, *extensions: x509.ExtensionType
) -> x509.Certificate:
    """A certificate as somebody else makes it."""
    subject, above = authority_policy(common_name).subject.name(), issuer.certificate
    builder = x509.CertificateBuilder(above.subject, subject, key, x509.random_serial_number())
    builder = builder.not_valid_before(above.not_valid_before_utc).not_valid_after(above.not_valid_after_utc)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, _CRITICAL))
    return builder.sign(issuer.key, hashes.SHA256())


_CRITICAL = (x509.BasicConstraints, x509.NameConstraints)


@pytest.mark.parametrize(
    ("excludes", "name"),
    [
        (EMAIL("a.test"), EMAIL("ops@x.a.test")),
        (URI("a.test"), URI("https://x.a.test/")),
        (URI("a.test"), URI("urn:uuid:1")),
        (URI("a.test"), URI("https://10.0.0.1/")),
        (DNS("x.a.test"), DNS("*.a.test")),
    ],
)
def test_where_go_excludes_more_that_counts(excludes: x509.GeneralName, name: x509.GeneralName) -> None:
    """Temporal's server would refuse what openssl takes."""
    assert list(excluded_names(constraints([], [excludes]), [name]))


INCOMPARABLE = [
    EMAIL("nohost"),
    EMAIL("@a.test"),
    EMAIL(".ops@a.test"),
    EMAIL("o..ps@a.test"),
    EMAIL("ops@a..test"),
    EMAIL("ops@a.test."),
    EMAIL("o ps@a.test"),
    EMAIL('"ops@a.test'),
    URI("urn:uuid:1"),
    URI("spiffe:///x"),
    URI("https://10.0.0.1:80/"),
    URI("https://[::1]/"),
    URI("spiffe://a:b:1/"),
    DNS("a..test"),
    DNS("a.test."),
]
COMPARABLE = [
    EMAIL("ops@a.test"),
    EMAIL('"o ps..\\""@a.test'),
    EMAIL("o\\ ps@a.test"),
    URI("spiffe://u@A.test:80/x"),
    DNS("a_b.*.test"),
    DNS(""),
    IP(ip_address("10.0.0.1")),
]


@pytest.mark.parametrize("name", [*INCOMPARABLE, *COMPARABLE], ids=lambda name: str(name.value))
def test_what_go_can_compare_with_nothing_is_excluded(name: x509.GeneralName, go: GoVerifier) -> None:
    """Any constraints above it, of another kind even, and Temporal's server refuses the client."""
    others = constraints([], [DNS("b.test"), EMAIL("b.test"), URI("b.test"), IP(ip_network("192.0.2.0/24"))])
    root = issue(authority_policy("root", path_length=None))
    key = private_key(leaf_policy().key_type, "below")
    names = x509.SubjectAlternativeName([name])
    for kinds in (others, constraints([], [IP(ip_network("192.0.2.0/24"))])):
        below = _certified("below", key.public_key(), root, x509.BasicConstraints(True, None), kinds)
        leaf = _certified("orders", key.public_key(), Issued(below, key), names)
        assert bool(go.refusal([leaf, below], [root.certificate], NOW)) is (name in INCOMPARABLE)
        assert bool(list(excluded_names(kinds, [name]))) is (name in INCOMPARABLE)
    alone = _certified("orders", key.public_key(), Issued(root.certificate, root.key), names)
    assert not go.refusal([alone], [root.certificate], NOW)


def test_a_name_cannot_steer_a_terminal() -> None:
    """Whoever sends a certificate to be checked chooses its names."""
    (shown,) = excluded_names(constraints([DNS("a.test")], []), [DNS("x\x1b[2Ky")])
    assert shown.startswith("DNS name x\\u001b[2Ky")


def test_kinds_that_go_does_not_know_are_told() -> None:
    directory = x509.DirectoryName(x509.Name([]))
    assert not is_fully_known(constraints([directory], []))
    assert is_fully_known(constraints([DNS("a.test")], [EMAIL("a.test"), URI("a.test")]))


def test_names_of_those_to_come_are_judged_beforehand() -> None:
    """An intermediate whose every leaf would be refused is of no use to anybody."""
    root = issue(authority_policy("root", path_length=2))
    names = NameConstraints(dns_names=("a.test",))
    above = issue(authority_policy("above", path_length=1, name_constraints=names), root)
    fits = authority_policy("below", name_constraints=NameConstraints(dns_names=("x.a.test",)))
    outside = authority_policy("below", name_constraints=NameConstraints(dns_names=("b.test",)))
    assert obstacles(fits, [above.certificate, root.certificate]) == []
    (found,) = obstacles(outside, [above.certificate, root.certificate])
    assert found.rule.identifier == "name-constraints"


def test_levels_to_come_are_judged_beforehand() -> None:
    """A root elsewhere that allows one level would be found too short when the second one issues."""
    root = issue(authority_policy("root", path_length=1)).certificate
    assert obstacles(authority_policy("below", path_length=0), [root]) == []
    (found,) = obstacles(authority_policy("below", path_length=1), [root])
    assert found.rule.identifier == "path-length"


def test_the_key_identifier_of_an_issuer_is_its_own() -> None:
    """Not every authority hashes its key with SHA-1; openssl then finds no issuer for what was issued."""
    key = private_key(authority_policy().key_type, "elsewhere")
    own = x509.SubjectKeyIdentifier(b"another way to identify it")
    root = issue(authority_policy("root", path_length=1))
    authority = _certified("elsewhere", key.public_key(), root, x509.BasicConstraints(True, 0), own)
    leaf = issue(leaf_policy(), Issued(authority, key)).certificate
    found = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert found.key_identifier == own.digest
    assert deviations(leaf, leaf_policy(), authority) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"name_constraints": {"dns_names": ["a.test"], "ip_addresses": ["10.0.0.1", "2001:db8::1"]}},
        {"name_constraints": {}, "path_length": None},
        {"path_length": 1},
    ],
)
def test_what_openssl_is_told_is_what_the_policy_says(changes: dict[str, Any], tmp_path: Path) -> None:
    """Whoever has the issuer's key would sign what the program then refuses."""
    root, policy = OfflineRoot(tmp_path, "Root", path_length=2), authority_policy("below", **changes)
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    signed = request.sign(private_key(policy.key_type, "below"), hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    issued = root.sign(signed, "/O=Contoso/CN=below", extension_lines(policy))
    assert deviations(load_certificate(issued), policy, load_certificate(root.pem)) == []
