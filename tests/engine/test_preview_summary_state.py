"""Real previews of a stack with its keys in the state and a namespace of Temporal Cloud, summarised.

One stack for all of it, made once; what follows are previews. Its namespace had a filter of somebody else's before,
and then somebody let in the nodes' authority, too.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from temporalio.api.cloud.namespace.v1 import CertificateFilterSpec, NamespaceSpec

from deploy.__main__ import main
from pki import load_certificate
from pki.cloud_access import fingerprint
from tests.engine.cloudservice import CloudService
from tests.engine.stacks import ProgramStack
from tests.engine.test_preview_summary import (
    ANOTHER_AUTHORITY_ADMITTED,
    BY_CLIENTS_2,
    CLIENTS,
    FIRST_RECORDS,
    TODAY,
    Case,
    acknowledging,
    assert_more_than_renewals,
    assert_told,
    summary_command,
    without_clients_1,
)
from tests.engine.test_rollover_in_state import forget_records, take

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("preview-summary-state")]

PAYMENTS = "payments.a1b2c"
QUICK = {"keyType": "EC-P256"}
BOTH: dict[int, Any] = {1: {}, 2: {}}
AUTHORITIES: dict[str, Any] = {"internode": QUICK, "clients": {**QUICK, "signing": 1, "generations": BOTH}}
CERTIFICATES: dict[str, Any] = dict.fromkeys(("cluster", "ui", "cli", "orders", "billing"), QUICK)
NAMESPACE: dict[str, Any] = {"certificates": ["orders"], "apply": True}
ORDERS, BILLING = (f'`commonName "{name}", organization "temporal-azure"`' for name in ("orders", "billing"))
AUTHORITY_KEY = (
    "temporal-azure:components:MutualTls$temporal-azure:components:StateCertificateAuthority$tls:index/privateKey:"
    "PrivateKey::{}"
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudService]:
    with CloudService(tmp_path_factory.mktemp("cloud"), api_key="key-of-a-test") as service:
        service.create(PAYMENTS, api_keys=True)
        by_hand = CertificateFilterSpec(common_name="by-hand")
        service.change(PAYMENTS, lambda spec: spec.mtls_auth.certificate_filters.append(by_hand))
        yield service


@pytest.fixture(scope="module")
def stack(new_stack: Callable[[], ProgramStack], service: CloudService) -> ProgramStack:
    made = new_stack()
    made.today = TODAY
    made.variables = {
        "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "false",
        "TEMPORAL_CLOUD_API_KEY": service.api_key,
    }
    made.set(elsewhere={"temporalazure:temporalCloudAddress": service.address}, **settings())
    made.run("up").check()
    nodes = made.facts()["internode-1"]["certificatePem"].encode()

    def let_in(spec: NamespaceSpec) -> None:
        spec.mtls_auth.accepted_client_ca += nodes

    service.change(PAYMENTS, let_in)
    made.run("refresh").check()
    return made


@pytest.fixture(scope="module")
def of_others(stack: ProgramStack) -> tuple[str, str]:
    """What somebody else added to the namespace."""
    nodes = load_certificate(stack.facts()["internode-1"]["certificatePem"])
    return f"authority {fingerprint(nodes)}", 'filter commonName "by-hand"'


def settings(**changes: Any) -> dict[str, Any]:
    """The stack's first settings, and what a test changes of them."""
    return {
        "custody": "state",
        "acknowledge": None,
        "frontend": None,
        "certificateAuthorities": AUTHORITIES,
        "certificates": CERTIFICATES,
        "temporalCloud": cloud(),
        **changes,
    }


def cloud(**changes: Any) -> dict[str, Any]:
    return {"namespaces": {PAYMENTS: {**NAMESPACE, **changes}}}


def clients(**changes: Any) -> dict[str, Any]:
    return {**AUTHORITIES, "clients": {**AUTHORITIES["clients"], **changes}}


def preview(stack: ProgramStack, *arguments: str, days: int = 0, operation: str = "preview", **changes: Any) -> str:
    """What `pulumi preview --json`, or another operation, prints."""
    stack.set(**settings(**changes))
    stack.today = TODAY + timedelta(days=days)
    return stack.start(operation, *arguments, "--json").wait().check().stdout


