"""What a stack says of sign-on: what is accepted, what is refused and how, and what it means when nothing is said."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from deploy import envfile
from settings import SettingsError, SignOnSettings, directory_settings
from tests.unit.configured import parsed, paths, refusal

ENOUGH = {"location": "westeurope"}
TENANT = "CCCCCCCC-0000-4000-8000-00000000000C"
ALICE = "aaaaaaaa-0000-4000-8000-000000000001"
POSTMAN = "https://oauth.pstmn.io/v1/callback"
KUBERNETES = {"issuer": "https://oidc.example.com/cluster/", "subject": "system:serviceaccount:shop:orders"}

Written = dict[str, Any]


def sign_on(**settings: object) -> Written:
    return {"signOn": settings}


def readers(*assignees: object) -> Written:
    return sign_on(roles={"default:read": list(assignees)})


def worker(name: str = "default", **settings: object) -> Written:
    return sign_on(workers={name: settings})


def federated(*credentials: object) -> Written:
    return worker(federatedCredentials=list(credentials))


def redirected(*uris: object) -> Written:
    return sign_on(redirectUris=list(uris))


def secret(**settings: object) -> Written:
    return sign_on(clientSecret=settings)


def settled(written: Written, *, stack: str = "dev") -> SignOnSettings:
    found = parsed({**ENOUGH, **written}, stack=stack).sign_on
    assert found
    return found


# What is wrong, the same made right, the path, words of the consequence and of the fix.
WRONG: dict[str, tuple[Written, Written, str, str, str]] = {
    # namespaces
    "namespace with a colon": (
        {"namespaces": ["default", "a:b"]},
        {"namespaces": ["default", "a.b"]},
        "namespaces[1]",
        "role in it",
        "Use letters",
    ),
    "the server's own namespace": (
        {"namespaces": ["default", "temporal-system"]},
        {"namespaces": ["default", "temporal"]},
        "namespaces[1]",
        "server's own workflows",
        "one of your own",
    ),
    "namespace twice": (
        {"namespaces": ["default", "default"]},
        {"namespaces": ["default", "Default"]},
        "namespaces",
        "role in it",
        "one of them",
    ),
    "one namespace, not a list": (
        {"namespaces": "default"},
        {"namespaces": ["default"]},
        "namespaces",
        "role in it",
        "a list",
    ),
    "the clients' namespace is not among them": (
        {"namespaces": ["orders"]},
        {"namespaces": ["orders", "default"]},
        "frontend.namespace",
        "workers would be refused",
        "Add it to namespaces",
    ),
    "namespace too long for a role": (
        {"namespaces": ["default", "n" * 114]},
        {"namespaces": ["default", "n" * 113]},
        "namespaces",
        "takes 120 in a role",
        "at most 113",
    ),
    "the clients' namespace is too long for a role": (
        {"frontend": {"namespace": "n" * 114}},
        {"frontend": {"namespace": "n" * 113}},
        "frontend.namespace",
        "takes 120 in a role",
        "at most 113",
    ),
    # the application
    "unknown key": (sign_on(tenant=TENANT), sign_on(tenantId=TENANT), "signOn.tenant", "no effect", '"tenantId"'),
    "tenant by its domain": (
        sign_on(tenantId="contoso.onmicrosoft.com"),
        sign_on(tenantId=TENANT),
        "signOn.tenantId",
        "an account that they do not have",
        "az account show --query tenantId",
    ),
    "display name of blanks": (
        sign_on(displayName=" "),
        sign_on(displayName="T"),
        "signOn.displayName",
        "refuse",
        "plain text of at most 120",
    ),
    "display name of 121": (
        sign_on(displayName="n" * 121),
        sign_on(displayName="n" * 120),
        "signOn.displayName",
        "refuse",
        "at most 120",
    ),
    "scope form in capitals": (
        sign_on(scopeForm="GUID"),
        sign_on(scopeForm="guid"),
        "signOn.scopeForm",
        "no token",
        "guid, uri",
    ),
    "admin consent as text": (
        sign_on(adminConsent="true"),
        sign_on(adminConsent=True),
        "signOn.adminConsent",
        "Nobody could sign in",
        "without quotes",
    ),
    "Azure CLI as text": (
        sign_on(azureCli="no"),
        sign_on(azureCli=False),
        "signOn.azureCli",
        "against your will",
        "without quotes",
    ),
    # addresses
    "UI without TLS": (
        sign_on(uiUrl="http://temporal.example.com"),
        sign_on(uiUrl="https://temporal.example.com"),
        "signOn.uiUrl",
        "take people's tokens",
        "Use https; http is for localhost alone.",
    ),
    "UI at the loopback address": (
        sign_on(uiUrl="http://127.0.0.1:8080"),
        sign_on(uiUrl="http://localhost:8080"),
        "signOn.uiUrl",
        "take people's tokens",
        "Use https; http is for localhost alone.",
    ),
    "UI by its host": (
        sign_on(uiUrl="temporal.example.com"),
        sign_on(uiUrl="https://temporal.example.com"),
        "signOn.uiUrl",
        "Nobody would get back",
        "https://temporal.example.com",
    ),
    "UI with a query": (
        sign_on(uiUrl="https://temporal.example.com/?a=b"),
        sign_on(uiUrl="https://temporal.example.com/"),
        "signOn.uiUrl",
        "Nobody would get back",
        "nothing after it",
    ),
    "UI with a port that is none": (
        sign_on(uiUrl="https://temporal.example.com:port"),
        sign_on(uiUrl="https://temporal.example.com:8443"),
        "signOn.uiUrl",
        "Nobody would get back",
        "https://temporal.example.com",
    ),
    "UI with a password": (
        sign_on(uiUrl="https://a:b@temporal.example.com"),
        sign_on(uiUrl="https://temporal.example.com"),
        "signOn.uiUrl",
        "Nobody would get back",
        "https://temporal.example.com",
    ),
    "UI with what no environment file can carry": (
        sign_on(uiUrl="https://temporal.example.com/it's"),
        sign_on(uiUrl="https://temporal.example.com/it%27s"),
        "signOn.uiUrl",
        "Nobody would get back",
        "https://temporal.example.com",
    ),
    "UI with a scheme in capitals": (
        sign_on(uiUrl="HTTP://localhost:8080"),
        sign_on(uiUrl="http://LOCALHOST:8080"),
        "signOn.uiUrl",
        "Nobody would get back",
        "http://localhost:8080",
    ),
    "UI with a callback too long for Entra ID": (
        sign_on(uiUrl=f"https://example.com/{'p' * 219}"),
        sign_on(uiUrl=f"https://example.com/{'p' * 218}"),
        "signOn.uiUrl",
        "takes at most 256",
        "shorter",
    ),
    "redirect without TLS": (
        redirected("http://oauth.pstmn.io/v1/callback"),
        redirected(POSTMAN),
        "signOn.redirectUris[0]",
        "take people's tokens",
        "Use https",
    ),
    "redirect to a host": (
        redirected("https://example.com?a=b"),
        redirected("https://example.com/?a=b"),
        "signOn.redirectUris[0]",
        "refuse the application",
        "Write https://example.com/?a=b, with a slash.",
    ),
    "redirect with a wildcard": (
        redirected("https://*.example.com/callback"),
        redirected("https://www.example.com/callback"),
        "signOn.redirectUris[0]",
        "refuse the application",
        POSTMAN,
    ),
    "redirect with a fragment": (
        redirected(f"{POSTMAN}#part"),
        redirected(f"{POSTMAN}/part"),
        "signOn.redirectUris[0]",
        "refuse the application",
        POSTMAN,
    ),
    "redirect to an application": (
        redirected("myapp://callback"),
        redirected("https://myapp/callback"),
        "signOn.redirectUris[0]",
        "refuse the application",
        POSTMAN,
    ),
    "redirect of 257": (
        redirected(f"https://example.com/{'p' * 237}"),
        redirected(f"https://example.com/{'p' * 236}"),
        "signOn.redirectUris[0]",
        "refuse the application",
        "at most 256",
    ),
    "redirect twice": (
        redirected(POSTMAN, POSTMAN),
        redirected(POSTMAN, POSTMAN.upper().replace("HTTPS", "https")),
        "signOn.redirectUris",
        "refuse the application",
        "one of them",
    ),
    "more redirects than fit": (
        redirected(*(f"https://example.com/{number}" for number in range(251))),
        redirected(*(f"https://example.com/{number}" for number in range(250))),
        "signOn.redirectUris",
        "refuse the application",
        "at most 250",
    ),
    "the UI's own callback": (
        redirected("http://localhost:8080/auth/sso/callback"),
        redirected("http://localhost:8081/auth/sso/callback"),
        "signOn.redirectUris",
        "the second time",
        "Leave it out.",
    ),
    # roles
    "role in a namespace of the blog's": (
        sign_on(roles={"system:read": None}),
        sign_on(roles={"temporal-system:read": None}),
        "signOn.roles.system:read",
        "grant nothing",
        "write temporal-system:read",
    ),
    "role in a namespace that is not declared": (
        sign_on(roles={"orders:read": None}),
        {**sign_on(roles={"orders:read": None}), "namespaces": ["default", "orders"]},
        "signOn.roles.orders:read",
        "grant nothing",
        "use one of: default, temporal-system",
    ),
    "role in a namespace in other letters": (
        sign_on(roles={"Default:read": None}),
        sign_on(roles={"default:read": None}),
        "signOn.roles.Default:read",
        "case-sensitive",
        "use one of: default",
    ),
    "role that is none": (
        sign_on(roles={"default:reader": None}),
        sign_on(roles={"default:read": None}),
        "signOn.roles.default:reader",
        "Nobody could be given the role",
        'Did you mean "default:read"?',
    ),
    "role that is like none": (
        sign_on(roles={"default:operator": None}),
        sign_on(roles={"default:admin": None}),
        "signOn.roles.default:operator",
        "Nobody could be given the role",
        "read, write, worker, admin",
    ),
    "role without a namespace": (
        sign_on(roles={"read": None}),
        sign_on(roles={"default:read": None}),
        "signOn.roles.read",
        "Nobody could be given the role",
        "default:write",
    ),
    "role of an empty namespace": (
        sign_on(roles={":read": None}),
        sign_on(roles={"default:read": None}),
        "signOn.roles.:read",
        "Nobody could be given the role",
        "default:write",
    ),
    "roles as a list": (
        sign_on(roles=["default:read"]),
        sign_on(roles={"default:read": []}),
        "signOn.roles",
        "Nobody could be given the role",
        "a map",
    ),
    # people
    "somebody by a bare name": (
        readers("ada@contoso.example"),
        readers({"user": "ada@contoso.example"}),
        "signOn.roles.default:read[0]",
        "Nobody could be given the role",
        "user, group, servicePrincipal",
    ),
    "person by a name that others share": (
        readers({"user": "Ada Lovelace"}),
        readers({"user": "ada@contoso.example"}),
        "signOn.roles.default:read[0].user",
        "Nobody would be found",
        "user principal name",
    ),
    "nobody": (
        readers({"user": ALICE}, {}),
        readers({"user": ALICE}),
        "signOn.roles.default:read[1]",
        "Nobody could be given the role",
        "one of: user, group, servicePrincipal",
    ),
    "two in one entry": (
        readers({"user": ALICE, "group": "Operators"}),
        readers({"user": ALICE}, {"group": "Operators"}),
        "signOn.roles.default:read[0]",
        "Nobody could be given the role",
        "one of: user, group, servicePrincipal",
    ),
    "person twice": (
        readers({"user": "ada@contoso.example"}, {"user": "Ada@Contoso.example"}),
        readers({"user": "ada@contoso.example"}, {"user": "bob@contoso.example"}),
        "signOn.roles.default:read",
        "Nobody could be given the role",
        "one of them",
    ),
    "group with a blank at its end": (
        readers({"group": "Operators "}),
        readers({"group": "Temporal Operators"}),
        "signOn.roles.default:read[0].group",
        "Nobody would be found",
        "plain text",
    ),
    "kind as in access.deployers": (
        readers({"ServicePrincipal": "orders"}),
        readers({"servicePrincipal": "orders"}),
        "signOn.roles.default:read[0].ServicePrincipal",
        "no effect",
        '"servicePrincipal"',
    ),
    "group that owns": (
        sign_on(owners=[{"group": "Operators"}]),
        sign_on(owners=[{"user": ALICE}]),
        "signOn.owners",
        "could not manage",
        "Name its people",
    ),
    "owner twice": (
        sign_on(owners=[{"user": ALICE}, {"user": ALICE.upper()}]),
        sign_on(owners=[{"user": ALICE}, {"servicePrincipal": ALICE}]),
        "signOn.owners",
        "could not manage",
        "one of them",
    ),
    # client secrets
    "secret for a day": (
        secret(validityDays=1),
        secret(validityDays=2),
        "signOn.clientSecret.validityDays",
        "end too soon",
        "from 2 to 730",
    ),
    "secret for 731 days": (
        secret(validityDays=731),
        secret(validityDays=730),
        "signOn.clientSecret.validityDays",
        "after it was lost",
        "from 2 to 730",
    ),
    "negative rotation": (
        secret(rotation=-1),
        secret(rotation=1),
        "signOn.clientSecret.rotation",
        "against your will",
        "0 or more",
    ),
    "certificate with the name of a client secret": (
        {"certificates": {"ui-client-secret": {}}},
        {"certificates": {"ui-client-secrets": {}}},
        "certificates.ui-client-secret",
        "could meet in the vault",
        "another name",
    ),
    # workers
    "identity of nobody": (
        worker("orders"),
        {**worker("orders"), "certificates": {"orders": {}}},
        "signOn.workers.orders",
        "would be nobody's",
        "use one of: default",
    ),
    "identity of the UI": (
        worker("ui"),
        worker("default"),
        "signOn.workers.ui",
        "would be nobody's",
        "use one of: default",
    ),
    "worker's role in a namespace that is not declared": (
        worker(roles=["orders:write"]),
        worker(roles=["default:write"]),
        "signOn.workers.default.roles",
        "grant nothing",
        "use one of: default",
    ),
    "worker's role that is none": (
        worker(roles=["default:poll"]),
        worker(roles=["default:write"]),
        "signOn.workers.default.roles[0]",
        "could not do its work",
        "read, write, worker, admin",
    ),
    "worker's role twice": (
        worker(roles=["default:write", "default:write"]),
        worker(roles=["default:write", "default:worker"]),
        "signOn.workers.default.roles",
        "could not do its work",
        "one of them",
    ),
    "worker's role that is a number": (
        worker(roles=[7]),
        worker(roles=["default:write"]),
        "signOn.workers.default.roles[0]",
        "could not do its work",
        'quotes: "7"',
    ),
    "managed identity with credentials": (
        worker(managedIdentity="orders", federatedCredentials=[KUBERNETES]),
        worker(managedIdentity="orders"),
        "signOn.workers.default.federatedCredentials",
        "signs in by itself",
        "Keep one of the two.",
    ),
    "credential without a subject": (
        federated({"issuer": KUBERNETES["issuer"]}),
        federated(KUBERNETES),
        "signOn.workers.default.federatedCredentials[0].subject",
        "could not sign in",
        "Give text of at most 600",
    ),
    "credential of an issuer without TLS": (
        federated({**KUBERNETES, "issuer": "http://oidc.example.com"}),
        federated({**KUBERNETES, "issuer": "https://oidc.example.com"}),
        "signOn.workers.default.federatedCredentials[0].issuer",
        "could not sign in",
        "exactly as in the claim iss",
    ),
    "credential twice, for two audiences": (
        federated(KUBERNETES, {**KUBERNETES, "audience": "other"}),
        federated(KUBERNETES, {**KUBERNETES, "subject": "other"}),
        "signOn.workers.default.federatedCredentials",
        "refuse the second",
        "one of them",
    ),
    "more credentials than fit": (
        federated(*({**KUBERNETES, "subject": str(number)} for number in range(21))),
        federated(*({**KUBERNETES, "subject": str(number)} for number in range(20))),
        "signOn.workers.default.federatedCredentials",
        "could not sign in",
        "at most 20",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_one_message_with_path_consequence_and_fix(case: str) -> None:
    """A tired person is told that something is invalid, and neither where, nor what follows, nor what to do."""
    written, right, path, consequence, fix = WRONG[case]

    error = refusal({**ENOUGH, **written})

    assert paths(error) == [path]
    (problem,) = error.problems
    assert consequence in problem.consequence
    assert fix in problem.fix
    assert settled(right).roles


def test_all_that_is_wrong_is_told_at_once() -> None:
    """The second mistake shows only after the first is mended."""
    error = refusal(
        {
            **ENOUGH,
            "namespaces": ["default", "a:b"],
            **sign_on(
                tenantId="contoso",
                uiUrl="http://temporal.example.com",
                roles={"default:reader": None, "default:read": [{"user": "Ada"}]},
                workers={"default": {"roles": ["default:poll"]}, "nobody": {}},
            ),
        }
    )

    assert set(paths(error)) == {
        "namespaces[1]",
        "signOn.tenantId",
        "signOn.uiUrl",
        "signOn.roles.default:reader",
        "signOn.roles.default:read[0].user",
        "signOn.workers.default.roles[0]",
        "signOn.workers.nobody",
    }


RESTING_ON_WHAT_IS_WRONG: dict[str, tuple[Written, list[str]]] = {
    "a namespace may be the clients'": ({"namespaces": ["other", "de fault"]}, ["namespaces[1]"]),
    "a namespace may be a role's": (
        {"namespaces": ["default", "or:ders"], **sign_on(roles={"orders:read": None})},
        ["namespaces[1]"],
    ),
    "the clients' namespace is told once": ({"namespaces": ["orders"], **worker()}, ["frontend.namespace"]),
    "a certificate may be the worker's": (
        {"certificates": {"orders": {"validityDays": 0}}, **worker("orders")},
        ["certificates.orders.validityDays"],
    ),
    "the UI may have that callback": (
        sign_on(uiUrl="ftp://x", redirectUris=["http://localhost:8080/auth/sso/callback"]),
        ["signOn.uiUrl"],
    ),
}


@pytest.mark.parametrize("case", RESTING_ON_WHAT_IS_WRONG)
def test_what_rests_on_a_wrong_setting_is_not_held_against_anybody(case: str) -> None:
    """One typo brings five messages, of which four are false."""
    written, expected = RESTING_ON_WHAT_IS_WRONG[case]

    assert paths(refusal({**ENOUGH, **written})) == expected


RIGHT: dict[str, Written] = {
    "everything left empty": sign_on(roles=None, owners=None, workers=None, clientSecret=None, uiUrl=None),
    "role and worker left empty": sign_on(roles={"default:admin": None}, workers={"default": None}),
    "UI behind a path, on a port": sign_on(uiUrl="https://example.com:8443/temporal/"),
    "UI without TLS on this machine": sign_on(uiUrl="http://localhost"),
    "UI by an IPv6 address": sign_on(uiUrl="https://[2001:db8::4]:8443"),
    "redirects to Postman and this machine": redirected(POSTMAN, "http://localhost/", "http://localhost:1/a?b=c&d"),
    "namespace of dots and underscores": {
        "namespaces": ["default", "Orders.a1b2c", "x_y"],
        **sign_on(roles={"Orders.a1b2c:read": None, "x_y:admin": None}),
    },
    "namespace that is called system": {
        "namespaces": ["default", "system"],
        **sign_on(roles={"system:read": None}),
    },
    "administrator of everything": sign_on(roles={"temporal-system:admin": [{"group": "Temporal Operators"}]}),
    "guest by the directory's name": readers({"user": "grace_partner.example#EXT#@contoso.example"}),
    "one name for a group and an application": readers({"group": "orders"}, {"servicePrincipal": "orders"}),
    "group with letters of many languages": readers({"group": "Größe & 日本 (Leitung) 'x'"}),
    "one identity in two roles": sign_on(
        roles={"default:read": [{"user": ALICE}], "default:write": [{"user": ALICE}]},
    ),
    "GitHub's tokens": federated(
        {"issuer": "https://token.actions.githubusercontent.com", "subject": "repo:a/b:ref:refs/heads/main"}
    ),
    "managed identity by its id": worker(managedIdentity=ALICE, roles=["default:write", "temporal-system:read"]),
    "the bounds of a client secret": secret(validityDays=730, rotation=7),
}


@pytest.mark.parametrize("case", RIGHT)
def test_a_right_setting_is_accepted(case: str) -> None:
    """A check refuses what Entra ID and Temporal take."""
    assert settled(RIGHT[case]).callback_url


# What it means when nothing is said


@pytest.mark.parametrize("stack", ["local", "dev", "production"])
def test_there_is_sign_on_unless_somebody_says_otherwise(stack: str) -> None:
    """A production server takes every client certificate for an administrator, and nobody decided that."""
    assert parsed(ENOUGH, stack=stack).sign_on
    assert parsed({**ENOUGH, "authorization": ""}, stack=stack).sign_on
    assert parsed({**ENOUGH, "authorization": "none"}, stack=stack).sign_on is None


DEFAULTS: dict[str, object] = {
    "tenant_id": None,
    "display_name": "Temporal dev",
    "ui_url": "http://localhost:8080",
    "callback_url": "http://localhost:8080/auth/sso/callback",
    "redirect_uris": (),
    "owners": (),
    "scope_form": "guid",
    "admin_consent": True,
    "azure_cli": True,
    "client_secret.validity_days": 180,
    "client_secret.rotation": 0,
    "declared_roles": {
        "default:read": (),
        "default:write": (),
        "default:admin": (),
        "temporal-system:read": (),
    },
    "workers.default.display_name": "Temporal dev default",
    "workers.default.roles": ("default:write",),
    "workers.default.federated_credentials": (),
    "workers.default.managed_identity": None,
}


@pytest.mark.parametrize("path", DEFAULTS)
def test_a_default_does_not_change_by_accident(path: str) -> None:
    """An upgrade of this program changes what a stack file that nobody touched means."""
    value: Any = settled({})
    for step in path.split("."):
        value = value[step] if isinstance(value, dict) else getattr(value, step)

    assert value == DEFAULTS[path]


def test_each_namespace_has_roles_and_each_worker_an_identity() -> None:
    """A second namespace could be used by nobody, a second worker would be refused."""
    found = settled({"namespaces": ["orders", "default"], "certificates": {"a": {}, "b": {}}, **worker("b")})

    assert list(found.roles) == [
        "default:write",
        *(f"orders:{role}" for role in ("read", "write", "admin")),
        *(f"default:{role}" for role in ("read", "admin")),
        "temporal-system:read",
    ]
    assert {name: item.roles for name, item in found.workers.items()} == {
        "a": ("default:write",),
        "b": ("default:write",),
    }


def test_a_worker_works_in_the_clients_namespace() -> None:
    """It could not poll for the tasks of the namespace that its environment names."""
    found = settled({"frontend": {"namespace": "payments"}})

    assert found.workers["default"].roles == ("payments:write",)
    assert "payments:read" in found.declared_roles


def test_what_is_given_replaces_the_roles_and_keeps_the_workers() -> None:
    """A role that was left out stays, or a worker's role is one that the application does not have."""
    written = {**readers({"group": "Operators"}), "certificates": {"orders": {}}}
    found = settled(written)

    assert list(found.declared_roles) == ["default:read"]
    assert {role: [(item.kind, item.name) for item in had] for role, had in found.roles.items()} == {
        "default:read": [("group", "Operators")],
        "default:write": [],
    }


