"""What a preview's summary says, passes and refuses: of one real preview, cut to what is read, and of made ones."""

import json
import re
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.hashes import SHA1
from hypothesis import given
from hypothesis import strategies as st

from components.access import VaultRole
from deploy.__main__ import main
from deploy.preview import LONGEST_COMMENT, PreviewSummary, UnusablePreview, drift, read, summarise
from deploy.preview.summary import in_yaml
from deploy.preview.types import VAULT_ROLES
from deploy.preview.words import code
from environment import Deployment, server_config, server_environment
from pki import Subject, load_certificate, to_pem
from provider.inputs import COMPUTED_NAMES, STATE_NAMES
from tests.certificates import authority_policy, issue
from tests.unit.configured import parsed
from tests.unit.previews import (
    APPLICATION,
    AUTHORITY,
    FEDERATED,
    GROUP,
    IDENTIFIER_URI,
    LEAF,
    NAMESPACE,
    PASSWORD,
    READER,
    ROLE,
    SECRET,
    STACK,
    STANDING,
    STATE_AUTHORITY,
    STATE_AUTHORITY_KEY,
    STATE_KEY,
    STATE_LEAF,
    STATE_REQUEST,
    STEP_OF_A_ROLLOVER,
    VAULT,
    WORKER_APPLICATION,
    WORKER_PASSWORD,
    WORKER_ROLE,
    Step,
    certificate,
    outputs,
    preview,
    step,
)

RECORDED = (Path(__file__).parent / "recorded" / "preview.json").read_text()
CALLBACK = "https://temporal.example.com/auth/sso/callback"
BOTH = {"keyType": "EC-P256", "generations": {"1": {}, "2": {}}}


def summary(text: str, **options: bool) -> PreviewSummary:
    return summarise(read(text), **options)


def ids(text: str) -> set[str]:
    return {change.id for change in summary(text).breaking}


def command(text: str, *arguments: str, name: str = "preview-summary") -> Result:
    return CliRunner().invoke(main, [name, *arguments], input=text)


def lines(text: str, title: str) -> list[str]:
    return [change for section in summary(text).sections if section.title == title for change in section.changes]


def password(
    name: str, ends: str, *, changed: str = "endDate", operation: str = "replace", types: str = PASSWORD
) -> Step:
    before = {"endDate": "2027-03-03T00:00:00Z"}
    return step(operation, types, name, before=before, after={"endDate": ends}, changed=(changed,))


def redirects(*uris: str) -> dict[str, Any]:
    return {"web": {"redirectUris": list(uris)}}


def vault(protected: bool | None) -> dict[str, Any]:
    return {"vaultName": "temporal-leaf", "properties": {"enablePurgeProtection": protected} if protected else {}}


def trusting_both(**changes: Any) -> dict[str, Any]:
    known = outputs()
    known["certificates"] |= {"clients-2": certificate("clients-2", "clients-2", "authority"), **changes}
    return known


CLIENTS_2 = {"internode": {}, "clients": {**BOTH, "signing": 2}}
ONLY_2: dict[str, Any] = {"internode": {}, "clients": {"generations": {"2": {}}}}
ON_2 = {name: certificate(name, "clients-2") for name in ("ui", "cli", "default")}
NEW_ENDS = "2027-06-01T00:00:00Z"

IN_STATE: dict[str, Any] = {"custody": "state"}
PAYMENTS = "payments.a1b2c"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What the engine writes for what is not yet known."""

OWN_FILTER, BY_HAND = {"commonName": "default"}, 'filter commonName "by-hand"'


def in_cloud(**namespace: Any) -> dict[str, Any]:
    """Settings of a namespace that the worker `default` connects to, and what else is said of it."""
    return {"temporalCloud": {"namespaces": {PAYMENTS: {"certificates": ["default"], "apply": True, **namespace}}}}


def admits(
    *authorities: str,
    filters: tuple[dict[str, str], ...] = (OWN_FILTER,),
    exclusive: bool = False,
    unmanaged: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The state of a namespace that trusts these."""
    return {
        "certificateAuthoritiesPem": [authority_pem(name) for name in authorities],
        "filters": list(filters),
        "exclusive": exclusive,
        "namespace": PAYMENTS,
        "unmanaged": list(unmanaged),
    }


@cache
def authority_pem(name: str) -> str:
    return to_pem(issue(authority_policy(subject=Subject(common_name=name))).certificate)


def access(before: dict[str, Any], after: dict[str, Any], *changed: str, operation: str = "update") -> Step:
    return step(operation, NAMESPACE, PAYMENTS, before=before, after=after, changed=changed)


