"""Temporal Cloud's certificate filters: which are refused, by which rule, and whom a filter lets in."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pki import (
    CertificateFilter,
    CertificateNames,
    IssuancePolicy,
    KeyType,
    Role,
    Subject,
    SubjectAlternativeNames,
    tcld_filters,
)
from pki.filters import FIELDS, MOST_FILTERS, FilterRule, faults
from tests.certificates import LEAF_KEY, NOW, Issued, authority_policy, issue, leaf_policy, policies, private_key

ATTRIBUTES = dict(
    zip(FIELDS, ("common_name", "organization", "organizational_unit", "subject_alternative_name"), strict=True)
)


def filter_of(**fields: str | None) -> CertificateFilter:
    """A filter whose fields are named as in tcld's file."""
    return CertificateFilter(**{ATTRIBUTES[field]: value for field, value in fields.items()})


def broken(*filters: CertificateFilter) -> list[tuple[str, FilterRule]]:
    return [(fault.where, fault.rule) for fault in faults(filters)]


# Values: of the page that the seed quotes (the first five), and at the edges of the rules.
VALUES: dict[str, FilterRule | None] = {
    "*.example.com": None,
    "Example Code*": None,
    "*.example.*": FilterRule.WILDCARD_TWICE,
    "code.*.com": FilterRule.WILDCARD_INSIDE,
    "*": FilterRule.WILDCARD_ALONE,
    "code.example.com": None,
    "Example Code Inc.": None,
    "*a": None,
    "a*": None,
    "* a": None,
    "a": None,
    "ä*": None,
    "?": None,
    "a.*": None,
    "": FilterRule.BLANK_VALUE,
    " ": FilterRule.BLANK_VALUE,
    "\t\n": FilterRule.BLANK_VALUE,
    " *": FilterRule.WILDCARD_ALONE,
    "* ": FilterRule.WILDCARD_ALONE,
    "**": FilterRule.WILDCARD_TWICE,
    "*a*": FilterRule.WILDCARD_TWICE,
    "a**": FilterRule.WILDCARD_TWICE,
    "*a*b": FilterRule.WILDCARD_TWICE,
    "a*b": FilterRule.WILDCARD_INSIDE,
    "a* ": FilterRule.WILDCARD_INSIDE,
    " *a": FilterRule.WILDCARD_INSIDE,
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", VALUES)
def test_a_value_breaks_its_rule_or_none(value: str, field: str) -> None:
    """Temporal Cloud refuses the filters after the program called them good, or the program refuses good ones."""
    rule = VALUES[value]

    assert broken(filter_of(**{field: value})) == ([(f"filters[0].{field}", rule)] if rule else [])


A, B = filter_of(commonName="a"), filter_of(commonName="b")
MANY = [filter_of(commonName=f"worker-{number}") for number in range(MOST_FILTERS + 1)]

LISTS: dict[str, tuple[Sequence[CertificateFilter], list[tuple[str, FilterRule]]]] = {
    "two filters": ([A, B], []),
    "no filter at all": ([], []),
    "a filter without fields": ([A, filter_of()], [("filters[1]", FilterRule.NO_FIELD)]),
    "nothing but blanks": ([filter_of(commonName=" ")], [("filters[0].commonName", FilterRule.BLANK_VALUE)]),
    "a blank beside a value": (
        [filter_of(commonName="a", organization="")],
        [("filters[0].organization", FilterRule.BLANK_VALUE)],
    ),
    "one filter twice": ([A, B, A], [("filters[2]", FilterRule.DUPLICATE)]),
    "one filter three times": ([A, A, A], [("filters[1]", FilterRule.DUPLICATE), ("filters[2]", FilterRule.DUPLICATE)]),
    "a filter and its namesake in capitals": ([A, filter_of(commonName="A")], []),
    "one value in two fields": ([A, filter_of(organization="a")], []),
    "a filter and a narrower one": ([A, filter_of(commonName="a", organization="b")], []),
    "as many as there can be": (MANY[:-1], []),
    "one too many": (MANY, [("filters", FilterRule.TOO_MANY)]),
    "two rules in one filter": (
        [filter_of(commonName="*", subjectAlternativeName="a*b")],
        [
            ("filters[0].commonName", FilterRule.WILDCARD_ALONE),
            ("filters[0].subjectAlternativeName", FilterRule.WILDCARD_INSIDE),
        ],
    ),
    "a rule in each of two filters": (
        [filter_of(commonName="**"), filter_of()],
        [("filters[0].commonName", FilterRule.WILDCARD_TWICE), ("filters[1]", FilterRule.NO_FIELD)],
    ),
}


@pytest.mark.parametrize("case", LISTS)
def test_filters_break_these_rules(case: str) -> None:
    """The second mistake shows only after the first is mended, or in the wrong place."""
    filters, expected = LISTS[case]

    assert broken(*filters) == expected


def test_every_rule_says_what_follows_and_what_to_do() -> None:
    """A person is told that something is invalid, and neither what follows nor what to do."""
    found = [*(fault for value in VALUES for fault in faults([filter_of(organization=value)])), *faults([*MANY, A, A])]
    found += faults([filter_of()])

    assert {fault.rule for fault in found} == set(FilterRule)
    for fault in found:
        assert fault.consequence.endswith(".")
        assert fault.fix.endswith(".")
        assert str(fault) == f"{fault.where}: {fault.what}. {fault.consequence} {fault.fix}"
    words = {(fault.rule, fault.consequence, fault.fix) for fault in found}
    assert len(words) == len(FilterRule), "each rule has words of its own"


# The matcher

ORDERS = CertificateNames(
    common_names=("code.example.com",),
    organizations=("Example Code Inc",),
    organizational_units=("Shop", "Payments"),
    subject_alternative_names=("orders.example.com", "10.0.0.4", "2001:db8::4", "spiffe://x/orders", "ops@example.com"),
)
# Fields of a filter, and the fields that keep the certificate out.
MATCHES: dict[str, tuple[dict[str, str], set[str]]] = {
    "the page's suffix": ({"commonName": "*.example.com"}, set()),
    "the page's prefix": ({"organization": "Example Code*"}, set()),
    "the page's exact name": ({"commonName": "code.example.com"}, set()),
    "the page's name and organization": (
        {"commonName": "stage.example.com", "organization": "Example Code Inc."},
        {"commonName", "organization"},
    ),
    "another case": ({"commonName": "CODE.Example.COM"}, set()),
    "another case with a wildcard": ({"organization": "EXAMPLE*"}, set()),
    "a part without a wildcard": ({"commonName": "code"}, {"commonName"}),
    "a suffix without a wildcard": ({"commonName": ".example.com"}, {"commonName"}),
    "a prefix where a suffix is": ({"commonName": "*code"}, {"commonName"}),
    "a suffix where a prefix is": ({"commonName": "example.com*"}, {"commonName"}),
    "a wildcard for nothing at the end": ({"organization": "Example Code Inc*"}, set()),
    "a wildcard for nothing at the start": ({"commonName": "*code.example.com"}, set()),
    "a wildcard is no letter": ({"commonName": "code-example.com"}, {"commonName"}),
    "blanks count": ({"organization": "Example  Code Inc"}, {"organization"}),
    "the first unit": ({"organizationalUnit": "shop"}, set()),
    "the second unit": ({"organizationalUnit": "Pay*"}, set()),
    "both units in one value": ({"organizationalUnit": "Shop, Payments"}, {"organizationalUnit"}),
    "another unit": ({"organizationalUnit": "Stock"}, {"organizationalUnit"}),
    "a DNS name": ({"subjectAlternativeName": "*.example.com"}, set()),
    "an IPv4 address": ({"subjectAlternativeName": "10.0.0.4"}, set()),
    "an IPv6 address": ({"subjectAlternativeName": "2001:DB8::4"}, set()),
    "a URI": ({"subjectAlternativeName": "spiffe://x/*"}, set()),
    "an e-mail address": ({"subjectAlternativeName": "*@example.com"}, set()),
    "a common name is no alternative name": (
        {"subjectAlternativeName": "code.example.com"},
        {"subjectAlternativeName"},
    ),
    "every field": (
        {
            "commonName": "code*",
            "organization": "*inc",
            "organizationalUnit": "payments",
            "subjectAlternativeName": "ops@*",
        },
        set(),
    ),
    "every field but one": (
        {"commonName": "code*", "organization": "*inc", "organizationalUnit": "stock"},
        {"organizationalUnit"},
    ),
}


@pytest.mark.parametrize("case", MATCHES)
def test_a_filter_lets_in_whom_it_describes(case: str) -> None:
    """A stranger's certificate is let in, or a worker's is kept out."""
    fields, expected = MATCHES[case]
    entry = filter_of(**fields)

    assert not faults([entry])
    assert set(entry.mismatches(ORDERS)) == expected
    assert entry.matches(ORDERS) is not bool(expected)


@pytest.mark.parametrize("field", FIELDS)
def test_a_certificate_without_the_name_is_kept_out(field: str) -> None:
    """A name that a certificate lacks counts as one that matches."""
    for value in ("a", "a*", "*a"):
        assert filter_of(**{field: value}).mismatches(CertificateNames()) == (field,)


def test_a_letter_is_compared_with_a_letter() -> None:
    """ß and ss are one to Python's casefold, and two to Temporal Cloud: another organization is let in."""
    names = CertificateNames(organizations=("Straße",))

    assert filter_of(organization="STRAßE").matches(names)
    assert not filter_of(organization="strasse").matches(names)
    assert not filter_of(organization="*sse").matches(names)


# Where the names come from


@pytest.fixture(scope="module")
def authority() -> Issued:
    return issue(authority_policy(validity_days=36_500))


def hand_made(*attributes: x509.NameAttribute[str], names: Sequence[x509.GeneralName] = ()) -> x509.Certificate:
    """A certificate that no policy of ours would make."""
    key = private_key(KeyType.EC_P256, LEAF_KEY)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .issuer_name(x509.Name(attributes))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256())