@pytest.mark.parametrize(
    ("assignee", "kind"),
    [({"user": ALICE}, "user"), ({"group": "a"}, "group"), ({"servicePrincipal": "a"}, "servicePrincipal")],
)
def test_an_assignee_is_of_the_kind_that_it_stands_under(assignee: dict[str, str], kind: str) -> None:
    """A group's role goes to a person of that name."""
    (found,) = settled(readers(assignee)).declared_roles["default:read"]

    assert (found.kind, found.name) == (kind, *assignee.values())


def test_a_managed_identity_is_a_service_principal() -> None:
    """It would be looked for among people."""
    found = settled(worker(managedIdentity="orders")).workers["default"].managed_identity

    assert found
    assert (found.kind, found.name) == ("servicePrincipal", "orders")


def test_a_tenant_is_one_however_it_is_written() -> None:
    """The issuer's address has small letters: the UI compares to the letter."""
    assert settled(sign_on(tenantId=TENANT)).tenant_id == TENANT.lower()


# How to sign in to Entra ID


def test_the_directory_is_asked_as_the_same_identity_as_azure() -> None:
    """The application is made by somebody else, or in another cloud."""
    configuration = {
        "azure-native:metadataHost": "one.example",
        "azure-native:clientId": ALICE,
        "azure-native:useOidc": "true",
        "azure-native:subscriptionId": "of no interest",
        "azuread:metadataHost": "two.example",
        "azuread:useMsi": False,
        "temporalazure:metadataHost": "three.example",
        "temporal-azure:location": "westeurope",
    }

    assert directory_settings(configuration) == {
        "metadata_host": "two.example",
        "client_id": ALICE,
        "use_oidc": True,
    }
    assert directory_settings(configuration | {"azuread:useOidc": "false"})["use_oidc"] is False


