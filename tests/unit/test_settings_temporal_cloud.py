"""What a stack says about Temporal Cloud: what is accepted, what is refused and how, and what follows by default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pki import CertificateFilter, CertificateNames
from pki.filters import faults
from settings import CloudNamespaceSettings, azure_settings
from tests.unit.configured import parsed, paths, refusal

PAYMENTS, SHOP = "payments.a1b2c", "shop.a1b2c"
AT_PAYMENTS, AT_SHOP = f'temporalCloud.namespaces["{PAYMENTS}"]', f'temporalCloud.namespaces["{SHOP}"]'
# Four workers under `clients`, beside ui and cli, which are in no Cloud namespace.
STACK: dict[str, Any] = {
    "location": "westeurope",
    "certificates": {
        "orders": {"dnsNames": ["orders.example.com"], "organizationalUnit": "Payments"},
        "billing": {"uris": ["spiffe://x/billing"], "organizationalUnit": "Payments"},
        "stock": {"organizationalUnit": "Shop"},
        "lone": {"ipAddresses": ["10.0.0.4"]},
    },
}
EC = {"keyType": "EC-P256"}
TWO_GENERATIONS: dict[str, Any] = {"generations": {"1": {}, "2": {}}}

Written = dict[str, Any]


def cloud(namespaces: Written, **settings: Any) -> Written:
    return {**STACK, **settings, "temporalCloud": {"namespaces": namespaces}}


def payments(*certificates: object, **settings: object) -> Written:
    """One namespace, for `orders` unless other certificates are named."""
    return cloud({PAYMENTS: {"certificates": list(certificates or ("orders",)), **settings}})


def filtered(*filters: object) -> Written:
    return payments(filters=list(filters))


def beside(shop: Written, **settings: object) -> Written:
    """Two namespaces: `stock`'s is given, `orders` is payments'."""
    return cloud({PAYMENTS: {"certificates": ["orders"], **settings}, SHOP: {"certificates": ["stock"], **shop}})


def workers(**changes: Written | None) -> Written:
    certificates = {name: {**entry, **(changes.get(name) or {})} for name, entry in STACK["certificates"].items()}
    return {"certificates": certificates}


def authorities(count: int, *, key_type: str = "EC-P256", common_name: str | None = None) -> Written:
    """So many authorities beside the two, with two generations each."""
    entry = {"keyType": key_type, **TWO_GENERATIONS}
    names = [f"a{number}" for number in range(count)]
    long = {name: {"commonName": f"{common_name} {name}"} if common_name else {} for name in names}
    everybody = {"internode": EC, "clients": EC, **{name: {**entry, **long[name]} for name in names}}
    return cloud(
        {PAYMENTS: {"certificates": ["orders"], "authorities": names}},
        certificateAuthorities=everybody,
        **workers(orders={"issuer": "a0"}),
    )


def settled(written: Written, namespace: str = PAYMENTS) -> CloudNamespaceSettings:
    return parsed(written).temporal_cloud[namespace]


# What is wrong, the same made right by one change, the path, words of what is said, of the consequence and of the fix.
WRONG: dict[str, tuple[Written, Written, str, str, str, str]] = {
    # namespaces
    "unknown key": (
        payments(certificate=["orders"]),
        payments(certificates=["orders"]),
        f"{AT_PAYMENTS}.certificate",
        "not a setting",
        "no effect",
        '"certificates"',
    ),
    "namespace without its account": (
        cloud({"payments": {"certificates": ["orders"]}}),
        payments(),
        "temporalCloud.namespaces.payments",
        "not the id",
        "no CA bundle",
        "payments.a1b2c",
    ),
    "namespace in capitals": (
        cloud({"Payments.a1b2c": {"certificates": ["orders"]}}),
        payments(),
        'temporalCloud.namespaces["Payments.a1b2c"]',
        "not the id",
        "no CA bundle",
        "lower case",
    ),
    "apply in quotes": (
        payments(apply="yes"),
        payments(apply=True),
        f"{AT_PAYMENTS}.apply",
        'is the text "yes"',
        "against your will",
        "Use true or false",
    ),
    "no time at all": (
        payments(apply=True, timeoutSeconds=0),
        payments(apply=True, timeoutSeconds=1),
        f"{AT_PAYMENTS}.timeoutSeconds",
        "is 0, less than 1",
        "give up too early",
        "1 or more",
    ),
    "namespace's address": (
        cloud({f"{PAYMENTS}.tmprl.cloud:7233": {"certificates": ["orders"]}}),
        payments(),
        f'temporalCloud.namespaces["{PAYMENTS}.tmprl.cloud:7233"]',
        "not the id",
        "no CA bundle",
        "tcld namespace list",
    ),
    "namespace's name of 40": (
        cloud({f"{'n' * 40}.a1b2c": {"certificates": ["orders"]}}),
        cloud({f"{'n' * 39}.a1b2c": {"certificates": ["orders"]}}),
        f'temporalCloud.namespaces["{"n" * 40}.a1b2c"]',
        "not the id",
        "no CA bundle",
        "<name>.<account>",
    ),
    "namespaces in a list": (
        {**STACK, "temporalCloud": {"namespaces": [PAYMENTS]}},
        payments(),
        "temporalCloud.namespaces",
        "is a list",
        "no CA bundle",
        "a map",
    ),
    # certificates
    "no certificate": (
        cloud({PAYMENTS: None}),
        payments(),
        f"{AT_PAYMENTS}.certificates",
        "is empty",
        "Nobody could connect",
        "ui, cli, orders",
    ),
    "certificate that does not exist": (
        payments("orders", "shipping"),
        payments("orders", "billing"),
        f"{AT_PAYMENTS}.certificates",
        'no certificate named "shipping"',
        "Nobody could connect",
        "Name it under certificates",
    ),
    "an authority's name": (
        payments("orders", "clients"),
        payments("orders", "cli"),
        f"{AT_PAYMENTS}.certificates",
        '"clients" is an authority',
        "Nobody could connect",
        "ui, cli, orders",
    ),
    "the server's certificate": (
        payments("orders", "cluster"),
        payments("orders", "ui"),
        f"{AT_PAYMENTS}.certificates",
        '"cluster" is the server\'s',
        "key of your own cluster's nodes",
        "ui, cli, orders",
    ),
    "certificate twice": (
        payments("orders", "orders"),
        payments("orders", "billing"),
        f"{AT_PAYMENTS}.certificates",
        "twice",
        "Nobody could connect",
        "one of them",
    ),
    "certificates as text": (
        payments(certificates="orders"),
        payments(certificates=["orders"]),
        f"{AT_PAYMENTS}.certificates",
        'the text "orders"',
        "Nobody could connect",
        "a list",
    ),
    # authorities
    "authority that does not exist": (
        payments(authorities=["clients", "client"]),
        payments(authorities=["clients"]),
        f"{AT_PAYMENTS}.authorities",
        'no authority named "client"',
        "could not trust it",
        "clients, internode",
    ),
    "authority twice": (
        payments(authorities=["clients", "clients"]),
        payments(authorities=["clients"]),
        f"{AT_PAYMENTS}.authorities",
        "twice",
        "refuse the namespace's clients",
        "one of them",
    ),
    "another authority than the certificate's": (
        payments(authorities=["internode"]),
        payments(authorities=["internode", "clients"]),
        f"{AT_PAYMENTS}.certificates",
        '"orders" is issued by clients',
        "refuse it",
        "Add clients",
    ),
    "certificates of an authority too many": (
        cloud(
            {PAYMENTS: {"certificates": ["orders"], "authorities": ["clients", *(f"a{n}" for n in range(16))]}},
            certificateAuthorities={"internode": EC, "clients": EC, **{f"a{n}": EC for n in range(16)}},
        ),
        cloud(
            {PAYMENTS: {"certificates": ["orders"], "authorities": ["clients", *(f"a{n}" for n in range(15))]}},
            certificateAuthorities={"internode": EC, "clients": EC, **{f"a{n}": EC for n in range(16)}},
        ),
        f"{AT_PAYMENTS}.authorities",
        "17 trusted generations",
        "at most 16",
        "fewer authorities",
    ),
    "generations too many": (
        authorities(9),
        authorities(8),
        f"{AT_PAYMENTS}.authorities",
        "18 trusted generations",
        "at most 16",
        "remove generations",
    ),
    "a bundle too large": (
        authorities(8, key_type="RSA-4096", common_name="n" * 58),
        authorities(8, key_type="EC-P384", common_name="n" * 58),
        f"{AT_PAYMENTS}.authorities",
        "make a CA bundle of",
        "at most 32768",
        "EC-P256",
    ),
    # filters by themselves
    "filter with an unknown field": (
        filtered({"commonname": "orders"}),
        filtered({"commonName": "orders"}),
        f"{AT_PAYMENTS}.filters[0].commonname",
        "not a setting",
        "no effect",
        '"commonName"',
    ),
    "filter without a field": (
        filtered({"commonName": "orders"}, {}),
        filtered({"commonName": "orders"}),
        f"{AT_PAYMENTS}.filters[1]",
        "has no field",
        "refuses it",
        "at least one of: commonName",
    ),
    "filter left empty": (
        filtered({"commonName": None}),
        filtered({"commonName": "orders"}),
        f"{AT_PAYMENTS}.filters[0]",
        "has no field",
        "refuses it",
        "at least one of",
    ),
    "blank value": (
        filtered({"commonName": "orders", "organization": " "}),
        filtered({"commonName": "orders", "organization": "temporal-azure"}),
        f"{AT_PAYMENTS}.filters[0].organization",
        "is blank",
        "counts as left out",
        "leave the field out",
    ),
    "wildcard alone": (
        filtered({"commonName": "orders", "organization": "*"}),
        filtered({"commonName": "orders", "organization": "temporal*"}),
        f"{AT_PAYMENTS}.filters[0].organization",
        "wildcard by itself",
        "refuses it",
        "Leave the field out",
    ),
    "wildcard at both ends": (
        filtered({"subjectAlternativeName": "*.example.*"}),
        filtered({"subjectAlternativeName": "*.example.com"}),
        f"{AT_PAYMENTS}.filters[0].subjectAlternativeName",
        "more than one wildcard",
        "refuses it",
        'Keep one "*"',
    ),
    "wildcard inside": (
        filtered({"subjectAlternativeName": "orders.*.com"}),
        filtered({"subjectAlternativeName": "orders.*"}),
        f"{AT_PAYMENTS}.filters[0].subjectAlternativeName",
        "wildcard inside",
        "refuses it",
        'Keep one "*"',
    ),
    "filter twice": (
        filtered({"commonName": "orders"}, {"commonName": "x"}, {"commonName": "orders"}),
        filtered({"commonName": "orders"}, {"commonName": "x"}, {"commonName": "order"}),
        f"{AT_PAYMENTS}.filters",
        "filters[2] is equal to filters[0]",
        "tcld refuses",
        "Keep one",
    ),
    "filters too many": (
        filtered({"commonName": "orders"}, *({"commonName": f"x{number}"} for number in range(25))),
        filtered({"commonName": "orders"}, *({"commonName": f"x{number}"} for number in range(24))),
        f"{AT_PAYMENTS}.filters",
        "has 26 entries",
        "refuse the filters",
        "at most 25",
    ),
    "number for a value": (
        filtered({"commonName": "orders", "organizationalUnit": 7}),
        filtered({"commonName": "orders", "organizationalUnit": "Payments"}),
        f"{AT_PAYMENTS}.filters[0].organizationalUnit",
        "the number 7",
        "refuse the filter",
        'in quotes: "7"',
    ),
    "shared as text": (
        payments(shared="yes"),
        payments(shared=True),
        f"{AT_PAYMENTS}.shared",
        'the text "yes"',
        "Strangers could connect",
        "true or false",
    ),
    "filters that nobody wrote too many": (
        cloud(
            {PAYMENTS: {"certificates": [f"w{number}" for number in range(26)]}},
            certificates={f"w{number}": {} for number in range(26)},
        ),
        cloud(
            {PAYMENTS: {"certificates": [f"w{number}" for number in range(25)]}},
            certificates={f"w{number}": {} for number in range(26)},
        ),
        f"{AT_PAYMENTS}.filters",
        "there are 26",
        "at most 25",
        "Set filters",
    ),
    "filter that nobody wrote with a wildcard inside": (
        {**payments(), **workers(orders={"commonName": "a*b"})},
        {**payments(), **workers(orders={"commonName": "a-b"})},
        f"{AT_PAYMENTS}.filters",
        '"a*b" has a wildcard inside',
        "refuses it",
        "Set filters",
    ),
    # filters and certificates
    "no filter for a certificate": (
        payments("orders", "billing", filters=[{"commonName": "orders"}]),
        payments("orders", "billing", filters=[{"commonName": "orders"}, {"commonName": "billing"}]),
        f"{AT_PAYMENTS}.filters",
        'none matches its certificate billing: filters[0] asks for commonName "orders", and it has "billing"',
        "refuse the certificate",
        '{"commonName": "billing", "organization": "temporal-azure"}',
    ),
    "filter with a field that the certificate lacks": (
        payments("lone", filters=[{"commonName": "lone", "organizationalUnit": "Shop"}]),
        payments("lone", filters=[{"commonName": "lone", "subjectAlternativeName": "10.0.0.4"}]),
        f"{AT_PAYMENTS}.filters",
        'organizationalUnit "Shop", and it has none',
        "refuse the certificate",
        "leave filters out",
    ),
    "four filters, none for the certificate": (
        filtered(*({"commonName": f"x{number}"} for number in range(4))),
        filtered(*({"commonName": f"x{number}"} for number in range(4)), {"commonName": "orders"}),
        f"{AT_PAYMENTS}.filters",
        "1 more do not match either",
        "refuse the certificate",
        "Add one for it",
    ),
    "filter that matches another namespace's certificate": (
        beside({}, filters=[{"commonName": "o*"}, {"commonName": "s*"}]),
        beside({}, filters=[{"commonName": "o*"}, {"commonName": "sx*"}]),
        f"{AT_PAYMENTS}.filters",
        f'filters[1] matches certificate stock of {SHOP}: commonName "s*" matches "stock"',
        "Whoever holds it could connect",
        "shared: true",
    ),
    "another namespace's certificate without shared": (
        beside({"filters": [{"subjectAlternativeName": "*.example.com"}, {"commonName": "stock"}]}),
        beside({"filters": [{"subjectAlternativeName": "*.example.com"}, {"commonName": "stock"}], "shared": True}),
        f"{AT_SHOP}.filters",
        f'certificate orders of {PAYMENTS}: subjectAlternativeName "*.example.com" matches "orders.example.com"',
        "Whoever holds it could connect",
        "narrower",
    ),
    "filter that matches a certificate of no namespace": (
        filtered({"organizationalUnit": "Payments"}),
        filtered({"organizationalUnit": "Payments", "commonName": "orders"}),
        f"{AT_PAYMENTS}.filters",
        "certificate billing under clients, which is no namespace's: organizationalUnit",
        "Whoever holds it could connect",
        "narrower",
    ),
    "filter that matches the server's certificate": (
        {
            **filtered({"subjectAlternativeName": "*.internal"}, {"commonName": "orders"}),
            "certificateAuthorities": {"ca": EC},
        },
        {
            **filtered({"subjectAlternativeName": "*.extern"}, {"commonName": "orders"}),
            "certificateAuthorities": {"ca": EC},
        },
        f"{AT_PAYMENTS}.filters",
        "certificate cluster under ca",
        "Whoever holds it could connect",
        "narrower",
    ),
    "two certificates of one name in two namespaces": (
        {**beside({"filters": [{"organizationalUnit": "Shop"}]}), **workers(stock={"commonName": "Orders"})},
        {**beside({"filters": [{"organizationalUnit": "Shop"}]}), **workers(stock={"commonName": "Orders2"})},
        f"{AT_PAYMENTS}.filters",
        'commonName "orders" matches "Orders", organization',
        "Whoever holds it could connect",
        "narrower",
    ),
    "another namespace's certificate under another authority": (
        {
            **beside({}, filters=[{"organization": "temporal-azure", "organizationalUnit": "s*"}]),
            **workers(stock={"issuer": "shop"}, orders={"organizationalUnit": "Sales"}),
            "certificateAuthorities": {"internode": EC, "clients": EC, "shop": EC},
        },
        {
            **beside({}, filters=[{"organization": "temporal-azure", "organizationalUnit": "sa*"}]),
            **workers(stock={"issuer": "shop"}, orders={"organizationalUnit": "Sales"}),
            "certificateAuthorities": {"internode": EC, "clients": EC, "shop": EC},
        },
        f"{AT_PAYMENTS}.filters",
        f"certificate stock of {SHOP}",
        "Nothing but its authority would keep its holder out",
        "narrower",
    ),
}


def test_more_than_thirty_are_tried() -> None:
    """A table that shrinks would still pass."""
    assert len(WRONG) > 30


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_one_message_with_path_consequence_and_fix(case: str) -> None:
    """A tired person is told that something is invalid, and neither where, nor what follows, nor what to do."""
    written, right, path, what, consequence, fix = WRONG[case]

    error = refusal(written)

    assert paths(error) == [path], error
    (problem,) = error.problems
    assert what in problem.what
    assert consequence in problem.consequence
    assert fix in problem.fix
    assert parsed(right).temporal_cloud


def test_all_that_is_wrong_is_told_at_once() -> None:
    """The second mistake shows only after the first is mended."""
    error = refusal(
        cloud(
            {
                "payments": {"certificates": ["orders"]},
                SHOP: {"certificates": ["stock", "nobody"], "authorities": ["clients", "nothing"]},
                PAYMENTS: {
                    "certificates": ["orders"],
                    "filters": [{"commonName": "*"}, {"commonName": "o*", "organization": "a*b"}],
                    "shared": 1,
                },
            }
        )
    )

    assert set(paths(error)) == {
        "temporalCloud.namespaces.payments",
        f"{AT_SHOP}.certificates",
        f"{AT_SHOP}.authorities",
        f"{AT_PAYMENTS}.filters[0].commonName",
        f"{AT_PAYMENTS}.filters[1].organization",
        f"{AT_PAYMENTS}.shared",
    }


def test_every_certificate_that_leaks_and_every_one_that_is_kept_out_is_told() -> None:
    """The second leak shows only after the first is closed."""
    error = refusal(payments("orders", "stock", filters=[{"commonName": "cl*"}, {"commonName": "*i"}]))

    assert paths(error) == [f"{AT_PAYMENTS}.filters"] * 4
    told = [problem.what for problem in error.problems]
    assert sum("none matches" in what for what in told) == 2
    assert {word for what in told for word in ("ui", "cli") if f"certificate {word} " in what} == {"ui", "cli"}


RESTING_ON_WHAT_IS_WRONG: dict[str, tuple[Written, list[str]]] = {
    "a certificate may be the namespace's": (
        {**payments("orders", "Bad"), "certificates": {"orders": {}, "Bad": {}}},
        ["certificates.Bad"],
    ),
    "an authority may be the namespace's": (
        {
            **payments(authorities=["clients", "Bad"]),
            "certificateAuthorities": {"internode": EC, "clients": EC, "Bad": EC},
        },
        ["certificateAuthorities.Bad"],
    ),
    "the wrong filter may be the one that matches": (
        filtered({"commonName": "orders", "organization": "**"}, {"commonName": "x"}),
        [f"{AT_PAYMENTS}.filters[0].organization"],
    ),
    "the wrong name may be the one that matches": (
        {**filtered({"subjectAlternativeName": "orders.*"}), **workers(orders={"dnsNames": ["orders.*.com"]})},
        ["certificates.orders.dnsNames[0]"],
    ),
    "it may be shared": (
        beside({}, filters=[{"commonName": "*k"}, {"commonName": "o*"}], shared="true"),
        [f"{AT_PAYMENTS}.shared"],
    ),
    "a list of one wrong certificate is not empty": (payments(7), [f"{AT_PAYMENTS}.certificates[0]"]),
    "the certificate's authority is told once": (
        {**payments(), **workers(orders={"issuer": "nobody"})},
        [
            "certificates.orders.issuer",
        ],
    ),
}


@pytest.mark.parametrize("case", RESTING_ON_WHAT_IS_WRONG)
def test_what_rests_on_a_wrong_setting_is_not_held_against_anybody(case: str) -> None:
    """One typo brings five messages, of which four are false."""
    written, expected = RESTING_ON_WHAT_IS_WRONG[case]

    assert paths(refusal(written)) == expected


RIGHT: dict[str, Written] = {
    "nothing": {**STACK, "temporalCloud": None},
    "everything left empty": {**STACK, "temporalCloud": {"namespaces": None}},
    "no filters, which are derived": payments("orders", "billing", filters=[], authorities=None, shared=None),
    "one certificate in two namespaces": cloud(
        {PAYMENTS: {"certificates": ["orders", "cli"]}, SHOP: {"certificates": ["stock", "cli"]}}
    ),
    "one filter for two certificates": payments("orders", "billing", filters=[{"organizationalUnit": "payments"}]),
    "two filters for one certificate": filtered({"commonName": "orders"}, {"subjectAlternativeName": "orders.*"}),
    "a filter for a certificate that is not there yet": filtered({"commonName": "orders"}, {"commonName": "refunds*"}),
    "a stranger's name under an authority that is not trusted": {
        **filtered({"organization": "temporal-azure"}),
        **workers(orders={"issuer": "payments"}),
        "certificateAuthorities": {"internode": EC, "clients": EC, "payments": EC},
    },
    "everybody is welcome": payments(filters=[{"organization": "temporal-azure"}], shared=True),
    "an authority of nodes beside": payments(authorities=["internode", "clients"]),
    "an authority with two generations": {
        **payments(),
        "certificateAuthorities": {"internode": EC, "clients": {**EC, **TWO_GENERATIONS}},
    },
    "short and numbered names": cloud({"n1.a": {"certificates": ["orders"]}, "a-1.0z": {"certificates": ["stock"]}}),
    "letters of many languages": {
        **filtered({"organization": "größe & 日本*", "commonName": "ORDERS"}),
        **workers(orders={"organization": "GRÖßE & 日本 (x)"}),
    },
    "as many authorities as there can be": authorities(8),
}


@pytest.mark.parametrize("case", RIGHT)
def test_a_right_setting_is_accepted(case: str) -> None:
    """A check refuses what Temporal Cloud takes."""
    for namespace in parsed(RIGHT[case]).temporal_cloud.values():
        assert namespace.authorities
        assert not faults(namespace.filters)


# What it means when nothing is said


def test_there_is_no_cloud_namespace_unless_somebody_says_so() -> None:
    """A stack without Temporal Cloud is asked about it."""
    assert parsed({"location": "westeurope"}).temporal_cloud == {}


def test_a_namespace_trusts_who_issues_for_it_and_admits_its_certificates_by_name() -> None:
    """An upgrade of this program opens a namespace that nobody touched."""
    found = settled(
        {
            **payments("orders", "billing", "cli"),
            **workers(orders={"issuer": "b", "organization": "Contoso"}),
            "certificateAuthorities": {"internode": EC, "clients": EC, "b": EC},
        }
    )

    assert found == CloudNamespaceSettings(
        name=PAYMENTS,
        authorities=("b", "clients"),
        certificates=("orders", "billing", "cli"),
        filters=(
            CertificateFilter(common_name="orders", organization="Contoso"),
            CertificateFilter(common_name="billing", organization="temporal-azure"),
            CertificateFilter(common_name="cli", organization="temporal-azure"),
        ),
        shared=False,
        apply=False,
        exclusive=False,
        timeout_seconds=None,
    )


def test_two_certificates_of_one_name_have_one_filter() -> None:
    """tcld refuses filters of which two are equal, and nobody wrote them."""
    found = settled({**payments("orders", "billing"), **workers(billing={"commonName": "orders"})})

    assert found.filters == (CertificateFilter(common_name="orders", organization="temporal-azure"),)


def test_what_is_given_replaces_the_default() -> None:
    """A filter that nobody wrote lets in whom somebody meant to keep out."""
    found = settled(payments("orders", filters=[{"subjectAlternativeName": "ORDERS.*"}], authorities=["clients"]))

    assert found.filters == (CertificateFilter(subject_alternative_name="ORDERS.*"),)
    assert found.authorities == ("clients",)


def test_what_up_itself_is_to_set_is_taken_as_written() -> None:
    found = settled(payments(apply=True, exclusive=True, timeoutSeconds=60))

    assert (found.apply, found.exclusive, found.timeout_seconds) == (True, True, 60)
    assert parsed(payments(apply=True, exclusive=True, timeoutSeconds=60)).warnings == parsed(payments()).warnings


@pytest.mark.parametrize(("name", "value", "shown"), [("exclusive", True, "true"), ("timeoutSeconds", 60, "60")])
def test_what_has_no_effect_without_apply_is_told(name: str, value: object, shown: str) -> None:
    """Somebody believes that strangers are taken away from a namespace that nobody touches."""
    added = set(parsed(payments(**{name: value})).warnings) - set(parsed(payments()).warnings)

    assert added == {
        f"{AT_PAYMENTS}.{name}: is {shown}, and apply is not. It has no effect: nothing is set in Temporal Cloud. "
        "Set apply: true, or leave it out."
    }


def test_a_namespace_that_is_to_trust_a_local_authority_is_told() -> None:
    """A namespace in production lets in whoever reads a folder of somebody's laptop."""
    [warning] = parsed(payments(apply=True), stack="local").warnings

    assert warning.startswith(f"{AT_PAYMENTS}.apply: is true in the stack local. The namespace would let in whoever")
    assert parsed(payments(), stack="local").warnings == ()