BREAKING: dict[str, tuple[str, set[str]]] = {
    "an authority is replaced": (
        preview(step("replace", AUTHORITY, "clients-1", changed=("vaultId",))),
        {"replace-authority:clients-1"},
    ),
    "an authority that was deleted by hand is made again": (
        preview(step("create", AUTHORITY, "clients-1", after={"policy": {}})),
        {"replace-authority:clients-1"},
    ),
    "an authority goes while leaves chain to it": (
        preview(before=trusting_both(), certificateAuthorities=ONLY_2),
        {"distrust-authority:clients-1"},
    ),
    "the last certificates of an authority move to another, which ends its trust": (
        preview(
            before=trusting_both(),
            certificateAuthorities={"internode": {}, "clients": {}, "partners": {}},
            certificates={name: {"issuer": "partners"} for name in ("ui", "cli", "default")},
        ),
        {"distrust-authority:clients-1", "sign-untrusted:partners-1"},
    ),
    "a generation signs before it is trusted": (
        preview(certificateAuthorities=CLIENTS_2),
        {"sign-untrusted:clients-2"},
    ),
    "a client's certificate comes from the internode authority": (
        preview(certificates={"default": {"issuer": "internode"}}),
        {"sign-untrusted:internode-1"},
    ),
    "the server's name changes": (
        preview(frontend={"serverName": "temporal.example.com"}),
        {"remove-server-name:temporal.internal"},
    ),
    "an address goes from the server's certificate": (
        preview(
            before=trusting_both(
                cluster=certificate(
                    "cluster", "internode-1", "node", dnsNames=["Temporal.Internal"], ipAddresses=["::1"]
                )
            )
        ),
        {"remove-server-name:::1"},
    ),
    "a worker goes": (preview(certificates={"orders": {}}), {"remove-worker:default"}),
    "a vault is replaced": (preview(step("replace", VAULT, "leaves", before=vault(True))), {"replace-vault:leaves"}),
    "a vault is deleted": (preview(step("delete", VAULT, "leaves", before=vault(True))), {"delete-vault:leaves"}),
    "the resource group is replaced": (
        preview(step("replace", GROUP, "temporal")),
        {"replace-resource-group:temporal"},
    ),
    "purge protection goes": (
        preview(step("update", VAULT, "leaves", before=vault(True), after=vault(None))),
        {"remove-purge-protection:leaves"},
    ),
    "a redirect goes": (
        preview(step("update", APPLICATION, "sign-on", before=redirects(CALLBACK), after=redirects("https://other/"))),
        {f"remove-redirect:{CALLBACK}"},
    ),
    "the application is replaced, and with it every worker's role": (
        preview(step("replace", APPLICATION, "sign-on"), step("replace", WORKER_ROLE, "default.default-write")),
        {"replace-application:sign-on"},
    ),
    "the application was deleted by hand": (
        preview(step("create", APPLICATION, "sign-on")),
        {"replace-application:sign-on"},
    ),
    "a worker's application is replaced": (
        preview(step("replace", WORKER_APPLICATION, "default")),
        {"replace-application:default"},
    ),
    "a worker gets a managed identity": (
        preview(
            step("delete", WORKER_APPLICATION, "default"),
            step("replace", WORKER_ROLE, "default.default-write"),
            password("default-client-secret-even", NEW_ENDS, operation="delete", types=WORKER_PASSWORD),
            password("default-client-secret-odd", NEW_ENDS, operation="delete", types=WORKER_PASSWORD),
        ),
        {"delete-application:default"},
    ),
    "the identifier URI changes": (
        preview(step("replace", IDENTIFIER_URI, "sign-on")),
        {"change-audience:sign-on"},
    ),
    "a worker loses a role": (
        preview(step("delete", WORKER_ROLE, "default.default-write")),
        {"revoke-role:default.default-write"},
    ),
    "a worker's federated credential goes": (
        preview(step("delete", FEDERATED, "default-8124cf3a97", before={"subject": "system:default"})),
        {"remove-federated-credential:default-8124cf3a97"},
    ),
    "both client secrets are replaced by hand": (
        preview(
            password("ui-client-secret-even", "2027-03-03T00:00:00Z", changed="rotateWhenChanged.rotation"),
            password("ui-client-secret-odd", "2027-03-03T00:00:00Z", changed="rotateWhenChanged.rotation"),
        ),
        {"rotate-secret:ui-client-secret"},
    ),
    "both are replaced for a shorter validity, while one is in use": (
        preview(
            password("ui-client-secret-even", "2026-12-20T00:00:00Z"),
            password("ui-client-secret-odd", "2027-01-10T00:00:00Z"),
            signOn={"clientSecret": {"validityDays": 40}},
        ),
        {"rotate-secret:ui-client-secret"},
    ),
    "a worker's client secrets go": (
        preview(
            password("default-client-secret-even", NEW_ENDS, operation="delete", types=WORKER_PASSWORD),
            password("default-client-secret-odd", NEW_ENDS, operation="delete", types=WORKER_PASSWORD),
        ),
        {"delete-secret:default-client-secret"},
    ),
    "sign-on is switched off": (
        preview(
            step("delete", APPLICATION, "sign-on"), step("delete", WORKER_APPLICATION, "default"), authorization="none"
        ),
        {"remove:sign-on"},
    ),
    "sign-on is switched on": (preview(before=outputs(signOn={})), {"require:sign-on"}),
    "in the state, an authority's key is made anew": (
        preview(step("replace", STATE_AUTHORITY_KEY, "clients-1"), **IN_STATE),
        {"replace-authority:clients-1"},
    ),
    "in the state, an authority that somebody took out is made again": (
        preview(
            step("create", STATE_AUTHORITY_KEY, "clients-1"),
            step("create", STATE_AUTHORITY, "clients-1", after={"policy": {}}),
            **IN_STATE,
        ),
        {"replace-authority:clients-1"},
    ),
    "keys move from a vault to the state": (
        preview(
            step("create", STATE_AUTHORITY_KEY, "clients-1"),
            step("create", STATE_AUTHORITY, "clients-1", after={"policy": {}}),
            step("delete", AUTHORITY, "clients-1"),
            **IN_STATE,
        ),
        {"replace-authority:clients-1"},
    ),
    "in the state, an authority goes while leaves chain to it": (
        preview(
            step("delete", STATE_AUTHORITY, "clients-1"),
            step("delete", STATE_AUTHORITY_KEY, "clients-1"),
            before=trusting_both(),
            certificateAuthorities=ONLY_2,
            **IN_STATE,
        ),
        {"distrust-authority:clients-1"},
    ),
    "in the state, a worker goes": (
        preview(step("delete", STATE_LEAF, "default"), certificates={"orders": {}}, **IN_STATE),
        {"remove-worker:default"},
    ),
    "a namespace trusts an authority no more while a certificate in use chains to it": (
        preview(
            access(admits("clients-1", "clients-2"), admits("clients-2"), "certificateAuthoritiesPem"),
            before=trusting_both(ui=certificate("ui", "clients-2"), cli=certificate("cli", "clients-2")),
            certificateAuthorities=ONLY_2,
            **in_cloud(),
        ),
        {"distrust-authority:clients-1", f"distrust-in-namespace:{PAYMENTS}/clients-1"},
    ),
    "a namespace gets another authority of the same name": (
        preview(
            step("replace", STATE_AUTHORITY_KEY, "clients-1"),
            access(admits("clients-1"), admits() | {"certificateAuthoritiesPem": UNKNOWN}, "certificateAuthoritiesPem"),
            **IN_STATE,
            **in_cloud(),
        ),
        {"replace-authority:clients-1", f"distrust-in-namespace:{PAYMENTS}/clients-1"},
    ),
    "no filter matches the certificate that a worker has": (
        preview(
            access(admits("clients-1"), admits("clients-1", filters=({"commonName": "other"},)), "filters"),
            **in_cloud(),
        ),
        {f"filter-out:{PAYMENTS}/default"},
    ),
    "a filter goes that lets in two, one of them by its address alone": (
        preview(
            access(
                admits("clients-1", filters=({"subjectAlternativeName": "10.0.0.*"}, OWN_FILTER)),
                admits("clients-1"),
                "filters",
            ),
            before=trusting_both(ui=certificate("ui", "clients-1", ipAddresses=["10.0.0.7"])),
            certificateAuthorities={"internode": {}, "clients": BOTH},
            **in_cloud(),
        ),
        {f"filter-out:{PAYMENTS}/ui"},
    ),
    "`up` sets a namespace no more": (
        preview(access(admits("clients-1"), {}, operation="delete"), **in_cloud(apply=False)),
        {f"close-namespace:{PAYMENTS}"},
    ),
    "a namespace's access is replaced, which takes it away once it is set again": (
        preview(access(admits("clients-1"), admits("clients-1"), operation="replace"), **in_cloud()),
        {f"close-namespace:{PAYMENTS}"},
    ),
    "what somebody else added to a namespace is taken away": (
        preview(
            access(admits("clients-1", unmanaged=(BY_HAND,)), admits("clients-1", exclusive=True), "exclusive"),
            **in_cloud(exclusive=True),
        ),
        {f"evict-others:{PAYMENTS}/{sha256(BY_HAND.encode()).hexdigest()[:10]}"},
    ),
}