CASES = {
    "a worker, another name, another key, a trusted authority, another one renewed, a worker for the namespace": Case(
        settings={
            "certificateAuthorities": {
                "internode": {**QUICK, "generations": {1: {"renewal": 1}}},
                "clients": {**AUTHORITIES["clients"], "generations": {**BOTH, 3: {}}},
            },
            "certificates": {
                **CERTIFICATES,
                "ui": {"keyType": "EC-P384"},
                "cli": {**QUICK, "validityDays": 60},
                "orders": {**QUICK, "dnsNames": ["orders.internal"]},
                "shipping": {**QUICK, "uris": ["spiffe://example.org/shipping"]},
            },
            "temporalCloud": cloud(certificates=["orders", "billing"], timeoutSeconds=30),
        },
        told={
            "Certificates": [
                "authority `clients-3` is **issued**: for 1825 days.",
                "authority `internode-1` is **issued anew**, with its key: its `renewal` was counted up.",
                "`shipping` is **issued**: for 90 days, by `clients-1`, names `spiffe://example.org/shipping`.",
                "`orders` is **issued anew**: other names: adds `orders.internal`.",
                "`ui` is **issued anew**: another type of key.",
                "`cli` is **issued anew**: another validity.",
            ],
            "Trust": ["`clients-3` is **added** to what is trusted."],
            "Temporal Cloud": [
                f"namespace `{PAYMENTS}`: the CA certificate of `clients-3` is **added**.",
                f"namespace `{PAYMENTS}`: the filter {BILLING} is **added**.",
                f"namespace `{PAYMENTS}`: `up` waits for a change for `30` seconds.",
            ],
        },
    ),
    "an authority signs": Case(
        settings={"certificateAuthorities": clients(signing=2)},
        whole={"Certificates": BY_CLIENTS_2, "Trust": []},
    ),
    "another authority's clients are admitted": ANOTHER_AUTHORITY_ADMITTED,
    "an authority signs before it is trusted": Case(
        settings={
            "certificateAuthorities": {
                **AUTHORITIES,
                "internode": {**QUICK, "signing": 2, "generations": BOTH, "acknowledge": ["sign-2"]},
            }
        },
        breaks=frozenset({"sign-untrusted:internode-2"}),
        whole={
            "Certificates": [
                "authority `internode-2` is **issued**: for 1825 days.",
                "`cluster` is **issued anew**: by `internode-2` instead of `internode-1`.",
                "`cluster`: trusted beside it: adds `internode-2`.",
            ],
            "Trust": ["`internode-2` is **added** to what is trusted."],
        },
    ),
    "an authority goes while certificates in use chain to it, in the namespace, too": Case(
        settings={
            "certificateAuthorities": {
                **AUTHORITIES,
                "clients": {**QUICK, "generations": {2: {}}, "acknowledge": ["distrust-1", "sign-2"]},
            }
        },
        breaks=frozenset({"distrust-authority:clients-1", f"distrust-in-namespace:{PAYMENTS}/clients-1"}),
        told={"Temporal Cloud": [f"namespace `{PAYMENTS}`: the CA certificate of `clients-1` ("]},
        whole={
            "Certificates": [
                "authority `clients-1` is **deleted**, with its private key.",
                *without_clients_1(*CLIENTS),
            ],
            "Trust": ["`clients-1` is **removed** from what is trusted."],
        },
    ),
    "an authority of the namespace is renewed": Case(
        settings={"certificateAuthorities": clients(generations={1: {"renewal": 1}, 2: {}})},
        told={"Temporal Cloud": [") is **renewed**."]},
        whole={
            "Certificates": [
                "authority `clients-1` is **issued anew**, with its key: its `renewal` was counted up.",
                *(f"`{leaf}` gets its authority's renewed certificate, and is not issued anew." for leaf in CLIENTS),
            ],
            "Trust": [],
        },
    ),
    "a worker goes, with its private key": Case(
        settings={"certificates": {name: each for name, each in CERTIFICATES.items() if name != "billing"}},
        breaks=frozenset({"remove-worker:billing"}),
        told={"Certificates": ["`billing` is **deleted**, with its private key."]},
    ),
    "the server's name changes": Case(
        settings={"frontend": {"serverName": "temporal.example.com"}},
        breaks=frozenset({"remove-server-name:temporal.internal"}),
        told={
            "Certificates": [
                "`cluster` is **issued anew**: another subject; other names: adds `temporal.example.com`; removes "
                "`temporal.internal`."
            ]
        },
    ),
    "another worker may connect to the namespace, and the one in use may not": Case(
        settings={"temporalCloud": cloud(certificates=["billing"])},
        breaks=frozenset({f"filter-out:{PAYMENTS}/orders"}),
        told={
            "Temporal Cloud": [
                f"namespace `{PAYMENTS}`: the filter {ORDERS} is **removed**.",
                f"namespace `{PAYMENTS}`: the filter {BILLING} is **added**.",
            ]
        },
    ),
    "a worker gets another organization, and its filter with it": Case(
        settings={"certificates": {**CERTIFICATES, "orders": {**QUICK, "organization": "Käse"}}},
        breaks=frozenset({f"filter-out:{PAYMENTS}/orders"}),
        told={
            "Certificates": ["`orders` is **issued anew**: another subject."],
            "Temporal Cloud": ['the filter `commonName "orders", organization "Käse"` is **added**.'],
        },
    ),
    "a wider filter takes the place of a narrower one": Case(
        settings={"temporalCloud": cloud(filters=[{"commonName": "ord*"}])},
        told={
            "Temporal Cloud": ['the filter `commonName "ord*"` is **added**.', f"the filter {ORDERS} is **removed**."]
        },
    ),
    "`up` sets the namespace no more": Case(
        settings={"temporalCloud": cloud(apply=False)},
        breaks=frozenset({f"close-namespace:{PAYMENTS}"}),
        told={
            "Temporal Cloud": [
                f"namespace `{PAYMENTS}`: what `up` set there is **taken away**.",
                f"namespace `{PAYMENTS}`: the CA certificate of `clients-1` (",
                f"namespace `{PAYMENTS}`: the filter {ORDERS} is **removed**.",
            ]
        },
    ),
    "keys move to a vault": Case(
        settings={"custody": None},
        breaks=frozenset(
            {
                *(f"replace-authority:{name}" for name in ("internode-1", "clients-1", "clients-2")),
                f"distrust-in-namespace:{PAYMENTS}/clients-1",
            }
        ),
        told={
            "Certificates": [
                "authority `clients-1` is **deleted**, with its private key.",
                "`orders` is **deleted**, with its private key.",
                "`orders` is **issued**: for 90 days, by `clients-1`.",
            ],
            "Temporal Cloud": [") is **replaced**, by one with another key."],
        },
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_kind_of_change_is_told_and_what_breaks_fails(stack: ProgramStack, case: Case) -> None:
    """A reviewer approves a change that shuts somebody out, because it is a count of keys and requests."""
    assert_all_told(preview(stack, **case.settings), case)


def assert_all_told(text: str, case: Case) -> None:
    """Assert that a preview tells what the case says, and counts nothing that belongs to a line of its own."""
    found = assert_told(text, case)
    assert not [kind for kind in found.others if kind.startswith(("PrivateKey", "CertRequest", "NamespaceAccess"))]
    assert not [kind for kind in found.others if kind.startswith(("Step", "Standing"))]


def test_what_somebody_else_added_to_the_namespace_goes(stack: ProgramStack, of_others: tuple[str, str]) -> None:
    """A reviewer approves one word, and somebody else's clients are refused."""
    digest = sha256("\n".join(sorted(of_others)).encode()).hexdigest()[:10]
    taken_away = ", ".join(f"`{each}`" for each in of_others)
    case = Case(
        settings={"temporalCloud": cloud(exclusive=True)},
        breaks=frozenset({f"evict-others:{PAYMENTS}/{digest}"}),
        whole={
            "Temporal Cloud": [f"namespace `{PAYMENTS}`: what somebody else added is **taken away**: {taken_away}."]
        },
    )
    assert_all_told(preview(stack, **case.settings), case)


def test_what_somebody_else_added_becomes_the_stacks_own(stack: ProgramStack, of_others: tuple[str, str]) -> None:
    """What stays as it is counts as taken away, until nobody reads what breaks."""
    nodes = of_others[0].removeprefix("authority ")
    case = Case(
        settings={
            "temporalCloud": cloud(
                exclusive=True,
                authorities=["clients", "internode"],
                filters=[{"commonName": "orders", "organization": "temporal-azure"}, {"commonName": "by-hand"}],
            )
        },
        whole={
            "Temporal Cloud": [
                f"namespace `{PAYMENTS}`: the CA certificate of `internode-1` (`{nodes}`) is **added**.",
                f'namespace `{PAYMENTS}`: the filter `commonName "by-hand"` is **added**.',
                f"namespace `{PAYMENTS}`: what somebody else adds is taken away from now on.",
            ]
        },
    )
    assert_all_told(preview(stack, **case.settings), case)


def test_an_authority_whose_key_is_made_anew_is_replaced(stack: ProgramStack) -> None:
    """What every client has is refused after the next delivery, and the summary speaks of a private key."""
    text = preview(stack, "--replace", stack.urn(AUTHORITY_KEY.format("clients-1")))
    case = Case(
        settings={},
        breaks=frozenset({"replace-authority:clients-1"}),
        told={
            "Certificates": [
                "authority `clients-1` is **replaced**, with another key.",
                *(f"`{leaf}` is **issued anew**: by `clients-1` as it is now." for leaf in ("ui", "orders")),
            ]
        },
    )
    assert_all_told(text, case)


def test_the_settings_acknowledge_exactly_one_change(stack: ProgramStack) -> None:
    """What was accepted for one namespace, or one worker, covers the next one."""
    text = preview(
        stack,
        temporalCloud=cloud(certificates=["billing"]),
        acknowledge=[f"filter-out:{PAYMENTS}/orders"],
    )
    accepted = summary_command(text)
    assert accepted.exit_code == 0, accepted.output
    assert f"- Acknowledged `filter-out:{PAYMENTS}/orders`: " in accepted.output
    assert summary_command(acknowledging(text, {f"filter-out:{PAYMENTS}/billing"})).exit_code == 1


def test_no_change_is_said_to_be_none(stack: ProgramStack) -> None:
    """A reviewer looks for what is not there."""
    found = summary_command(preview(stack), "--only-renewals")
    assert found.exit_code == 0
    assert "Nothing changes." in found.output


def test_renewals_by_the_clock_are_only_renewals(stack: ProgramStack) -> None:
    """The nightly run stops at every renewal."""
    found = summary_command(preview(stack, days=70), "--only-renewals")
    assert found.exit_code == 0, found.output
    assert "Only renewals" in found.output
    assert "- `orders` is **renewed**; the one in use ends on " in found.output


def test_a_rollover_that_waits_for_its_day_is_no_renewal(stack: ProgramStack) -> None:
    """By night another authority signs, since what is due is replaced all the same."""
    text = preview(stack, days=70, certificateAuthorities=clients(signing=2))
    found = summary_command(text, "--only-renewals")
    assert found.exit_code == 1, found.output
    assert "- `orders` is **issued anew**: by `clients-2` instead of `clients-1`.\n" in found.output
    assert "- `cluster` is **renewed**; " in found.output


def test_a_change_of_trust_that_waits_for_its_day_is_no_renewal(stack: ProgramStack) -> None:
    """By night another authority's clients are let in, beside what is due."""
    assert_more_than_renewals(preview(stack, days=70, **ANOTHER_AUTHORITY_ADMITTED.settings))


def test_the_first_records_of_a_stack_from_before_are_no_renewal(stack: ProgramStack, tmp_path: Path) -> None:
    """By night an upgrade is taken up, and nobody is told of it."""
    before, file = stack.export(), tmp_path / "state.json"
    forget_records(stack, file)
    text = preview(stack)
    take(stack, before, file)
    assert_all_told(text, FIRST_RECORDS)


def test_what_is_due_was_not_changed_by_hand(stack: ProgramStack) -> None:
    """Every certificate inside its window is an alarm at night, until nobody reads them."""
    text = preview(stack, "--preview-only", operation="refresh", days=70)
    found = CliRunner().invoke(main, ["drift"], input=text)
    assert found.exit_code == 0, found.output
