"""Which URIs Go parses in a certificate, with Go beside it."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pki import SubjectAlternativeNames, bundle_findings, held
from pki.uris import host_of, uri_fault
from tests.go_verifier import GoVerifier
from tests.unit.pki_corpus import CA_TRUE, CERTIFIES, DAY, NOW, key, name

PARSED = [
    "spiffe://example.com/orders",
    "spiffe://foo_bar/x",
    "spiffe://-a.b-/x",
    "spiffe://*.a.b/x",
    "spiffe://a.b:/x",
    "spiffe://a.b:99999/x",
    "spiffe://a.b.:1/x",
    "spiffe:///x",
    "spiffe://a:b:1/x",
    "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "urn:%zz?%zz",
    "urn::x",
    "x:",
    "*",
    "a/b:c",
    "///a..b",
    "http://a.b/?q=%zz",
    "http://a.b/%7e#%7e",
    "http://user:p%40ss@a/x",
    "http://1.2.3.4/x",
    "http://[fd00::1]/x",
    "http://[fd00::1%25eth0]:8080/x",
    "http://[fd00::1%25a%25b%7e]/x",
    "http://[::ffff:1.2.3.4]/x",
    "http://a%25b/x",
    'http://a<"b">/x',
    "http://a.b/ x",
]
REFUSED = [
    "spiffe://a..b/x",
    "spiffe://trust.domain./x",
    "spiffe://.a.b/x",
    "spiffe://a.b:notaport/x",
    "spiffe://a\\b/x",
    "http://a.b/%zz",
    "http://a.b/%7",
    "http://a.b/#%zz",
    "urn:a#%zz",
    "http://[::1/x",
    "http://a[::1]/x",
    "http://[::1]x/",
    "http://[::1]:x/",
    "http://[1.2.3.4]/x",
    "http://[fd00::1%eth0]/x",
    "http://[fd00::1%25]/x",
    "http://[fd00::1%25a%20b]/x",
    "http://[fd00::1%25a%2fb]/x",
    "http://[fd00::1%25%e9]/x",
    "http://exa%20mple/x",
    "http://a%41/x",
    "http://a%e9/x",
    "http://a b/x",
    "http://us er@a/x",
    "http://us%zzer@a/x",
    "a:b\x7f",
    ":a",
    "1x:a/b",
    "a%zz",
]


def certificate(uri: str) -> x509.Certificate:
    """A root with a URI: nothing else in it could be refused."""
    signer = key("uris")
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
    return (
        x509.CertificateBuilder(name("uris"), name("uris"), signer.public_key(), 1, NOW - DAY, NOW + DAY)
        .add_extension(CA_TRUE, critical=True)
        .add_extension(CERTIFIES, critical=True)
        .add_extension(names, critical=False)
        .sign(signer, hashes.SHA256())
    )


def refused(go: GoVerifier, uri: str) -> bool:
    """Whether Go does not parse the certificate, for this reason and no other."""
    own = certificate(uri)
    answer = go.refusal([own], [own], NOW)
    assert not answer or answer.startswith("x509: cannot parse URI"), answer
    return bool(answer)


@pytest.mark.parametrize("uri", PARSED)
def test_what_go_parses_is_taken(uri: str, go: GoVerifier) -> None:
    """A sound certificate would be called broken, or a setting refused that worked."""
    assert not refused(go, uri)
    assert uri_fault(uri) is None
    assert bundle_findings(held([certificate(uri)])) == []
    assert SubjectAlternativeNames(uris=(uri,)).uris == (uri,)


@pytest.mark.parametrize("uri", REFUSED)
def test_what_go_does_not_parse_is_refused(uri: str, go: GoVerifier) -> None:
    """One such URI, and no handshake with the certificate succeeds, nor with what it issued."""
    assert refused(go, uri)
    assert uri_fault(uri)
    [finding] = bundle_findings(held([certificate(uri)]))
    assert finding.rule.identifier == "uri-readable"
    with pytest.raises(ValueError, match="refuses the whole certificate"):
        SubjectAlternativeNames(uris=(uri,))


_PIECES = ["a", "x", "1", ".", "..", ":", "/", "//", "@", "?", "#", "%", "%zz", "%25", "%41", "%e9", "[", "]", "[::1]"]
_PIECES += ["[fe80::1%25z]", "http", "https", "spiffe", ":80", " ", "\\", "<", '"', "{", "|", "\t", "-", "~", "*"]


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=9).map("".join))
@example("http://a:b:1/x")
def test_no_uri_is_taken_that_go_does_not_parse(go: GoVerifier, uri: str) -> None:
    """What is issued would be worth nothing. Older Go takes a few more."""
    assert uri_fault(uri) or not refused(go, uri), uri


def _spelled(scheme: str, user: str, host: str, port: str, rest: str) -> str:
    return f"{scheme}://{user}{host}{port}{rest}"


@given(st.sampled_from(["a", "urn"]), st.text("a:b/.%2", max_size=6))
def test_behind_a_scheme_colons_mean_nothing(go: GoVerifier, scheme: str, rest: str) -> None:
    """In both directions, for URIs that name no host."""
    uri = f"{scheme}::{rest}"
    assert bool(uri_fault(uri)) is refused(go, uri), uri


_SPELLED = st.builds(
    _spelled,
    st.sampled_from(["spiffe", "http", "X+1"]),
    st.sampled_from(["", "u@", "u:p@", "u@v@", "u%20@"]),
    st.from_regex(r"\A[a-z0-9_~!<*.%-]{0,6}\Z") | st.sampled_from(["[::1]", "[::1%25a]", "a%25b"]),
    st.sampled_from(["", ":", ":80"]),
    st.from_regex(r"\A(/[ -~]{0,6})?\Z"),
)


@settings(max_examples=1000)
@given(_SPELLED)
def test_go_parses_exactly_what_is_taken(go: GoVerifier, uri: str) -> None:
    """In both directions, for URIs that name a host."""
    assert bool(uri_fault(uri)) is refused(go, uri), uri


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("spiffe://u@A.b:80/x", "A.b"),
        ("http://[::1]:80/x", "[::1]"),
        ("http://[::1]", "[::1]"),
        ("spiffe:///x", ""),
        ("urn:a:b", ""),
        ("a//b", ""),
    ],
)
def test_the_host_is_go_s(uri: str, host: str) -> None:
    """Name constraints are compared with it."""
    assert host_of(uri) == host