def test_names_are_those_of_the_certificate() -> None:
    """An address counts as bytes, or only the first unit of several is looked at."""
    certificate = hand_made(
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Contoso"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Shop"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Payments"),
        x509.NameAttribute(NameOID.COMMON_NAME, "orders"),
        names=[
            x509.DNSName("orders.example.com"),
            x509.IPAddress(ipaddress.ip_address("2001:db8::4")),
            x509.UniformResourceIdentifier("spiffe://x/orders"),
            x509.RFC822Name("ops@example.com"),
            x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "elsewhere")])),
            x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")),
        ],
    )

    names = CertificateNames.of(certificate)

    assert names == CertificateNames(
        common_names=("orders",),
        organizations=("Contoso",),
        organizational_units=("Shop", "Payments"),
        subject_alternative_names=("orders.example.com", "2001:db8::4", "spiffe://x/orders", "ops@example.com"),
    )
    assert filter_of(organizationalUnit="payments", subjectAlternativeName="spiffe://*").matches(names)


def test_a_certificate_may_have_no_names() -> None:
    """Whoever asks about a bare certificate gets an exception."""
    assert CertificateNames.of(hand_made()) == CertificateNames()


@given(policy=policies())
def test_a_policy_has_the_names_that_its_certificate_will_have(authority: Issued, policy: IssuancePolicy) -> None:
    """What was checked before issuing is not what Temporal Cloud then sees."""
    certificate = issue(policy, None if policy.role is Role.AUTHORITY else authority).certificate

    assert CertificateNames.of(certificate) == CertificateNames.of(policy)


