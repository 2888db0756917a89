"""Authorities that issue each other, and authorities that were there before: what follows, and what is refused."""

from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pki import IssuancePolicy, NameConstraints, to_pem
from tests.certificates import Issued, authority_policy, issue, leaf_policy
from tests.unit.configured import parsed, paths, refusal

BASE: Mapping[str, Any] = {"location": "westeurope", "authorization": "none"}
TREE: dict[str, Any] = {
    "payments": {"issuer": "clients"},
    "clients": {"issuer": "root"},
    "internode": {"issuer": "root"},
    "root": {},
}
ROOT = issue(authority_policy("Contoso Root", path_length=2))
OTHER_ROOT = issue(authority_policy("Other Root", path_length=2), owner="other")
LEAF = issue(leaf_policy(), ROOT)
VAULT = "https://corporate.vault.azure.net/certificates/ca"


def brought(issued: Issued, **authority: Any) -> dict[str, Any]:
    return {"generations": {1: {"certificatePem": to_pem(issued.certificate)}}, **authority}


def offline(issued_pem: str | None = None, **changes: Any) -> dict[str, Any]:
    """Settings under a root that is elsewhere, with what it signed for `clients`."""
    generation = {"issuedPem": issued_pem} if issued_pem else {}
    authorities = {
        "internode": {},
        "corporate": brought(ROOT),
        "clients": {"issuer": "corporate", "generations": {1: generation}, "keyType": "EC-P256"},
    }
    return {**BASE, "certificateAuthorities": authorities | changes}


def asked_for(**changes: Any) -> IssuancePolicy:
    policy = parsed(offline()).certificate_authorities["clients"].policy(1)
    return policy.model_copy(update=changes)


# What follows from a tree


def test_path_lengths_are_the_levels_below() -> None:
    authorities = parsed({**BASE, "certificateAuthorities": TREE}).certificate_authorities
    found = {name: authority.policy(1).path_length for name, authority in authorities.items()}
    assert found == {"payments": 0, "clients": 1, "internode": 0, "root": 2}


def test_an_intermediate_is_for_the_names_of_its_leaves() -> None:
    """One for clients would vouch for a server, if its key were lost."""
    certificates = {
        "orders": {"issuer": "payments", "dnsNames": ["*.Orders.internal", "orders.internal"]},
        "billing": {"ipAddresses": ["10.0.0.7"]},
    }
    authorities = parsed({**BASE, "certificateAuthorities": TREE, "certificates": certificates}).certificate_authorities
    found = {name: authority.policy(1).name_constraints for name, authority in authorities.items()}
    orders = {"dns_names": ("orders.internal",)}
    assert found == {
        "payments": NameConstraints.model_validate(orders),
        "clients": NameConstraints.model_validate({**orders, "ip_addresses": ["10.0.0.7"]}),
        "internode": NameConstraints(dns_names=("temporal.internal",)),
        "root": None,
    }


def test_without_a_tree_nothing_is_constrained() -> None:
    """An existing stack's authorities would be issued anew."""
    for authority in parsed(BASE).certificate_authorities.values():
        policy = authority.policy(1)
        assert (policy.path_length, policy.name_constraints) == (0, None)
        assert "nameConstraints" not in policy.model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.parametrize(
    ("authorities", "path", "said"),
    [
        ({"clients": {"issuer": "nobody"}}, "clients.issuer", 'there is no authority named "nobody"'),
        ({"clients": {"issuer": "clients"}}, "clients.issuer", "is the authority itself"),
        ({"root": {"issuer": "payments"}}, "root.issuer", "goes round: root → payments → clients → root"),
        ({"clients": {"issuer": "root", "validityDays": 1826}}, "clients.validityDays", "its issuer root lives 1825"),
    ],
)
def test_what_is_no_tree_is_refused(authorities: dict[str, Any], path: str, said: str) -> None:
    error = refusal({**BASE, "certificateAuthorities": TREE | authorities})
    found = {problem.path: str(problem) for problem in error.problems}
    assert said in found[f"certificateAuthorities.{path}"]


def test_one_wrong_issuer_is_one_problem() -> None:
    """Whoever misspells one name should not have to read of all that rests on it."""
    assert paths(refusal({**BASE, "certificateAuthorities": TREE | {"clients": {"issuer": "rot"}}})) == [
        "certificateAuthorities.clients.issuer"
    ]


# What is brought along


def _with_a_key(issued: Issued) -> str:
    key = issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return to_pem(issued.certificate) + key.decode()