HARMLESS: dict[str, str] = {
    "nothing": preview(),
    "the first up": preview(step("create", AUTHORITY, "clients-1", after={"policy": {}}), before={}),
    "an authority is renewed with its key": preview(step("update", AUTHORITY, "clients-1", changed=("renewal",))),
    "a generation is trusted": preview(certificateAuthorities={"internode": {}, "clients": BOTH}),
    "a trusted generation signs": preview(before=trusting_both(), certificateAuthorities=CLIENTS_2),
    "an authority goes that nothing chains to": preview(before=trusting_both(**ON_2), certificateAuthorities=ONLY_2),
    "the server's name changes beside the old one": preview(
        frontend={"serverName": "temporal.example.com"},
        certificates={"cluster": {"dnsNames": ["temporal.example.com", "temporal.internal"]}, "default": {}},
    ),
    "a worker comes": preview(certificates={"default": {}, "orders": {}}),
    "a vault is made": preview(step("create", VAULT, "leaves", after=vault(True))),
    "purge protection comes": preview(step("update", VAULT, "leaves", before=vault(None), after=vault(True))),
    "a redirect comes": preview(
        step("update", APPLICATION, "sign-on", before=redirects(CALLBACK), after=redirects(CALLBACK, "https://other/"))
    ),
    "a worker gets a role": preview(step("create", WORKER_ROLE, "default.default-read")),
    "a person loses a role": preview(step("delete", ROLE, "default-write-1")),
    "one client secret is replaced by the clock": preview(password("ui-client-secret-even", NEW_ENDS)),
    "both are, after so long that neither is valid": preview(
        password("ui-client-secret-even", "2027-08-30T00:00:00Z"), password("ui-client-secret-odd", NEW_ENDS)
    ),
    "no sign-on before or after": preview(before=outputs(signOn={}), authorization="none"),
    "in the state, the first up": preview(
        step("create", STATE_AUTHORITY_KEY, "clients-1"),
        step("create", STATE_AUTHORITY, "clients-1", after={"policy": {}}),
        before={},
        **IN_STATE,
    ),
    "in the state, an authority is renewed with its key": preview(
        step("update", STATE_AUTHORITY, "clients-1", changed=("renewal",)), **IN_STATE
    ),
    "in the state, an authority's certificate is made again with the key that it has": preview(
        step("create", STATE_AUTHORITY, "clients-1", after={"policy": {}}), **IN_STATE
    ),
    "in the state, a leaf gets another key": preview(
        step("replace", STATE_KEY, "default", changed=("ecdsaCurve",)),
        step("replace", STATE_LEAF, "default", changed=("certRequestPem",)),
        **IN_STATE,
    ),
    "a namespace trusts an authority no more that nothing there chains to": preview(
        access(admits("clients-1", "clients-2"), admits("clients-2"), "certificateAuthoritiesPem"),
        before=trusting_both(**ON_2),
        certificateAuthorities=ONLY_2,
        **in_cloud(),
    ),
    "an authority of a namespace is renewed with its key": preview(
        step("update", AUTHORITY, "clients-1", changed=("renewal",)),
        access(admits("clients-1"), admits() | {"certificateAuthoritiesPem": UNKNOWN}, "certificateAuthoritiesPem"),
        **in_cloud(),
    ),
    "a filter goes, and another one matches whoever came in": preview(
        access(admits("clients-1"), admits("clients-1", filters=({"commonName": "DEF*"},)), "filters"), **in_cloud()
    ),
    "a namespace is set no more that nobody in use comes in to": preview(
        access(admits("clients-1", filters=({"commonName": "gone"},)), {}, operation="delete")
    ),
    "what somebody else added becomes the stack's own": preview(
        access(
            admits("clients-1", unmanaged=(BY_HAND,)),
            admits("clients-1", filters=(OWN_FILTER, {"commonName": "by-hand"}), exclusive=True),
            "exclusive",
            "filters",
        ),
        **in_cloud(exclusive=True),
    ),
}


@pytest.mark.parametrize(("text", "expected"), BREAKING.values(), ids=BREAKING)
def test_what_breaks_clients_fails_unless_exactly_that_is_acknowledged(text: str, expected: set[str]) -> None:
    """A change that shuts clients out is one line among hundreds, or what was once accepted covers the next one."""
    assert ids(text) == expected
    refused = command(text)
    assert refused.exit_code == 1
    for change in summary(text).breaking:
        assert f"- **Breaking** `{change.id}`: {change.what} {change.consequence}\n  - Instead: {change.fix}\n" in (
            refused.output
        )
    (offered,) = re.findall(r"```yaml\n(.*?)```", refused.output, re.DOTALL)
    assert set(yaml.safe_load(offered)["config"]["temporal-azure:acknowledge"]) == expected
    document = json.loads(text)
    document["config"]["temporal-azure:acknowledge"] = json.dumps(sorted(expected))
    assert command(json.dumps(document)).exit_code == 0
    document["config"]["temporal-azure:acknowledge"] = json.dumps([f"{id}x" for id in expected])
    other = summary(json.dumps(document))
    assert not other.passes
    assert len(other.warnings) == len(expected)


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_what_breaks_nobody_passes(text: str) -> None:
    """A check that always fails is acknowledged unread."""
    assert ids(text) == set()
    assert command(text).exit_code == 0


def test_a_real_preview_is_told_line_by_line() -> None:
    """A reviewer looks for what is not there, or finds it under another name."""
    found = command(RECORDED)
    assert found.exit_code == 1
    assert found.output.startswith("<!-- preview-summary: rec -->\n## Preview of `rec`\n\n**2 changes break clients")
    for line in (
        "- `orders` is **issued anew**: by `clients-2` instead of `clients-1`; other names: adds `orders.internal`.",
        "- `cluster` is **renewed**; the one in use ends on `2027-02-23`.",
        "- `shipping` is **issued**: for 90 days, by `clients-2`.",
        "- `billing` is **deleted**; it can be recovered until the vault's retention ends.",
        "- `clients-2` is **added** to what is trusted.",
        "- worker `billing` **loses** the role `default:write`.",
        "- ServicePrincipal `2c588c48-d5cd-45eb-acb8-6472eb38484a` (who ran the first `up`) **gains** `Key Vault "
        "Secrets Officer` on the secret `shipping-client-secret` in `temporal-leaf-hd4jphlj3j`.",
        "- `ui-client-secret-odd` is **renewed** by the clock; the new one ends on `2027-06-01`.",
        "- `ServicePrincipal created`: 1",
        "40 resources stay as they are.",
    ):
        assert f"\n{line}\n" in found.output


def test_for_programs_it_is_json() -> None:
    """Whoever wants to know one thing parses Markdown."""
    found = command(RECORDED, "--json")
    assert found.exit_code == 1
    document = json.loads(found.output)
    assert {change["id"] for change in document["breaking"]} == {"remove-worker:billing", "sign-untrusted:clients-2"}
    assert document["onlyRenewals"] is False


def test_a_file_is_read_as_well_as_standard_input(tmp_path: Path) -> None:
    """Half the workflows would need a pipe, and lose the engine's exit status with it."""
    (tmp_path / "preview.json").write_text(RECORDED)
    assert command("", str(tmp_path / "preview.json")).output == command(RECORDED).output
    assert command("", str(tmp_path / "missing.json")).exit_code == 2


RENEWAL = step("update", LEAF, "ui", changed=("notAfter",))
STATE_RENEWAL = step("replace", STATE_LEAF, "ui", changed=("readyForRenewal",))
SECRET_RENEWAL = step("update", SECRET, "ui-client-secret", changed=("notAfter", "value"))


def standing(*changed: str) -> Step:
    return step("update", STANDING, "ui", changed=changed)