def test_the_tenant_of_sign_on_has_one_place() -> None:
    """It is set where azuread has it, and people sign in to another tenant than they were told."""
    error = refusal({**ENOUGH, "azuread:tenantId": TENANT})

    assert paths(error) == ["azuread:tenantId"]
    assert "signOn.tenantId" in str(error)


# Warnings

SOMEBODY = {"default:read": [{"user": ALICE}], "temporal-system:read": [{"user": ALICE}]}
TEAM = {"group": "Team"}

WARNINGS: dict[str, tuple[Written, str]] = {
    "nobody may sign in": ({}, "signOn.roles: nobody has a role. Nobody can sign in."),
    "sign-on turned off, and described": (
        {"authorization": "none", **sign_on(displayName="Temporal")},
        "signOn: has no effect while authorization is none. Every client certificate is an administrator",
    ),
    "role that grants nothing": (
        sign_on(roles={**SOMEBODY, "default:worker": []}),
        "signOn.roles.default:worker: grants nothing by itself. To poll for tasks takes the right to write.",
    ),
    "worker that may not poll": (
        sign_on(roles=SOMEBODY, workers={"default": {"roles": ["default:worker", "default:read"]}}),
        "signOn.workers.default.roles: default:worker, default:read do not let it poll for tasks.",
    ),
    "consent left to an administrator": (
        sign_on(roles=SOMEBODY, adminConsent=False),
        "signOn.adminConsent: is false. Nobody can sign in to the UI (AADSTS90094) until an administrator",
    ),
    "people whom the UI does not let in": (
        sign_on(roles={"default:write": [{"user": ALICE}, TEAM], "temporal-system:read": []}),
        f"signOn.roles: {ALICE}, Team have no role temporal-system:read. The UI sends them back",
    ),
    "a group that the UI does not let in": (
        sign_on(roles={"default:write": [TEAM, {"user": ALICE}], "temporal-system:read": [{"group": "Others"}]}),
        "signOn.roles: Team has no role temporal-system:read. The UI sends them back",
    ),
    "sessions that end": (sign_on(roles=SOMEBODY, scopeForm="uri"), "signOn.scopeForm: is uri."),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_what_is_unwise_is_allowed_with_a_warning(case: str) -> None:
    """A choice with a cost is made without anybody knowing, or cannot be made."""
    written, beginning = WARNINGS[case]

    (warning,) = parsed({**ENOUGH, **written}).warnings

    assert warning.startswith(beginning)


def test_what_is_wise_is_not_warned_about() -> None:
    """People who are warned of nothing at every run read no warning."""
    assert parsed({**ENOUGH, **sign_on(roles=SOMEBODY)}).warnings == ()
    assert parsed(ENOUGH, stack="local").warnings == ()
    assert parsed({**ENOUGH, "authorization": "none"}).warnings == ()
    in_a_group = {"default:read": [{"user": ALICE}], "temporal-system:read": [TEAM]}
    assert parsed({**ENOUGH, **sign_on(roles=in_a_group)}).warnings == ()
    of_the_system = {"default:read": [{"servicePrincipal": "ci"}], "temporal-system:admin": [TEAM]}
    assert parsed({**ENOUGH, **sign_on(roles=of_the_system)}).warnings == ()
    workers = {"default": {"roles": ["default:worker", "default:write"]}}
    assert parsed({**ENOUGH, **sign_on(roles=SOMEBODY, workers=workers)}).warnings == ()


# Without sign-on


def test_what_only_sign_on_needs_is_not_asked_for_without_it() -> None:
    """A stack that gives nobody a role cannot be used because of the names of roles."""
    accepted = parsed({**ENOUGH, "authorization": "none", "namespaces": ["orders"]})

    assert accepted.sign_on is None
    assert accepted.frontend.namespace == "default"


# Inputs without end

URLS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["https://", "http://", "HTTPS://", "ftp://", "//", ""]),
    st.sampled_from(["localhost", "example.com", "a@b", "[::1]", "127.0.0.1", "", "*.example.com"])
    | st.text(max_size=4),
    st.sampled_from(["", ":8080", ":", ":x", ":70000"]),
    st.sampled_from(["", "/", "/a/b", "/a?b", "#c", "/it's", "/\\"]) | st.text(max_size=4),
)