@pytest.mark.parametrize(
    ("generation", "field", "said"),
    [
        ({"certificatePem": "nothing"}, ".certificatePem", "is no certificate in PEM"),
        ({"certificatePem": _with_a_key(ROOT)}, ".certificatePem", "holds a private key"),
        ({"certificatePem": to_pem(ROOT.certificate) * 2}, ".certificatePem", "holds 2 certificates in PEM"),
        ({"certificatePem": to_pem(LEAF.certificate)}, ".certificatePem", "has CA:FALSE [authority]"),
        ({"certificatePem": to_pem(ROOT.certificate), "vaultCertificate": VAULT}, "", "has certificatePem and vaultC"),
        ({"vaultCertificate": "https://corporate.vault.azure.net/keys/ca"}, ".vaultCertificate", "is not the identif"),
        ({"vaultCertificate": "http://corporate.vault.azure.net/certificates/ca"}, ".vaultCertificate", "is not the i"),
        ({"issuedPem": to_pem(ROOT.certificate)}, ".issuedPem", "is given, and the authority has no issuer"),
    ],
)
def test_what_cannot_be_brought_along_is_refused(generation: dict[str, Any], field: str, said: str) -> None:
    authorities = {"internode": {}, "clients": {}, "more": {"generations": {1: generation}}}
    error = refusal({**BASE, "certificateAuthorities": authorities})
    found = [str(problem) for problem in error.problems if problem.path.endswith(f".more.generations.1{field}")]
    assert any(said in each for each in found)
    assert "PRIVATE KEY" not in str(error)


@pytest.mark.parametrize("version", ["", "/0123456789abcdef0123456789abcdef"])
def test_what_is_sound_is_brought_along(version: str) -> None:
    """The twins of the refusals above."""
    authorities = {
        "internode": {},
        "clients": {"generations": {1: {"vaultCertificate": VAULT + version}}},
        "partner": brought(ROOT),
        "below": brought(issue(authority_policy("below"), ROOT), issuer="partner"),
    }
    settings = parsed({**BASE, "certificateAuthorities": authorities})
    assert settings.warnings == ()
    assert settings.certificate_authorities["clients"].has_key
    assert not settings.certificate_authorities["partner"].has_key


def test_an_issuer_that_did_not_issue_it_is_refused() -> None:
    """A chain of two that have nothing to do with each other leads nowhere."""
    below = brought(issue(authority_policy("below"), OTHER_ROOT), issuer="partner")
    authorities = {"internode": {}, "clients": {}, "partner": brought(ROOT), "below": below}
    (problem,) = refusal({**BASE, "certificateAuthorities": authorities}).problems
    assert "and not by authority partner" in str(problem)


def test_a_leaf_needs_an_authority_that_can_sign() -> None:
    error = refusal({**BASE, "certificateAuthorities": {"internode": {}, "clients": brought(ROOT)}})
    assert paths(error) == [f"certificates.{name}.issuer" for name in ("ui", "cli", "default")]
    assert "authority clients is here as a certificate alone" in str(error)


def test_settings_without_effect_are_told() -> None:
    """Whoever sets them believes that they count."""
    authorities = {
        "internode": {},
        "clients": {},
        "partner": brought(ROOT, keyType="EC-P256", validityDays=90),
        "other": {"generations": {1: {"vaultCertificate": VAULT, "renewal": 1}, 2: {}}, "keyType": "EC-P256"},
    }
    warnings = parsed({**BASE, "certificateAuthorities": authorities}).warnings
    assert [warning.partition(":")[0] for warning in warnings] == [
        "certificateAuthorities.partner.keyType",
        "certificateAuthorities.partner.validityDays",
        "certificateAuthorities.other.generations.1.renewal",
    ]
    assert all("has no effect" in warning for warning in warnings)


@pytest.mark.parametrize(
    "common_name", ["contoso root", "CONTOSO  ROOT", "\N{FULLWIDTH LATIN CAPITAL LETTER C}ontoso Root"]
)
def test_names_are_compared_as_verifiers_do(common_name: str) -> None:
    """An issuer is found by its name, whatever case, width and blanks (RFC 4518)."""
    certificates = {"orders": {"commonName": common_name, "organization": "Contoso"}}
    authorities = {"internode": {}, "clients": {}, "partner": brought(ROOT)}
    (problem,) = refusal({**BASE, "certificateAuthorities": authorities, "certificates": certificates}).problems
    assert "equal to that of authority partner" in str(problem)


# An offline root


def test_what_waits_is_told_with_what_to_do() -> None:
    (warning,) = parsed(offline()).warnings
    assert warning.startswith("certificateAuthorities.clients.generations.1: waits for its certificate from corporate")
    assert "these are not issued: ui, cli, default." in warning
    assert "certificateSigningRequests" in warning
    assert "basicConstraints=critical,CA:TRUE,pathlen:0" in warning
    assert "nameConstraints=critical,DER:30" in warning