# The API key

API_KEY = "temporalazure:temporalCloudApiKey"


def test_the_api_key_is_a_secret_of_the_stack() -> None:
    """The one secret that a stack has is refused, or does not reach the provider."""
    configuration = {**STACK, API_KEY: "s3cr3t", "azure-native:environment": "public"}

    assert parsed(configuration, secret_keys=(API_KEY,)) == parsed(STACK)
    assert azure_settings(configuration) == {"temporalCloudApiKey": "s3cr3t", "environment": "public"}
    assert parsed({**STACK, API_KEY: ""}) == parsed(STACK), "what is empty is not set"


@pytest.mark.parametrize(
    ("key", "value", "is_secret", "what"),
    [
        (API_KEY, "s3cr3t", False, "is stored in the clear"),
        (API_KEY, {"key": "s3cr3t"}, False, "is stored in the clear"),
        (API_KEY, {"key": "s3cr3t"}, True, "is a map or a list"),
        ("azure-native:temporalCloudApiKey", "s3cr3t", False, "is stored in the clear"),
        ("azure-native:temporalCloudApiKey", "s3cr3t", True, f"is not {API_KEY}"),
        ("temporalazure:temporalCloudAPIKey", "s3cr3t", False, "is stored in the clear"),
        ("temporalazure:temporalCloudKey", "s3cr3t", True, f"is not {API_KEY}"),
        ("temporal-azure:temporalCloudApiKey", "s3cr3t", False, "is stored in the clear"),
        ("temporal-azure:temporalCloudApiKey", "s3cr3t", True, f"is not {API_KEY}"),
    ],
)
def test_an_api_key_elsewhere_or_in_the_clear_is_refused_and_not_repeated(
    key: str, value: object, is_secret: bool, what: str
) -> None:
    """The key to an account lies in the repository, and then in the log of the run that refused it."""
    error = refusal({**STACK, key: value}, secret_keys=(key,) if is_secret else ())

    [problem] = error.problems
    assert (problem.path, problem.what) == (key, what)
    assert f"pulumi config rm {key}" in problem.fix
    assert f"pulumi config set --secret {API_KEY}" in problem.fix
    assert "s3cr3t" not in str(error)
    assert "s3cr3t" not in repr(error.problems)