@pytest.mark.parametrize(
    ("steps", "passes"),
    [
        ([], True),
        ([RENEWAL], True),
        ([RENEWAL, password("ui-client-secret-even", NEW_ENDS), SECRET_RENEWAL], True),
        ([step("update", "pulumi:providers:azuread", "directory")], True),
        ([STATE_RENEWAL, standing("certificatePem")], True),
        ([STATE_RENEWAL, standing("certificatePem", "trusted[1]")], False),
        ([STATE_RENEWAL, standing("trusted[1]")], False),
        ([STATE_RENEWAL, standing("certificatePem", "role")], False),
        ([STATE_RENEWAL, standing("certificatePem"), step("update", STEP_OF_A_ROLLOVER, "ui")], False),
        ([STATE_RENEWAL, standing()], False),
        ([STATE_RENEWAL, step("create", STANDING, "ui"), step("create", STEP_OF_A_ROLLOVER, "ui")], False),
        ([standing("certificatePem")], False),
        ([standing("certificatePem"), step("replace", STATE_LEAF, "cli", changed=("readyForRenewal",))], False),
        ([standing("trusted[1]"), step("update", STEP_OF_A_ROLLOVER, "ui", changed=("trusted[1]",))], False),
        ([step("update", STEP_OF_A_ROLLOVER, "ui", changed=("issuedBy",))], False),
        ([step("update", LEAF, "ui", changed=("notAfter", "trusted[1]"))], False),
        ([step("update", LEAF, "ui", changed=("issuedBy", "trusted"))], False),
        ([step("replace", STATE_LEAF, "ui", changed=("readyForRenewal", "certPem", "validityEndTime"))], True),
        ([step("replace", STATE_LEAF, "ui", changed=("certPem", "validityEndTime"))], False),
        ([step("replace", STATE_LEAF, "ui", changed=("readyForRenewal", "certRequestPem"))], False),
        ([step("replace", STATE_LEAF, "ui")], False),
        ([step("replace", STATE_KEY, "ui")], False),
        ([step("update", STATE_AUTHORITY, "clients-1", changed=("renewal",))], False),
        ([access(admits(), admits(), "timeoutSeconds")], False),
        ([step("update", LEAF, "ui", changed=("notAfter", "policy.keyType"))], False),
        ([step("update", LEAF, "ui", changed=("certificatePem",))], False),
        ([step("update", LEAF, "ui", changed=("tags.team",))], False),
        ([step("replace", LEAF, "ui", changed=("notAfter",))], False),
        ([step("update", LEAF, "ui")], False),
        ([RENEWAL, step("create", LEAF, "orders", after={"policy": {}})], False),
        ([step("update", AUTHORITY, "clients-1", changed=("renewal",))], False),
        ([step("update", SECRET, "ui-client-secret", changed=("value",))], False),
        ([password("ui-client-secret-even", NEW_ENDS, changed="rotateWhenChanged.rotation")], False),
        ([step("delete", ROLE, "default-write-1")], False),
    ],
)
def test_at_night_only_the_clock_may_be_the_reason(steps: list[Step], passes: bool) -> None:
    """What somebody left in the settings goes up while nobody looks."""
    text = preview(*steps)
    assert command(text, "--only-renewals").exit_code == (0 if passes else 1)
    assert command(text).exit_code == 0


def test_acknowledged_or_not_what_breaks_is_no_renewal() -> None:
    """An acknowledgement that waits for its day is carried out by night."""
    text = preview(certificates={"orders": {}}, acknowledge=["remove-worker:default"])
    assert command(text).exit_code == 0
    assert command(text, "--only-renewals").exit_code == 1


PEOPLE = [{"user": "ada@contoso.example"}, {"group": "Engineers"}]


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        (PEOPLE, "`id-1` (one of `user ada@contoso.example`, `group Engineers`) **gains** the role `default:write`."),
        (PEOPLE[:1], "`id-1` (`user ada@contoso.example`) **gains** the role `default:write`."),
        ([], "`id-1` **gains** the role `default:write`."),
    ],
)
def test_people_are_named_as_far_as_the_preview_knows_them(people: list[Any], expected: str) -> None:
    """A reviewer approves an object ID."""
    gains = step("create", ROLE, "default-write-id-1", after={"appRoleId": "role-1", "principalObjectId": "id-1"})
    assert lines(preview(gains, signOn={"roles": {"default:write": people}}), "Access") == [expected]
    known = {"appRoleId": "role-1", "principalObjectId": "id-1", "principalDisplayName": "Ada Lovelace"}
    keeps = step("same", ROLE, "default-read-id-1", before=known)
    expected = f"`Ada Lovelace` ({expected.partition(' ')[0]}) {expected.partition(' ')[2]}"
    assert lines(preview(gains, keeps, signOn={"roles": {"default:write": people}}), "Access") == [expected]
    loses = step("delete", ROLE, "default-write-id-1", before=known)
    assert lines(preview(loses), "Access") == ["`Ada Lovelace` (`id-1`) **loses** the role `default:write`."]


def test_who_reads_which_key_is_told() -> None:
    """Somebody else reads a worker's key, and the review shows a GUID of a role definition."""
    given_role = {
        "roleDefinitionId": f"/subscriptions/s/roleDefinitions/{VaultRole.SECRETS_USER.definition}",
        "principalId": "id-1",
        "principalType": "Group",
        "scope": "subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v/secrets/orders",
    }
    found = lines(preview(step("create", READER, "orders-secrets-user-id-1", after=given_role)), "Access")
    assert found == ["Group `id-1` **gains** `Key Vault Secrets User` on the secret `orders` in `v`."]
    moved = {**given_role, "scope": "unknown"}
    moves = step("replace", READER, "orders-secrets-user-id-1", before=given_role, after=moved)
    (line,) = lines(preview(moves), "Access")
    assert line == "role assignment `orders-secrets-user-id-1` **moves** with its vault; nobody gains or loses by that."


def test_roles_have_the_names_that_azure_gives_them() -> None:
    """The summary's table is not the program's, and would fall behind it."""
    assert {role.definition: role.title for role in VaultRole} == VAULT_ROLES


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (("policy.keyType", "policy.keyUsage"), "`ui` is **issued anew**: another type of key; another policy."),
        (("certificatePem",), "`ui` is **issued anew**: what is in the vault is not what is asked for."),
        (("tags.team",), "`ui` gets other tags, and is not issued anew."),
        (("issuer.keyId",), "`ui` gets its authority's renewed certificate, and is not issued anew."),
        (("issuer", "policy.validityDays"), "`ui` is **issued anew**: by `clients-1` as it is now; another validity."),
        (("issuedPem",), "`ui` is **issued anew**: another certificate was brought for it."),
        (("signingRequestPem",), "`ui` is **issued anew**: its signing request was lost."),
        (("elsewhere.deep",), "`ui` is **issued anew**: `elsewhere`."),
        ((), "`ui` is **issued anew**."),
    ],
)
def test_why_a_certificate_is_issued_anew_is_said(changed: tuple[str, ...], expected: str) -> None:
    """A reviewer sees seven new certificates, and not the one setting behind them."""
    assert lines(preview(step("update", LEAF, "ui", changed=changed)), "Certificates") == [expected]


def in_state(*changed: str, operation: str = "replace", hours: int = 2160) -> Step:
    inputs = {"validityPeriodHours": hours, "caPrivateKeyPem": "[secret]"}
    known = {**inputs, "validityEndTime": "2027-02-26T12:00:00Z"}
    return step(operation, STATE_LEAF, "ui", before=inputs, outputs=known, changed=changed)


STATE_RENEWAL_OF_UI = in_state("readyForRenewal")
TRUSTS_ONE = {"issuedBy": "clients-1", "trusted": ["clients-1"]}
TRUSTS_TWO = {"issuedBy": "clients-1", "trusted": ["clients-1", "partners-1"]}
UNRECORDED: dict[str, Any] = {}
STAYS = "`ui` stays as it is; trusted beside it: adds `partners-1`."
BESIDE = "`ui`: trusted beside it: adds `partners-1`."
BROUGHT_UP_TO_DATE = (
    "`ui` stays as it is; its record is brought up to date: issued by `clients-1`, trusted beside it `clients-1`, "
    "`partners-1`."
)
RENEWED = "`ui` is **renewed**; the one in use ends on `2027-02-26`."
ENDS = {"notAfter": "2027-02-26T12:00:00Z"}


def recorded(types: str, before: dict[str, Any], *changed: str, after: dict[str, Any] = TRUSTS_TWO) -> Step:
    """A change of a leaf's record, in a vault or in the state, and of what else is named."""
    return step("update", types, "ui", before=before, after=after, outputs={**before, **ENDS}, changed=changed)