def test_what_was_signed_as_asked_is_taken() -> None:
    settings = parsed(offline(to_pem(issue(asked_for(), ROOT).certificate)))
    assert settings.warnings == ()
    assert settings.awaited_by("clients") is None


def _outliving() -> Issued:
    """What the root signed although it ends before that: openssl does not mind."""
    longer = issue(authority_policy("Contoso Root", path_length=2, validity_days=3650))
    return issue(asked_for(validity_days=3650), longer)


@pytest.mark.parametrize(
    ("issued", "said"),
    [
        (lambda: issue(asked_for(), OTHER_ROOT), "it was not issued by CN=Contoso Root,O=Contoso"),
        (lambda: issue(asked_for(subject=authority_policy("else").subject), ROOT), "its subject is CN=else,O=Contoso"),
        (lambda: issue(asked_for(name_constraints=None), ROOT), "its extension nameConstraints differs"),
        (lambda: issue(asked_for(path_length=1), ROOT), "its extension basicConstraints differs"),
        (lambda: issue(leaf_policy(), ROOT), "has CA:FALSE [authority]"),
        (lambda: _outliving(), "after its issuer on"),
    ],
)
def test_what_was_signed_otherwise_is_refused(issued: Any, said: str) -> None:
    """It would be merged, and every client refused after that; or it would do more than it is meant to."""
    error = refusal(offline(to_pem(issued().certificate)))
    assert said in str(error)
    assert set(paths(error)) == {"certificateAuthorities.clients.generations.1.issuedPem"}


def test_issued_pem_under_a_key_that_is_at_hand_is_refused() -> None:
    """It would have no effect, and whoever set it would believe otherwise."""
    authorities = TREE | {"clients": {"issuer": "root", "generations": {1: {"issuedPem": to_pem(ROOT.certificate)}}}}
    (problem,) = refusal({**BASE, "certificateAuthorities": authorities}).problems
    assert "the key of authority root is at hand" in str(problem)


def test_a_root_that_is_too_short_is_told() -> None:
    """What it signs would be refused, and somebody would go to the safe twice."""
    short = issue(authority_policy("Short Root", path_length=0))
    good = asked_for()
    forged = to_pem(issue(good, ROOT).certificate)
    error = refusal(offline(forged, corporate=brought(short)))
    assert "[path-length]" in str(error)


# One authority for all


@pytest.mark.parametrize(
    ("authorities", "issuers"),
    [
        ({"ca": {}}, {}),
        ({"ca": {}, "clients": {"issuer": "ca"}}, {"cluster": {"issuer": "ca"}}),
    ],
)
def test_clients_below_the_nodes_authority_are_warned_about(
    authorities: dict[str, Any], issuers: dict[str, Any]
) -> None:
    """Through an intermediate they come in to the internal frontend just as well."""
    warnings = parsed({**BASE, "certificateAuthorities": authorities, "certificates": issuers}).warnings
    (warning,) = [each for each in warnings if "internal frontend" in each]
    assert warning.startswith("certificateAuthorities.ca: signs the server's certificate and those of clients")
    assert "administrator" in warning


def test_a_common_root_is_no_common_authority() -> None:
    assert parsed({**BASE, "certificateAuthorities": TREE}).warnings == ()


# Who is admitted


def test_the_frontend_admits_those_that_are_named() -> None:
    authorities = {"internode": {}, "clients": {}, "partner": brought(ROOT)}
    frontend = {"authorities": ["clients", "partner"]}
    settings = parsed({**BASE, "certificateAuthorities": authorities, "frontend": frontend})
    assert settings.client_authorities == ("clients", "partner")
    error = refusal({**BASE, "frontend": {"authorities": ["clients", "partner"]}})
    assert 'there is no authority named "partner"' in str(error)


# Temporal Cloud


def test_a_cloud_namespace_needs_all_up_to_the_root() -> None:
    """Temporal Cloud rejects a bundle with an intermediate whose issuer is missing."""
    below = issue(authority_policy("below"), ROOT)
    cloud = {"namespaces": {"orders.a1b2c": {"authorities": ["below", "clients"], "certificates": ["default"]}}}
    alone = {"internode": {}, "clients": {}, "below": brought(below)}
    error = refusal({**BASE, "certificateAuthorities": alone, "temporalCloud": cloud})
    assert "below was issued by CN=Contoso Root,O=Contoso, which is no authority here" in str(error)
    whole = {**alone, "below": brought(below, issuer="partner"), "partner": brought(ROOT)}
    parsed({**BASE, "certificateAuthorities": whole, "temporalCloud": cloud})