def test_a_policy_is_matched_before_its_certificate_exists() -> None:
    """A leak is found when the certificate is out."""
    policy = leaf_policy(
        "orders",
        subject=Subject(common_name="orders", organization="Contoso", organizational_unit="Shop"),
        subject_alternative_names=SubjectAlternativeNames.model_validate({"ip_addresses": ["10.0.0.4"]}),
    )

    names = CertificateNames.of(policy)

    assert filter_of(commonName="ord*", organization="contoso", organizationalUnit="*hop").matches(names)
    assert filter_of(subjectAlternativeName="10.0.0.*").matches(names)
    assert not filter_of(commonName="billing").matches(names)


# Inputs without end

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="*"), max_size=12)
WORDS = TEXT.filter(str.strip)
ASCII = st.text("abcXYZ019.- ", max_size=12)


@given(name=WORDS, cut=st.integers(0, 12))
def test_a_wildcard_stands_for_any_beginning_or_end(name: str, cut: int) -> None:
    """A wildcard wants at least one letter, or stands for more than what is at its end of the name."""
    start, end = name[:cut], name[cut:]
    names = CertificateNames(common_names=(name,))
    for value in (name, f"{start}*", f"*{end}"):
        if not broken(filter_of(commonName=value)):
            assert filter_of(commonName=value).matches(names)


