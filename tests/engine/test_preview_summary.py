"""Real previews, summarised: what a reviewer is told of each kind of change, and which of them fail the check.

One stack for all of it, made once. What follows are previews, by an identity that may only look.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.certificates import CertificateClient, CertificatePolicy
from azure.keyvault.keys.crypto import CryptographyClient, SignatureAlgorithm
from click.testing import CliRunner, Result

from deploy.__main__ import main
from deploy.preview import PreviewSummary, read, summarise
from localazure.client import LocalAzure
from tests.engine.stacks import Hand, ProgramStack, Watch
from tests.engine.test_rollover import forget_standings
from tests.engine.test_rollover_in_state import take

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("preview-summary")]

PREVIEWER = "previewer"
"""Reader and Key Vault Reader on the subscription, Directory.Read.All in Microsoft Graph: docs/workflows.md."""

TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
UI, CALLBACK = "https://temporal.example.com", "https://temporal.example.com/auth/sso/callback"
POSTMAN = "https://oauth.pstmn.io/v1/callback"
ADA, READERS, OPERATORS = (
    {"user": "ada@contoso.example"},
    {"group": "Temporal Readers"},
    {"group": "Temporal Operators"},
)
ROLES: dict[str, Any] = {"temporal-system:read": [READERS], "default:write": [ADA]}
SIGN_ON: dict[str, Any] = {"uiUrl": UI, "redirectUris": [POSTMAN], "roles": ROLES}
QUICK = {"keyType": "EC-P256"}
AUTHORITIES: dict[str, Any] = {"internode": QUICK, "clients": {**QUICK, "signing": 1, "generations": {1: {}, 2: {}}}}
CERTIFICATES: dict[str, Any] = {"orders": {}, "billing": {}}


@pytest.fixture(scope="module")
def stack(new_stack: Callable[[], ProgramStack], azure: LocalAzure) -> ProgramStack:
    made = new_stack()
    made.today = TODAY
    made.variables = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "false"}
    made.set(**settings(azure))
    made.run("up").check()
    return made


def settings(azure: LocalAzure, **changes: Any) -> dict[str, Any]:
    """The stack's first settings, and what a test changes of them."""
    readers = {"billing": [principal(azure, "reader-server")]}
    return {
        "authorization": None,
        "custody": None,
        "acknowledge": None,
        "vaults": None,
        "frontend": None,
        "certificateAuthorities": AUTHORITIES,
        "certificates": CERTIFICATES,
        "signOn": SIGN_ON,
        "access": {"deployers": [principal(azure, "deployer")], "readers": readers},
        **changes,
    }


def principal(azure: LocalAzure, name: str) -> dict[str, str]:
    known = azure.identities[name]
    return {"id": known["objectId"], "kind": known["kind"]}


def preview(stack: ProgramStack, *, days: int = 0, **changes: Any) -> str:
    """What `pulumi preview --json` prints."""
    stack.set(**settings(stack.azure, **changes))
    stack.today = TODAY + timedelta(days=days)
    return stack.start("preview", "--json", identity=PREVIEWER).wait().check().stdout


def summary_command(text: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["preview-summary", *arguments], input=text)


def acknowledging(text: str, ids: set[str]) -> str:
    """The same preview, of settings that acknowledge these changes."""
    document = json.loads(text)
    document["config"]["temporal-azure:acknowledge"] = json.dumps(sorted(ids))
    return json.dumps(document)