def records(before: dict[str, Any], *changed: str, after: dict[str, Any] = TRUSTS_TWO) -> list[Step]:
    """The two records beside a leaf in the state, of which the standing changes in what is named besides."""
    return [
        recorded(STEP_OF_A_ROLLOVER, before, "trusted[1]", after=after),
        recorded(STANDING, before, "trusted[1]", *changed, after=after),
    ]


def created_records() -> list[Step]:
    return [step("create", record, "ui", after=TRUSTS_TWO) for record in (STEP_OF_A_ROLLOVER, STANDING)]


@pytest.mark.parametrize(
    ("in_vault", "in_state", "expected"),
    [
        ([recorded(LEAF, TRUSTS_ONE, "trusted[1]")], records(TRUSTS_ONE), [STAYS]),
        ([recorded(LEAF, TRUSTS_ONE, "trusted")], [recorded(STANDING, TRUSTS_ONE, "trusted")], [STAYS]),
        (
            [recorded(LEAF, TRUSTS_TWO, "trusted", after=TRUSTS_ONE)],
            records(TRUSTS_TWO, after=TRUSTS_ONE),
            ["`ui` stays as it is; trusted beside it: removes `partners-1`."],
        ),
        ([recorded(LEAF, UNRECORDED, "issuedBy", "trusted")], created_records(), [BROUGHT_UP_TO_DATE]),
        (
            [recorded(LEAF, {**TRUSTS_TWO, "issuedBy": "clients-0"}, "issuedBy")],
            [recorded(STEP_OF_A_ROLLOVER, {**TRUSTS_TWO, "issuedBy": "clients-0"}, "issuedBy")],
            [BROUGHT_UP_TO_DATE],
        ),
        (
            [recorded(LEAF, TRUSTS_ONE, "notAfter", "trusted[1]")],
            [STATE_RENEWAL_OF_UI, *records(TRUSTS_ONE, "certificatePem")],
            [RENEWED, BESIDE],
        ),
        (
            [recorded(LEAF, UNRECORDED, "notAfter", "issuedBy", "trusted")],
            [STATE_RENEWAL_OF_UI, *created_records()],
            [RENEWED],
        ),
        (
            [
                recorded(LEAF, TRUSTS_ONE, "issuer.certificatePem", "trusted[1]"),
                step("update", AUTHORITY, "clients-1", changed=("renewal",)),
            ],
            [
                *records(TRUSTS_ONE, "certificatePem"),
                step("update", STATE_AUTHORITY, "clients-1", changed=("renewal",)),
            ],
            ["`ui` gets its authority's renewed certificate, and is not issued anew.", BESIDE],
        ),
        (
            [recorded(LEAF, TRUSTS_ONE, "policy.validityDays", "trusted[1]")],
            [in_state("validityPeriodHours"), *records(TRUSTS_ONE, "certificatePem")],
            ["`ui` is **issued anew**: another validity.", BESIDE],
        ),
    ],
)
def test_a_change_of_trust_is_told_in_the_same_words_wherever_keys_are(
    in_vault: list[Step], in_state: list[Step], expected: list[str]
) -> None:
    """A leaf that stays is read as one that is issued anew, or whoever gets in beside it is not read of at all."""
    for text in (preview(*in_vault), preview(*in_state, **IN_STATE)):
        found = summary(text)
        told = [line for section in found.sections for line in section.changes]
        assert [line for line in told if not line.startswith("authority ")] == expected
        assert found.others == {}
        assert not found.only_renewals


@given(
    before=st.sampled_from([UNRECORDED, TRUSTS_ONE, TRUSTS_TWO]),
    changed=st.sets(st.sampled_from([*STATE_NAMES, *COMPUTED_NAMES, "policy.keyType", "tags.team", "trusted[1]"])),
    is_authority=st.booleans(),
)
def test_whatever_changes_of_a_certificate_no_line_lacks_its_reason(
    before: dict[str, Any], changed: set[str], is_authority: bool
) -> None:
    """A line that breaks off is read as nothing, and certificates are issued anew without a reason."""
    one = recorded(AUTHORITY if is_authority else LEAF, before, *sorted(changed))
    (first, *others) = lines(preview(one), "Certificates")
    assert not [line for line in (first, *others) if line.endswith((": .", ":", " .")) or "; ." in line]
    assert ("issued anew**:" in first) == ("issued anew**" in first and bool(changed))
    assert summary(preview(one)).only_renewals == (changed == {"notAfter"})


def test_a_vaults_tags_are_told_beside_what_else_changes() -> None:
    """Tags are taken for the reason of a renewal, or hide that somebody else is trusted."""
    renewed = recorded(LEAF, TRUSTS_ONE, "notAfter", "tags.team")
    assert lines(preview(renewed), "Certificates") == [RENEWED, "`ui` gets other tags."]
    trusting = recorded(LEAF, TRUSTS_ONE, "tags.team", "trusted[1]")
    assert lines(preview(trusting), "Certificates") == ["`ui` gets other tags, and is not issued anew.", BESIDE]


def test_what_an_interrupted_up_issued_is_told_when_it_is_handed_out() -> None:
    """The check fails for a change that the summary does not name."""
    text = preview(recorded(STANDING, TRUSTS_ONE, "certificatePem", after=TRUSTS_ONE), **IN_STATE)
    assert lines(text, "Certificates") == ["`ui` was issued by an `up` that ended too early, and is **handed out**."]


ALL_BY_INTERNODE = {name: {"issuer": "internode"} for name in ("ui", "cli", "default")}
ADMITTED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "another authority": (
        {"frontend": {"authorities": ["clients", "internode"]}},
        ["clients of `internode-1` are **admitted** by the frontend."],
    ),
    "one for another": (
        {"frontend": {"authorities": ["internode"]}, "certificates": ALL_BY_INTERNODE},
        [
            "clients of `internode-1` are **admitted** by the frontend.",
            "clients of `clients-1` are **admitted no more** by the frontend.",
        ],
    ),
    "a new one": (
        {"certificateAuthorities": {"internode": {}, "clients": BOTH}},
        ["`clients-2` is **added** to what is trusted."],
    ),
}


@pytest.mark.parametrize(("changed", "expected"), ADMITTED.values(), ids=ADMITTED)
def test_whose_clients_get_in_is_told(changed: dict[str, Any], expected: list[str]) -> None:
    """Another authority's clients are let in by a change that looks like a matter of records."""
    for custody in ({}, IN_STATE):
        assert lines(preview(**changed, **custody), "Trust") == expected


def test_an_authority_that_waits_for_its_certificate_is_not_trusted_yet() -> None:
    """Every preview tells of it again, until its certificate is brought and it is trusted indeed."""
    outer = to_pem(issue(authority_policy(subject=Subject(common_name="outer"), path_length=1)).certificate)
    authorities = {
        "internode": {},
        "clients": {},
        "outer": {"generations": {"1": {"certificatePem": outer}}},
        "partners": {"issuer": "outer"},
    }
    assert lines(preview(certificateAuthorities=authorities), "Trust") == ["`outer-1` is **added** to what is trusted."]


