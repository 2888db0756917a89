"""What a change makes of a namespace's specification: only its mutual TLS, and of that only what is ours."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.cloud.namespace.v1 import CertificateFilterSpec, NamespaceSpec

from pki import CertificateFilter, load_certificates, to_pem
from pki.cloud_access import fingerprint
from provider.admission import Admitted, changed, objection, side_effects
from tests.certificates import authority_policy, issue, leaf_policy

CERTIFICATES = [issue(authority_policy(f"clients {number}")).certificate for number in range(5)]
PEMS = [to_pem(certificate) for certificate in CERTIFICATES]
PRINTS = [fingerprint(certificate) for certificate in CERTIFICATES]
FILTERS = [CertificateFilter(common_name=f"orders-{number}") for number in range(4)]


def admitted(authorities: Any = (), filters: Any = ()) -> Admitted:
    """By their numbers."""
    return Admitted(
        authorities={PRINTS[each]: PEMS[each] for each in authorities}, filters=tuple(FILTERS[each] for each in filters)
    )


def spec_of(found: Admitted, *, enabled: bool | None = None, api_keys: bool = True) -> NamespaceSpec:
    spec = NamespaceSpec(name="orders", retention_days=30, regions=["aws-eu-central-1"])
    spec.api_key_auth.enabled = api_keys
    if found:
        spec.mtls_auth.accepted_client_ca = "".join(found.authorities.values()).encode()
        spec.mtls_auth.certificate_filters.extend(
            CertificateFilterSpec(common_name=each.common_name or "") for each in found.filters
        )
        spec.mtls_auth.enabled = bool(found.authorities) if enabled is None else enabled
    return spec


some = st.builds(
    admitted,
    st.lists(st.sampled_from(range(len(PEMS))), unique=True),
    st.lists(st.sampled_from(range(len(FILTERS))), unique=True),
)


@given(some, some, some)
def test_what_somebody_else_added_stays(held: Admitted, wanted: Admitted, former: Admitted) -> None:
    """Their clients would be refused because of a change of ours."""
    after = Admitted.by(changed(spec_of(held), wanted, former, exclusive=False))
    theirs = held.without(former).without(wanted)
    assert after.authorities.keys() == theirs.authorities.keys() | wanted.authorities.keys()
    assert set(after.filters) == {*theirs.filters, *wanted.filters}
    kept = [key for key in held.authorities if key in after.authorities]
    assert [*after.authorities][: len(kept)] == kept, "in their order"


@given(some, some, some)
def test_exclusive_leaves_what_is_wanted_alone(held: Admitted, wanted: Admitted, former: Admitted) -> None:
    after = Admitted.by(changed(spec_of(held), wanted, former, exclusive=True))
    assert after.authorities == wanted.authorities
    assert set(after.filters) == set(wanted.filters)


@given(some, some, some, st.booleans(), st.booleans(), st.booleans())
def test_nothing_but_mutual_tls_changes_and_no_second_time(
    held: Admitted, wanted: Admitted, former: Admitted, exclusive: bool, enabled: bool, api_keys: bool
) -> None:
    """A namespace would lose its retention; or each run would write."""
    before = spec_of(held, enabled=enabled, api_keys=api_keys)
    kept = before.SerializeToString(deterministic=True)
    after = changed(before, wanted, former, exclusive=exclusive)
    assert before.SerializeToString(deterministic=True) == kept
    assert changed(after, wanted, former, exclusive=exclusive) == after
    for spec in (before, after):
        spec.ClearField("mtls_auth")
    assert before == after


@given(some, some)
def test_mutual_tls_is_on_where_we_want_an_authority(held: Admitted, wanted: Admitted) -> None:
    after = changed(spec_of(held, enabled=False), wanted, Admitted(), exclusive=False).mtls_auth
    assert after.enabled is bool(wanted.authorities)
    after = changed(spec_of(held), wanted, held, exclusive=False).mtls_auth
    assert after.enabled is bool(after.accepted_client_ca)


def test_what_fits_is_not_rewritten() -> None:
    """A bundle with a comment, or in another order, would be written at each run."""
    spec = spec_of(admitted([0, 1], [0, 1]))
    spec.mtls_auth.accepted_client_ca = b"# by hand\n" + spec.mtls_auth.accepted_client_ca.replace(b"\n", b"\r\n")
    assert changed(spec, admitted([1, 0], [1, 0]), Admitted(), exclusive=True) == spec
    assert changed(NamespaceSpec(), Admitted(), Admitted(), exclusive=True) == NamespaceSpec()


def test_what_cannot_be_read_is_not_written_over() -> None:
    spec = spec_of(admitted([0]))
    spec.mtls_auth.accepted_client_ca = b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
    with pytest.raises(ValueError, match="PEM"):
        changed(spec, admitted([0]), Admitted(), exclusive=False)


@pytest.mark.parametrize(
    ("found", "options", "reason"),
    [
        (admitted(), {"api_keys": False}, "no way in"),
        (admitted([0]), {"api_keys": False, "enabled": False}, "no way in"),
        (admitted([], [0]), {}, 'filters and no certificate authority.*commonName "orders-0"'),
        (admitted([], [0]), {"api_keys": False}, "filters and no certificate authority"),
        (admitted(), {}, None),
        (admitted([0]), {"api_keys": False}, None),
        (admitted([0], [0]), {}, None),
    ],
)
def test_what_must_not_be_is_named(found: Admitted, options: dict[str, bool], reason: str | None) -> None:
    """Everybody would be locked out, and nobody could undo it with a certificate."""
    said = objection(spec_of(admitted([0])), spec_of(found, **options))
    if reason is None:
        assert said is None
    else:
        assert said is not None
        assert re.search(reason, said)


@pytest.mark.parametrize(("count", "refused"), [(16, False), (17, True)])
def test_a_bundle_has_a_limit(count: int, refused: bool) -> None:
    many = [to_pem(issue(authority_policy(f"many {number}")).certificate) for number in range(count)]
    spec = spec_of(admitted([0]))
    spec.mtls_auth.accepted_client_ca = "".join(many).encode()
    said = objection(spec_of(admitted([0])), spec)
    assert ("it holds 17 certificates [bundle-count]" in (said or "")) is refused
    assert (said is not None) is refused


@pytest.mark.parametrize(("count", "refused"), [(25, False), (26, True)])
def test_filters_have_a_limit(count: int, refused: bool) -> None:
    """Somebody else's filters count, too, and check sees ours alone."""
    many = tuple(CertificateFilter(common_name=f"many-{number}") for number in range(count))
    spec = changed(spec_of(admitted([0], [])), Admitted(filters=many), Admitted(), exclusive=False)
    said = objection(spec_of(admitted([0])), spec)
    assert ("filters: there are 26." in (said or "")) is refused
    assert (said is not None) is refused