def lines(summary: PreviewSummary, title: str) -> list[str]:
    return [change for section in summary.sections if section.title == title for change in section.changes]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A change of settings; what of it breaks clients, and what is told of it, under which heading.

    Under a heading of `told` there are lines with these words, under one of `whole` these lines and no others.
    """

    settings: dict[str, Any]
    breaks: frozenset[str] = frozenset()
    told: dict[str, list[str]] = field(default_factory=dict)
    whole: dict[str, list[str]] = field(default_factory=dict)


CLIENTS = ("billing", "cli", "orders", "ui")
ANOTHER_AUTHORITY_ADMITTED = Case(
    settings={"frontend": {"authorities": ["clients", "internode"]}},
    whole={
        "Certificates": [f"`{leaf}` stays as it is; trusted beside it: adds `internode-1`." for leaf in CLIENTS],
        "Trust": ["clients of `internode-1` are **admitted** by the frontend."],
    },
)
FIRST_RECORDS = Case(
    settings={},
    whole={
        "Certificates": [
            f"`{leaf}` stays as it is; its record is brought up to date: issued by `{issuer}`, "
            f"trusted beside it {beside}."
            for leaf, issuer, beside in (
                *((leaf, "clients-1", "`clients-1`, `clients-2`") for leaf in ("billing", "cli")),
                ("cluster", "internode-1", "`internode-1`"),
                *((leaf, "clients-1", "`clients-1`, `clients-2`") for leaf in ("orders", "ui")),
            )
        ],
        "Trust": [],
    },
)
"""The first `up` of a stack that an earlier version has made."""
BY_CLIENTS_2 = [f"`{leaf}` is **issued anew**: by `clients-2` instead of `clients-1`." for leaf in CLIENTS]


def without_clients_1(*leaves: str) -> list[str]:
    """What is told of leaves that move to another generation while the first one goes."""
    return [
        line
        for leaf in leaves
        for line in (
            f"`{leaf}` is **issued anew**: by `clients-2` instead of `clients-1`.",
            f"`{leaf}`: trusted beside it: removes `clients-1`.",
        )
    ]


CASES = {
    "a worker, names, a trusted authority, a group with a role, another UI beside the old one": Case(
        settings={
            "certificateAuthorities": {**AUTHORITIES, "internode": {**QUICK, "generations": {1: {}, 2: {}}}},
            "certificates": {**CERTIFICATES, "orders": {"dnsNames": ["orders.internal"]}, "shipping": {}},
            "signOn": {
                **SIGN_ON,
                "uiUrl": "https://other.example.com",
                "redirectUris": [POSTMAN, CALLBACK],
                "roles": {**ROLES, "default:write": [ADA, OPERATORS]},
            },
        },
        told={
            "Access": [
                "worker `shipping` **gains** the role `default:write`.",
                "(one of `user ada@contoso.example`, `group Temporal Operators`) **gains** the role `default:write`.",
            ],
            "Sign-on": ["Redirect URIs: adds `https://other.example.com/auth/sso/callback`."],
        },
        whole={
            "Certificates": [
                "`cluster` stays as it is; trusted beside it: adds `internode-2`.",
                "authority `internode-2` is **issued**: for 1825 days.",
                "`orders` is **issued anew**: other names: adds `orders.internal`.",
                "`shipping` is **issued**: for 90 days, by `clients-1`.",
            ],
            "Trust": ["`internode-2` is **added** to what is trusted."],
        },
    ),
    "a worker and a person are out": Case(
        settings={
            "certificates": {"orders": {}},
            "signOn": {**SIGN_ON, "roles": {**ROLES, "default:write": []}},
            "access": None,
        },
        breaks=frozenset({"remove-worker:billing"}),
        told={
            "Certificates": ["`billing` is **deleted**"],
            "Access": [
                "`Ada Lovelace` (",
                "worker `billing` **loses** the role `default:write`.",
                "**loses** `Key Vault Secrets User` on the secret `billing` in `temporal-leaf-",
            ],
        },
    ),
    "an authority signs": Case(
        settings={"certificateAuthorities": {**AUTHORITIES, "clients": {**AUTHORITIES["clients"], "signing": 2}}},
        whole={"Certificates": BY_CLIENTS_2, "Trust": []},
    ),
    "another authority's clients are admitted": ANOTHER_AUTHORITY_ADMITTED,
    "an authority signs before it is trusted": Case(
        settings={
            "certificateAuthorities": {
                **AUTHORITIES,
                "internode": {**QUICK, "signing": 2, "generations": {1: {}, 2: {}}, "acknowledge": ["sign-2"]},
            }
        },
        breaks=frozenset({"sign-untrusted:internode-2"}),
        whole={
            "Certificates": [
                "`cluster` is **issued anew**: by `internode-2` instead of `internode-1`.",
                "`cluster`: trusted beside it: adds `internode-2`.",
                "authority `internode-2` is **issued**: for 1825 days.",
            ],
            "Trust": ["`internode-2` is **added** to what is trusted."],
        },
    ),
    "an authority goes while certificates in use chain to it": Case(
        settings={
            "certificateAuthorities": {
                **AUTHORITIES,
                "clients": {**QUICK, "generations": {2: {}}, "acknowledge": ["distrust-1", "sign-2"]},
            }
        },
        breaks=frozenset({"distrust-authority:clients-1"}),
        whole={
            "Certificates": [
                *without_clients_1("billing", "cli"),
                "authority `clients-1` is **deleted**; it can be recovered until the vault's retention ends.",
                *without_clients_1("orders", "ui"),
            ],
            "Trust": ["`clients-1` is **removed** from what is trusted."],
        },
    ),
    "the vaults are replaced, and authorities with them": Case(
        settings={"vaults": {"generation": 2}},
        breaks=frozenset(
            {
                *(f"replace-authority:{name}" for name in ("internode-1", "clients-1", "clients-2")),
                *(f"replace-vault:{name}" for name in ("authorities", "leaves")),
            }
        ),
        told={
            "Certificates": ["authority `clients-1` is **replaced**, with another key"],
            "Vaults": ["is **replaced**."],
            "Access": ["**moves** with its vault"],
        },
    ),
    "redirects go, and client secrets are rotated": Case(
        settings={
            "signOn": {
                **SIGN_ON,
                "uiUrl": "https://other.example.com",
                "redirectUris": [],
                "clientSecret": {"rotation": 1},
            }
        },
        breaks=frozenset(
            {
                f"remove-redirect:{CALLBACK}",
                f"remove-redirect:{POSTMAN}",
                *(f"rotate-secret:{name}-client-secret" for name in ("ui", "orders", "billing")),
            }
        ),
        told={
            "Sign-on": [f"removes `{CALLBACK}`, `{POSTMAN}`"],
            "Client secrets": ["`ui-client-secret-odd` is **replaced because `signOn.clientSecret.rotation` changed**"],
        },
    ),
    "firewall, purge protection and the server's name": Case(
        settings={
            "vaults": {
                "purgeProtection": False,
                "network": {"defaultAction": "Deny", "allowedAddresses": ["203.0.113.7"]},
            },
            "frontend": {"serverName": "temporal.example.com", "address": "temporal.example.com:7233"},
        },
        breaks=frozenset(
            {
                "remove-purge-protection:authorities",
                "remove-purge-protection:leaves",
                "remove-server-name:temporal.internal",
            }
        ),
        told={
            "Vaults": [
                "vault `leaves`: `properties.networkAcls.defaultAction` `Allow` becomes `Deny`.",
                "vault `leaves`: `properties.networkAcls.ipRules` `nothing` becomes `203.0.113.7`.",
            ],
            "Certificates": ["`cluster` is **issued anew**: other names: adds `temporal.example.com`"],
            "What clients are told": [
                "the frontend's address: `127.0.0.1:7233` becomes `temporal.example.com:7233`.",
                "the name that they ask the server for: `temporal.internal` becomes `temporal.example.com`.",
            ],
        },
    ),
    "keys move to the state": Case(
        settings={"custody": "state", "access": None},
        breaks=frozenset(
            {
                *(f"replace-authority:{name}" for name in ("internode-1", "clients-1", "clients-2")),
                *(f"delete-vault:{name}" for name in ("authorities", "leaves")),
            }
        ),
        told={
            "Certificates": [
                "authority `clients-1` is **replaced**, with another key.",
                "authority `clients-1` is **deleted**; it can be recovered until the vault's retention ends.",
                "`orders` is **issued**: for 90 days, by `clients-1`.",
            ],
            "Vaults": ["is **deleted**."],
        },
    ),
    "sign-on is switched off": Case(
        settings={"authorization": "none", "signOn": None},
        breaks=frozenset({"remove:sign-on"}),
        told={"Sign-on": ["application `sign-on` is **deleted**."]},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_kind_of_change_is_told_and_what_breaks_fails(stack: ProgramStack, case: Case) -> None:
    """A reviewer approves a change that shuts somebody out, because it is one line among hundreds."""
    text = preview(stack, **case.settings)
    found = assert_told(text, case)
    assert summarise(read(acknowledging(text, set(case.breaks)))).warnings == found.warnings


def assert_told(text: str, case: Case) -> PreviewSummary:
    """Assert that a preview tells what the case says and is more than renewals; return its summary."""
    found = summarise(read(text))
    assert {change.id for change in found.breaking} == case.breaks
    assert found.passes is not bool(case.breaks)
    for title, expected in case.told.items():
        for line in expected:
            assert any(line in change for change in lines(found, title)), (line, lines(found, title))
    assert {title: lines(found, title) for title in case.whole} == case.whole
    assert not [change for section in found.sections for change in section.changes if change.endswith(": .")]
    assert not found.only_renewals
    assert not summarise(read(text), only_renewals=True).passes
    assert summarise(read(acknowledging(text, set(case.breaks)))).passes
    for id in case.breaks:
        assert not summarise(read(acknowledging(text, set(case.breaks) - {id}))).passes
    return found


def test_no_change_is_said_to_be_none_and_an_idle_acknowledgement_is_warned_of(stack: ProgramStack) -> None:
    """An acknowledgement stays in the settings for the next change that happens to have its id."""
    text = preview(stack, acknowledge=["remove-worker:shipping"])
    found = summary_command(text, "--only-renewals")
    assert found.exit_code == 0
    assert "Nothing changes." in found.output
    assert (
        "- Warning: `acknowledge` names `remove-worker:shipping`, and nothing in this preview is that." in found.output
    )


def test_the_settings_acknowledge_exactly_one_change(stack: ProgramStack) -> None:
    """What was accepted once covers whatever else is in the change."""
    text = preview(stack, acknowledge=["remove-worker:billing"], certificates={"orders": {}}, access=None)
    accepted = summary_command(text)
    assert accepted.exit_code == 0, accepted.output
    assert "- Acknowledged `remove-worker:billing`: " in accepted.output
    refused = summary_command(acknowledging(text, {"remove-worker:orders"}))
    assert refused.exit_code == 1
    assert "- **Breaking** `remove-worker:billing`: " in refused.output


def test_renewals_by_the_clock_are_only_renewals(stack: ProgramStack) -> None:
    """The nightly run stops at every renewal, or lets through what somebody else left in the settings."""
    text = preview(stack, days=100)
    found = summary_command(text, "--only-renewals")
    assert found.exit_code == 0, found.output
    assert "Only renewals" in found.output
    assert "- `cluster` is **renewed**; the one in use ends on " in found.output
    assert "-client-secret-even` is **renewed** by the clock" in found.output


def test_a_change_of_trust_that_waits_for_its_day_is_no_renewal(stack: ProgramStack) -> None:
    """By night another authority's clients are let in, beside what is due."""
    assert_more_than_renewals(preview(stack, days=100, **ANOTHER_AUTHORITY_ADMITTED.settings))