REQUEST = {"dnsNames": ["a.example.com"], "uris": ["spiffe://example.com/ui"]}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([in_state("readyForRenewal")], "`ui` is **renewed**; the one in use ends on `2027-02-26`."),
        (
            [in_state(operation="create"), step("create", STATE_REQUEST, "ui", after=REQUEST)],
            "`ui` is **issued**: for 90 days, by `clients-1`, names `a.example.com`, `spiffe://example.com/ui`.",
        ),
        (
            [in_state(operation="delete"), step("delete", STATE_REQUEST, "ui"), step("delete", STATE_KEY, "ui")],
            "`ui` is **deleted**, with its private key.",
        ),
        (
            [in_state("certRequestPem"), step("replace", STATE_KEY, "ui", changed=("ecdsaCurve",))],
            "`ui` is **issued anew**: another type of key.",
        ),
        (
            [in_state("certRequestPem"), step("replace", STATE_KEY, "ui")],
            "`ui` is **issued anew**: another private key.",
        ),
        (
            [
                in_state("certRequestPem", "validityPeriodHours"),
                step(
                    "replace",
                    STATE_REQUEST,
                    "ui",
                    before=REQUEST,
                    after={"dnsNames": ["b.example.com"], "uris": REQUEST["uris"]},
                    changed=("dnsNames[0]", "subject.organization"),
                ),
            ],
            "`ui` is **issued anew**: another subject; other names: adds `b.example.com`; removes `a.example.com`; "
            "another validity.",
        ),
        ([in_state("caPrivateKeyPem")], "`ui` is **issued anew**: by `clients-1` as it is now."),
        ([in_state()], "`ui` is **issued anew**."),
        (
            [in_state("earlyRenewalHours", operation="update")],
            "`ui` gets another renewal window, and is not issued anew.",
        ),
        (
            [
                step("delete", STATE_AUTHORITY, "old-1", before={"policy": {}}),
                step("delete", STATE_AUTHORITY_KEY, "old-1"),
            ],
            "authority `old-1` is **deleted**, with its private key.",
        ),
        (
            [step("update", STATE_AUTHORITY, "clients-1", changed=("renewal",))],
            "authority `clients-1` is **issued anew**, with its key: its `renewal` was counted up.",
        ),
        (
            [
                step("create", STATE_AUTHORITY_KEY, "new-1"),
                step("create", STATE_AUTHORITY, "new-1", after={"policy": {"validityDays": 1825}}),
            ],
            "authority `new-1` is **issued**: for 1825 days.",
        ),
        (
            [
                step("replace", STATE_AUTHORITY_KEY, "clients-1"),
                step("update", STATE_AUTHORITY, "clients-1", changed=("renewal",)),
            ],
            "authority `clients-1` is **replaced**, with another key.",
        ),
    ],
)
def test_in_the_state_a_certificate_is_told_in_one_line_whatever_it_is_made_of(
    steps: list[Step], expected: str
) -> None:
    """A reviewer counts keys and requests, and does not see which certificate is another one, or why."""
    handed_out = (
        [recorded(STANDING, TRUSTS_ONE, "certificatePem", after=TRUSTS_ONE)]
        if any(STATE_LEAF in each["urn"] for each in steps)
        else []
    )
    found = summary(preview(*steps, *handed_out, **IN_STATE))
    assert [line for section in found.sections for line in section.changes] == [expected]
    assert found.others == {}


def fingerprint(name: str) -> str:
    return load_certificate(authority_pem(name)).fingerprint(SHA1()).hex()


CLIENTS_1, CLIENTS_2_SHOWN = (f"`{name}` (`{fingerprint(name)}`)" for name in ("clients-1", "clients-2"))
NEW = {"certificateAuthoritiesPem": UNKNOWN}


@pytest.mark.parametrize(
    ("step_of_access", "expected"),
    [
        (
            access({}, admits("clients-1", "clients-2"), operation="create"),
            [
                f"the CA certificate of {CLIENTS_1} is **added**.",
                f"the CA certificate of {CLIENTS_2_SHOWN} is **added**.",
                'the filter `commonName "default"` is **added**.',
            ],
        ),
        (
            access(admits("clients-1"), admits() | NEW, "certificateAuthoritiesPem"),
            ["the CA certificate of `clients-2` is **added**."],
        ),
        (
            access(admits("clients-1", "clients-2", "somebody"), admits("clients-1", "clients-2"), "filters"),
            [f"the CA certificate of `CN=somebody` (`{fingerprint('somebody')}`) is **removed**."],
        ),
        (
            access(
                admits("clients-1", "clients-2"),
                admits("clients-1", "clients-2", filters=({"organization": "Käse"}, OWN_FILTER)),
                "filters",
            ),
            ['the filter `organization "Käse"` is **added**.'],
        ),
        (
            access(admits("clients-1", "clients-2"), admits("clients-1", "clients-2", filters=()), "filters"),
            [
                'the filter `commonName "default"` is **removed**.',
                "**no filter is left**: every certificate of its authorities comes in.",
            ],
        ),
        (
            access(
                admits("clients-1", "clients-2", unmanaged=(BY_HAND,)),
                admits("clients-1", "clients-2", exclusive=True),
                "unmanaged",
            ),
            ['what somebody else added is **taken away**: `filter commonName "by-hand"`.'],
        ),
        (
            access(
                admits("clients-1", unmanaged=(f"authority {fingerprint('clients-2')}", BY_HAND)),
                admits("clients-1", "clients-2", exclusive=True),
                "certificateAuthoritiesPem",
                "unmanaged",
            ),
            [
                f"the CA certificate of {CLIENTS_2_SHOWN} is **added**.",
                'what somebody else added is **taken away**: `filter commonName "by-hand"`.',
            ],
        ),
        (
            access(admits("clients-1", "clients-2"), admits("clients-1", "clients-2", exclusive=True), "exclusive"),
            ["what somebody else adds is taken away from now on."],
        ),
        (
            access(admits("clients-1", "clients-2", exclusive=True), admits("clients-1", "clients-2"), "exclusive"),
            ["what somebody else adds stays from now on."],
        ),
        (
            access(admits("clients-1", "clients-2"), admits("clients-1", "clients-2"), "enabled"),
            ["mutual TLS, which somebody turned off, is **turned on** again."],
        ),
        (
            access(
                admits("clients-1", "clients-2"),
                admits("clients-1", "clients-2") | {"timeoutSeconds": 30},
                "timeoutSeconds",
            ),
            ["`up` waits for a change for `30` seconds."],
        ),
    ],
)
def test_what_becomes_of_a_namespace_in_temporal_cloud_is_told(step_of_access: Step, expected: list[str]) -> None:
    """A reviewer sees that a namespace is updated, and not whom it lets in from then on."""
    text = preview(
        step_of_access,
        before=trusting_both(),
        certificateAuthorities={"internode": {}, "clients": BOTH},
        **in_cloud(),
    )
    assert lines(text, "Temporal Cloud") == [f"namespace `{PAYMENTS}`: {line}" for line in expected]
    assert summary(text).others == {}


def test_a_renewed_ca_certificate_is_not_taken_for_another_one() -> None:
    """A renewal under the same key and name is read as an authority that goes, or is not read at all."""
    renewed = step("update", AUTHORITY, "clients-1", changed=("renewal",))
    unknown = access(admits("clients-1"), admits() | NEW, "certificateAuthoritiesPem")
    assert lines(preview(renewed, unknown, **in_cloud()), "Temporal Cloud") == [
        f"namespace `{PAYMENTS}`: the CA certificate of {CLIENTS_1} is **renewed**."
    ]


PLANTED = "PLANTED-s3cr3t"
_PLACES = ("value", "password", "clientSecret", "contentType", "privateKeyPem", "caPrivateKeyPem", "tags")