@given(url=URLS)
@example(url="https://[")
@example(url="https://example.com:8080/a")
def test_an_address_is_one_that_a_browser_keeps_safe_or_is_refused(url: str) -> None:
    """Tokens go over the wire in the clear, or the files for the UI cannot be written."""
    try:
        callback = settled(sign_on(uiUrl=url)).callback_url
    except SettingsError as error:
        answer = error
    else:
        assert callback == f"{url.rstrip('/')}/auth/sso/callback"
        assert callback.startswith(("https://", "http://localhost"))
        assert envfile.obstacle("TEMPORAL_AUTH_CALLBACK_URL", callback) is None
        return
    assert paths(answer) == ["signOn.uiUrl"]
    assert not re.fullmatch(r"(https://(example\.com|localhost|127\.0\.0\.1)|http://localhost)(:8080)?(/a/b|/?)", url)


@given(
    namespace=st.sampled_from(["default", "orders", "temporal-system", "system", "DEFAULT", ""]) | st.text(max_size=5),
    role=st.sampled_from(["read", "write", "worker", "admin", "Read", "writer", ""]) | st.text(max_size=5),
)
def test_a_role_is_one_of_temporals_in_a_namespace_of_the_stack(namespace: str, role: str) -> None:
    """A role is assigned to people, and grants them nothing."""
    written = {
        **ENOUGH,
        "namespaces": ["default", "orders"],
        **sign_on(roles={f"{namespace}:{role}": [{"user": ALICE}]}),
    }
    known = namespace in ("default", "orders", "temporal-system") and role in ("read", "write", "worker", "admin")

    if known:
        assert f"{namespace}:{role}" in settled(written).roles
    else:
        assert len(refusal(written).problems) == 1


@given(names=st.lists(st.text(max_size=5) | st.sampled_from(["ada@x", "ADA@x", ALICE]), min_size=1, max_size=3))
def test_people_are_named_by_what_is_theirs_alone(names: list[str]) -> None:
    """A role goes to a namesake."""
    assume(all(names))
    fits = all(name == ALICE or re.fullmatch(r"[!-~]+@[!-~]+", name) for name in names)
    distinct = len({name.casefold() for name in names}) == len(names)

    if fits and distinct:
        found = settled(readers(*({"user": name} for name in names))).declared_roles["default:read"]
        assert [item.name for item in found] == names
    else:
        refusal({**ENOUGH, **readers(*({"user": name} for name in names))})