def test_settings_have_the_names_that_the_certificate_will_have() -> None:
    """A leak is looked for among other names than the certificate's."""
    certificates = parsed(
        {**STACK, **workers(orders={"ipAddresses": ["2001:DB8::4"], "emails": ["ops@example.com"], "uris": ["a:b"]})}
    ).certificates

    for certificate in certificates.values():
        assert certificate.names == CertificateNames.of(certificate.policy)


def test_the_example_of_the_page_is_right() -> None:
    """The first lines that a person copies are refused."""
    page = (Path(__file__).parents[2] / "docs" / "temporal-cloud.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)

    accepted = parsed({"location": "westeurope", **yaml.safe_load(example)["config"]})

    assert {name: item.certificates for name, item in accepted.temporal_cloud.items()} == {
        PAYMENTS: ("orders", "billing"),
        SHOP: ("stock",),
    }


# Inputs without end

NAMES = st.sampled_from(["orders", "orders2", "billing", "bill"])
VALUES = st.one_of(NAMES, st.sampled_from(["o*", "*s", "bi*", "ORDERS", "*"]))


@given(
    common_names=st.tuples(NAMES, NAMES, NAMES),
    homes=st.tuples(*[st.sampled_from([PAYMENTS, SHOP, None])] * 3),
    filters=st.lists(VALUES, max_size=3),
    shared=st.booleans(),
)
def test_who_is_let_in_is_who_belongs_there(
    common_names: tuple[str, ...], homes: tuple[str | None, ...], filters: list[str], shared: bool
) -> None:
    """A combination that nobody thought of opens a namespace to strangers, or locks its own workers out."""
    names = dict(zip(("a", "b", "c"), common_names, strict=True))
    members = {
        namespace: [name for name, home in zip(names, homes, strict=True) if home == namespace]
        for namespace in (PAYMENTS, SHOP)
    }
    written = {
        **STACK,
        "certificates": {name: {"commonName": common_name} for name, common_name in names.items()},
        "temporalCloud": {
            "namespaces": {
                PAYMENTS: {
                    "certificates": members[PAYMENTS],
                    "filters": [{"commonName": value} for value in filters],
                    "shared": shared,
                },
                SHOP: {"certificates": members[SHOP]},
            }
        },
    }
    wanted = {PAYMENTS: filters or [names[name] for name in members[PAYMENTS]], SHOP: [names[n] for n in members[SHOP]]}
    let_in = {
        namespace: {name for name in names if any(reaches(value, names[name]) for value in wanted[namespace])}
        for namespace in wanted
    }
    fits = (
        all(members.values())
        and "*" not in filters
        and len(set(filters)) == len(filters)
        and all(set(members[namespace]) <= let_in[namespace] for namespace in members)
        and (shared or let_in[PAYMENTS] == set(members[PAYMENTS]))
        and let_in[SHOP] == set(members[SHOP])
    )

    if fits:
        assert parsed(written).temporal_cloud.keys() == {PAYMENTS, SHOP}
    else:
        refusal(written)


def reaches(value: str, name: str) -> bool:
    value, name = value.lower(), name.lower()
    if value.endswith("*"):
        return name.startswith(value[:-1])
    return name.endswith(value[1:]) if value.startswith("*") else name == value