@given(
    types=st.sampled_from(
        [
            *(PASSWORD, SECRET, LEAF, APPLICATION, VAULT, "azure-native:other:Thing"),
            *(STATE_AUTHORITY, STATE_AUTHORITY_KEY, STATE_KEY, STATE_REQUEST, STATE_LEAF, NAMESPACE),
        ]
    ),
    operation=st.sampled_from(["create", "update", "replace", "delete"]),
    place=st.sampled_from(_PLACES),
)
def test_no_value_of_a_resource_is_shown_but_those_that_are_meant(types: str, operation: str, place: str) -> None:
    """The engine hides what it knows to be secret; a comment is no place to find out what it does not know."""
    inputs = {place: PLANTED, "endDate": NEW_ENDS, "policy": {}, "properties": {}}
    uiEnv = {"TEMPORAL_AUTH_CLIENT_SECRET": PLANTED}
    text = preview(
        step(operation, types, "thing", before=inputs, after=inputs, changed=("properties.x",)),
        before=outputs(uiEnv=uiEnv, workerEnvs={"default": {"AZURE_CLIENT_SECRET": PLANTED}}),
    )
    assert PLANTED in text
    assert PLANTED not in command(text).output + command(text, "--json").output


@given(st.text(max_size=300))
def test_no_name_is_markup(text: str) -> None:
    """Somebody calls their group `@everyone`, or a picture that tells a server who has read the comment."""
    shown = code(text)
    assert shown.isprintable()
    assert shown == "nothing" or (shown.count("`") == 2 and shown[0] == shown[-1] == "`")
    assert len(shown) <= 203


def test_a_long_summary_is_cut_to_what_github_takes_and_keeps_what_breaks() -> None:
    """GitHub refuses the comment, and the one before stays."""
    many = [step("create", LEAF, f"worker-{number}", after={"policy": {}}) for number in range(3000)]
    text = preview(*many, certificates={"orders": {}})
    found = command(text).output
    assert LONGEST_COMMENT - 400 < len(found.encode()) <= LONGEST_COMMENT
    assert "remove-worker:default" in found
    assert found.endswith("\n_The rest did not fit: the job's log has the whole summary._\n")
    names = {f"w{number}-" + "x" * 50: certificate("w", "clients-1") for number in range(1500)}
    fenced = command(preview(before=outputs(certificates={**outputs()["certificates"], **names}))).output
    assert len(fenced.encode()) <= LONGEST_COMMENT
    assert fenced.count("```") % 2 == 0


UNUSABLE = {
    "": "is empty",
    "Error: no stack": "Invalid JSON",
    "[]": "should be an object",
    "{}": "config: Field required",
    '{"sequence": 0, "preludeEvent": {}}\n{"sequence": 1}': "is a stream of events",
    json.dumps({"config": {}, "steps": []}): "has no step for the stack itself",
    preview(diagnostics=[{"severity": "error", "message": "error: no right to do that"}]): "no right to do that",
    preview(location=""): "location: is not set",
    preview(acknowledge=["everything"]): '"everything" is not the id of a change',
    preview(before=outputs(certificates={"ui": {}})): "certificates.ui.role: Field required",
}