def test_what_was_wrong_before_is_not_in_the_way() -> None:
    """One certificate of somebody else's that Temporal Cloud took once would stop every change of ours."""
    theirs = to_pem(issue(leaf_policy("theirs"), issue(authority_policy("nobody's"))).certificate)
    before, after = spec_of(admitted([0, 1])), spec_of(admitted([1, 2]))
    for spec in (before, after):
        spec.mtls_auth.accepted_client_ca += theirs.encode()
    assert objection(before, after) is None
    said = objection(spec_of(admitted([0])), after)
    assert said is not None
    assert re.search(r"certificate 3 \(CN=theirs.* was issued by CN=nobody's.* \[bundle-closed\]", said)


@pytest.mark.parametrize(
    ("held", "wanted", "former", "said"),
    [
        (admitted([0]), admitted([1], [0]), Admitted(), "must match a filter from now on"),
        (admitted([0, 1], [0]), Admitted(), admitted([1], [0]), "No filter is left"),
        (admitted([0, 1], [0]), admitted([1]), admitted([1], [0]), "No filter is left"),
        (admitted([0], [1]), admitted([1], [0]), Admitted(), None),
        (admitted(), admitted([1], [0]), Admitted(), None),
        (admitted([1], [0]), admitted([1]), admitted([1], [0]), None),
    ],
)
def test_what_a_change_means_for_others_is_said(
    held: Admitted, wanted: Admitted, former: Admitted, said: str | None
) -> None:
    before = spec_of(held)
    effects = side_effects(before, changed(before, wanted, former, exclusive=False), wanted)
    assert len(effects) == (said is not None)
    assert all(str(said) in effect and PRINTS[0] in effect for effect in effects)


def test_every_field_of_a_filter_goes_there_and_back() -> None:
    each = CertificateFilter(
        common_name="orders-*", organization="Contoso", organizational_unit="Payments", subject_alternative_name="*.x"
    )
    wanted = Admitted(authorities=admitted([0]).authorities, filters=(each,))
    spec = changed(NamespaceSpec(), wanted, Admitted(), exclusive=False)
    [found] = spec.mtls_auth.certificate_filters
    assert (found.common_name, found.organization) == ("orders-*", "Contoso")
    assert (found.organizational_unit, found.subject_alternative_name) == ("Payments", "*.x")
    assert Admitted.by(spec) == wanted
    assert [to_pem(pem) for pem in load_certificates(spec.mtls_auth.accepted_client_ca.decode())] == [PEMS[0]]