@given(wanted=ASCII.filter(str.strip), name=ASCII)
@example(wanted="a", name="A")
@example(wanted=".", name="x")
def test_without_a_wildcard_it_is_the_whole_name(wanted: str, name: str) -> None:
    """A value is taken for a pattern of another language, or for a part."""
    assert filter_of(commonName=wanted).matches(CertificateNames(common_names=(name,))) == (
        wanted.lower() == name.lower()
    )


@given(wanted=ASCII.filter(str.strip), name=ASCII)
@example(wanted="a.c", name="xabc")
def test_with_a_wildcard_it_is_a_beginning_or_an_end(wanted: str, name: str) -> None:
    """A value is taken for a pattern of another language."""
    names = CertificateNames(organizations=(name,))

    assert filter_of(organization=f"{wanted}*").matches(names) == name.lower().startswith(wanted.lower())
    assert filter_of(organization=f"*{wanted}").matches(names) == name.lower().endswith(wanted.lower())


@given(wanted=ASCII.filter(str.strip), name=ASCII)
def test_case_never_matters(wanted: str, name: str) -> None:
    """A certificate is kept out for a capital, or two namespaces share one that differs in a capital."""
    for star in ("", "*"):
        found = {
            filter_of(subjectAlternativeName=one + star).matches(CertificateNames(subject_alternative_names=(other,)))
            for one in (wanted, wanted.upper(), wanted.swapcase())
            for other in (name, name.lower(), name.swapcase())
        }
        assert len(found) == 1


@given(fields=st.dictionaries(st.sampled_from(FIELDS), ASCII.filter(str.strip)), names=st.lists(ASCII, max_size=3))
def test_every_field_has_to_match_and_any_of_its_names_may(fields: dict[str, str], names: list[str]) -> None:
    """One field that matches lets a stranger in, or one of two units keeps a worker out."""
    everywhere = CertificateNames(
        common_names=tuple(names),
        organizations=tuple(names),
        organizational_units=tuple(names),
        subject_alternative_names=tuple(names),
    )
    assume(fields)
    lower = [name.lower() for name in names]

    assert filter_of(**fields).matches(everywhere) == all(value.lower() in lower for value in fields.values())


@given(value=st.text("*ab ", max_size=6))
def test_a_value_is_accepted_just_when_it_fits_the_rule(value: str) -> None:
    """Temporal Cloud refuses what the program called good, or the other way round."""
    core = value.removeprefix("*") if value.startswith("*") else value.removesuffix("*")

    assert (broken(filter_of(commonName=value)) == []) == (bool(core.strip()) and "*" not in core)


@given(filters=st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, st.text("*ab", max_size=3)))))
def test_nothing_is_told_twice_and_nothing_is_forgotten(filters: list[dict[str, str]]) -> None:
    """A list with a fault passes, or one fault is told in two ways."""
    found = broken(*(filter_of(**fields) for fields in filters))

    assert len(set(found)) == len(found)
    empty = {f"filters[{index}]" for index, fields in enumerate(filters) if not fields}
    assert {where for where, rule in found if rule is FilterRule.NO_FIELD} == empty
    again = {f"filters[{index}]" for index, fields in enumerate(filters) if fields in filters[:index]}
    assert {where for where, rule in found if rule is FilterRule.DUPLICATE} == again


# The file


def test_the_file_is_tclds() -> None:
    """tcld ignores a key that it does not know, so a filter with a misspelt one matches everything."""
    filters = [
        filter_of(commonName="orders", organization="Contoso"),
        filter_of(organizationalUnit="Shop*", subjectAlternativeName="*.example.com"),
    ]

    assert json.loads(json.dumps(tcld_filters(filters))) == {
        "filters": [
            {"commonName": "orders", "organization": "Contoso"},
            {"organizationalUnit": "Shop*", "subjectAlternativeName": "*.example.com"},
        ]
    }