@pytest.mark.parametrize(("text", "expected"), UNUSABLE.items(), ids=range(len(UNUSABLE)))
@pytest.mark.parametrize("name", ["preview-summary", "drift"])
def test_what_cannot_be_used_is_no_finding(name: str, text: str, expected: str) -> None:
    """A preview that never ran passes, or is acknowledged like a breaking change."""
    found = command(text, name=name)
    assert found.exit_code == 2
    assert expected in found.output
    assert found.output.startswith("Error: ")


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["config", "steps", "op", "urn", "oldState", "newState", "inputs", "diagnostics"]), inner
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_it_is_it_is_refused_in_words(document: Any) -> None:
    """A traceback exits with 1, as a breaking change does."""
    with pytest.raises(UnusablePreview):
        read(json.dumps(document))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A traceback exits with 1, as a breaking change does."""
    (tmp_path / "preview.json").write_bytes(b"\xff\xfe\x00")
    assert command("", str(tmp_path / "preview.json")).exit_code == 2


def test_what_was_changed_by_hand_is_told_and_what_is_due_is_not() -> None:
    """Every certificate inside its window is an alarm at night, until nobody reads them."""
    due = preview(RENEWAL)
    assert command(due, name="drift").exit_code == 0
    by_hand = step("update", LEAF, "cli", changed=("certificatePem",)), step("delete", VAULT, "leaves")
    changed = preview(RENEWAL, *by_hand)
    found = command(changed, name="drift")
    assert found.exit_code == 1
    assert drift(read(changed)) == [
        "`leaves` (Vault) is gone.",
        "`cli` (Certificate) is not as `up` left it: `certificatePem`.",
    ]
    assert all(f"- {line}\n" in found.output for line in drift(read(changed)))


def test_warnings_of_the_program_are_passed_on() -> None:
    """An authority ends within the month, and the only one to say so is a log that nobody opens."""
    told = [{"severity": "warning", "message": "<{%reset%}>warning: This authority ends on 2027-01-01"}]
    found = summary(preview(diagnostics=told))
    assert found.warnings == ("`This authority ends on 2027-01-01`",)
    assert found.stack == STACK


BROUGHT = {name: to_pem(issue(authority_policy(name), owner=name).certificate) for name in ("partner", "stranger")}


def brought_along(pem: str | None, **changes: Any) -> dict[str, Any]:
    """Authorities, with a second generation that is trusted alone."""
    generations = {"1": {}, **({"2": {"certificatePem": pem}} if pem else {})}
    return {
        "certificateAuthorities": {"internode": {}, "clients": {"generations": generations, "signing": 1}},
        **changes,
    }


def with_partner() -> dict[str, Any]:
    """The outputs of a stack that trusts one more, which was brought along."""
    known = outputs()
    facts = certificate("partner", "partner", "authority") | {"certificatePem": BROUGHT["partner"]}
    return known | {"certificates": known["certificates"] | {"clients-2": facts}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (preview(**brought_along(BROUGHT["partner"])), "`clients-2` is **added** to what is trusted."),
        (preview(before=with_partner(), **brought_along(None)), "`clients-2` is **removed** from what is trusted."),
        (
            preview(before=with_partner(), **brought_along(BROUGHT["stranger"])),
            "`clients-2` is **replaced** in what is trusted, by one with another key.",
        ),
        (
            preview(frontend={"address": "other:7233"}),
            "the frontend's address: `127.0.0.1:7233` becomes `other:7233`.",
        ),
        (
            preview(before=outputs(serverConfig="that of before")),
            "`server.yaml` **changes**: deliver it, and restart the server's two processes.",
        ),
        (
            preview(before=outputs(dynamicConfig="that of before")),
            "`dynamicconfig.yaml` **changes**: deliver it; the server reads it again within a minute.",
        ),
    ],
)
def test_what_changes_in_no_resource_is_no_renewal(text: str, expected: str) -> None:
    """At night, with nobody awake, a stranger is trusted, and the check says that only the clock is at work."""
    found = summary(text, only_renewals=True)
    assert expected in [change for section in found.sections for change in section.changes]
    assert not found.passes
    assert not found.only_renewals
    unchanged = summary(preview(before=with_partner(), **brought_along(BROUGHT["partner"])), only_renewals=True)
    assert (unchanged.sections, unchanged.passes) == ((), True)


def test_another_authority_in_the_place_of_one_that_was_brought_along_breaks() -> None:
    """The number of a generation says nothing of who it is: a third party gets in, and the partner does not."""
    text = preview(before=with_partner(), **brought_along(BROUGHT["stranger"]))
    assert ids(text) == {"replace-authority:clients-2"}


PARTNERS: dict[str, Any] = {
    "certificateAuthorities": {"internode": {}, "clients": {}, "partners": {}},
    "certificates": {"default": {}, "orders": {"issuer": "partners"}},
}


def admitting_partners(hosts: dict[str, Any], **server: str) -> dict[str, Any]:
    """The outputs of a stack whose worker `orders` has a certificate of partners, under these names of the frontend."""
    stack = parsed(
        {"location": "westeurope", **PARTNERS, "certificates": PARTNERS["certificates"] | CLUSTER, "frontend": hosts}
    )
    known = outputs()
    authority = certificate("partners-1", "partners-1", "authority")
    orders = certificate("orders", "partners-1")
    deployment = Deployment.of(stack, None)
    return known | {
        "certificates": known["certificates"] | {"partners-1": authority, "orders": orders},
        "serverEnv": server_environment(deployment),
        "serverConfig": server_config(deployment),
        "workerEnvs": {"orders": {"TEMPORAL_TLS_SERVER_NAME": "temporal.internal"} | server},
    }


OWN = {"authorities": ["clients", "partners"]}
APART = {"authorities": ["clients"], "hostOverrides": {"partners.internal": {"authorities": ["partners"]}}}
CLUSTER = {"cluster": {"dnsNames": ["temporal.internal", "partners.internal"]}}
OTHER_NAMES = {"dnsNames": ["temporal.internal", "other.internal"]}


@pytest.mark.parametrize(
    ("asked_for", "expected"),
    [("temporal.internal", {"distrust-authority:partners-1"}), ("partners.internal", set())],
)
def test_an_authority_that_the_frontend_admits_under_another_name_only(asked_for: str, expected: set[str]) -> None:
    """Workers ask for one name: to be admitted under another is of no use to those that run."""
    hosts = APART | {"authorities": ["clients", "partners"]} if not expected else OWN
    before = admitting_partners(hosts, TEMPORAL_TLS_SERVER_NAME=asked_for)
    certificates = PARTNERS["certificates"] | CLUSTER
    text = preview(before=before, **PARTNERS | {"certificates": certificates}, frontend=APART)

    assert {id for id in ids(text) if id.startswith("distrust")} == expected
    assert "clients of `partners-1` are **admitted no more** by the frontend." in lines(text, "Trust")
    apart = "clients of `clients-1` are **admitted no more** by the frontend under the name `partners.internal`."
    assert (apart in lines(text, "Trust")) == bool(expected)


TOLD = {
    "cliEnv": {"TEMPORAL_ADDRESS": "127.0.0.1:7233", "TEMPORAL_NAMESPACE": "ops"},
    "uiEnv": {"TEMPORAL_TLS_SERVER_NAME": "temporal.internal", "TEMPORAL_DEFAULT_NAMESPACE": "default"},
    "workerEnvs": {"default": {"TEMPORAL_TLS_SERVER_NAME": "temporal.internal", "TEMPORAL_NAMESPACE": "default"}},
}


@pytest.mark.parametrize(
    ("certificates", "expected"),
    [
        ({"cli": {"namespace": "ops"}, "default": {}}, []),
        ({"default": {}}, ["`cli`: the namespace: `ops` becomes `default`."]),
        (
            {"cli": {"namespace": "new"}, "ui": {"namespace": "new"}, "default": {"namespace": "new"}},
            ["`cli`: the namespace: `ops` becomes `new`.", "`ui`, `default`: the namespace: `default` becomes `new`."],
        ),
        (
            {
                "cli": {"namespace": "ops"},
                "ui": {"serverName": "other.internal"},
                "default": {},
                "cluster": OTHER_NAMES,
            },
            ["`ui`: the name that they ask the server for: `temporal.internal` becomes `other.internal`."],
        ),
    ],
)
def test_clients_are_told_what_their_own_settings_say(certificates: dict[str, Any], expected: list[str]) -> None:
    """A stack that changes nothing fails every night, or the UI works in another namespace and nobody reads of it."""
    other_name = (
        {"hostOverrides": {"other.internal": {"authorities": ["clients"]}}} if "cluster" in certificates else {}
    )
    text = preview(before=outputs(**TOLD), certificates=certificates, frontend=other_name)
    assert lines(text, "What clients are told") == expected
    assert summary(text).only_renewals == (not expected)


def test_what_becomes_of_all_clients_is_one_line() -> None:
    """A worker for each of twenty services, and twenty times the same."""
    told = TOLD | {"cliEnv": {"TEMPORAL_NAMESPACE": "default"}}
    found = lines(preview(before=outputs(**told), frontend={"namespace": "new"}), "What clients are told")
    assert found == ["the namespace: `default` becomes `new`."]


def test_host_names_are_one_in_whatever_case() -> None:
    """A stack that changes nothing is called one that shuts its clients out."""
    host = {"hostOverrides": {"Partners.internal": {"authorities": ["partners"]}}, "authorities": ["clients"]}
    before = admitting_partners(host, TEMPORAL_TLS_SERVER_NAME="partners.Internal")
    certificates = {"default": {}, "orders": {"issuer": "partners", "serverName": "partners.Internal"}, **CLUSTER}
    text = preview(before=before, **PARTNERS | {"certificates": certificates}, frontend=host)
    assert ids(text) == set()
    assert lines(text, "Trust") == []


def test_another_key_in_the_vault_under_the_name_of_an_issuer_is_another_authority() -> None:
    """An authority of a vault elsewhere is no resource here: only what it issues shows that it is another one."""
    before, after = ({"issuer": {"keyId": name, "certificatePem": BROUGHT[name]}} for name in BROUGHT)
    swapped = step("update", LEAF, "ui", before=before, after=after, changed=("issuer.certificatePem", "issuer.keyId"))
    renewed = step("update", LEAF, "ui", before=before, after=before, changed=("issuer.chainPem[0]",))

    assert ids(preview(swapped)) == {"replace-authority:clients-1"}
    assert lines(preview(swapped), "Certificates") == ["`ui` is **issued anew**: by `clients-1` as it is now."]
    assert "`clients-1` is **replaced** in what is trusted, by one with another key." in lines(
        preview(swapped), "Trust"
    )
    assert ids(preview(renewed)) == set()
    assert lines(preview(renewed), "Certificates") == [
        "`ui` gets its authority's renewed certificate, and is not issued anew."
    ]


def test_replacement_steps_are_one_replacement() -> None:
    """With --show-replacement-steps the deletion would hide what is made, and when it ends."""
    before, after = {"endDate": "2027-01-01T00:00:00Z"}, {"endDate": "2027-06-01T00:00:00Z"}
    whole = step("replace", PASSWORD, "ui-client-secret-odd", before=before, after=after, changed=("endDate",))
    made = step("create-replacement", PASSWORD, "ui-client-secret-odd", after=after, changed=("endDate",))
    gone = step("delete-replaced", PASSWORD, "ui-client-secret-odd", before=before)
    made["oldState"], gone["newState"] = {}, {}

    assert summary(preview(made, gone)) == summary(preview(whole))


@pytest.mark.parametrize("id", ["remove-server-name:fd00::", "revoke-role:a b", "x:y: z", "x:y #z", "x:'y'", 'x:"y"'])
def test_an_offered_acknowledgement_is_the_id(id: str) -> None:
    """Whoever copies it from the comment gets a mapping, or a part of it, and is refused again."""
    assert yaml.safe_load(f"- {in_yaml(id)}") == [id]