def assert_more_than_renewals(text: str) -> None:
    """Certificates are due, and who is trusted beside them changes: the check fails, and says both."""
    found = summary_command(text, "--only-renewals")
    assert found.exit_code == 1, found.output
    assert "- `orders` is **renewed**; " in found.output
    assert "\n- `orders`: trusted beside it: adds `internode-1`.\n" in found.output
    assert "issued anew" not in found.output


def test_the_first_records_of_a_stack_from_before_are_no_renewal(stack: ProgramStack, tmp_path: Path) -> None:
    """By night an upgrade is taken up, and a person is told that every certificate is issued anew."""
    before, file = stack.export(), tmp_path / "state.json"
    forget_standings(stack, file)
    text = preview(stack)
    take(stack, before, file)
    assert_told(text, FIRST_RECORDS)


def backend_files(stack: ProgramStack) -> Iterator[tuple[Path, int, bytes]]:
    for path in sorted(stack.backend.rglob("*")):
        if path.is_file():
            yield path, path.stat().st_mtime_ns, path.read_bytes()


def test_the_preview_identity_changes_nothing_and_can_change_nothing(
    stack: ProgramStack, azure: LocalAzure, hand: Hand
) -> None:
    """Whoever opens a pull request issues certificates, or reads keys, through the identity of its preview."""
    watch, before = Watch(azure), list(backend_files(stack))
    preview(stack, certificates={**CERTIFICATES, "shipping": {}}, days=100)
    assert watch.writes() == []
    assert list(backend_files(stack)) == before
    assert not [request for request in watch.requests("vault") if "/secrets/" in request["path"]]

    up = stack.start("up", "--yes", "--skip-preview", identity=PREVIEWER).wait()
    assert up.exit_status
    assert "Application.ReadWrite.OwnedBy" in up.output
    assert watch.writes() == []

    vaults, facts = stack.outputs()["keyVaults"], stack.facts()
    credential: dict[str, Any] = {
        "credential": hand.sdk.credential(PREVIEWER),
        "verify_challenge_resource": False,
        "retry_total": 0,
        **hand.sdk.trust,
    }
    certificates = CertificateClient(vaults["leaves"]["uri"], **credential)
    signing = CryptographyClient(facts["clients-1"]["keyId"], **credential)
    assert certificates.get_certificate("ui").name == "ui"
    for attempt in (
        lambda: hand.secrets(vaults["leaves"]["uri"], PREVIEWER).get_secret("ui"),
        lambda: signing.sign(SignatureAlgorithm.es256, b"0" * 32),
        lambda: certificates.begin_create_certificate("own", CertificatePolicy.get_default()),
    ):
        with pytest.raises(HttpResponseError) as refused:
            attempt()
        assert refused.value.status_code == 403
