"""What a person writes about sign-on: the application in Entra ID, its roles, who has them, and who the workers are."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, StrictBool, StrictInt, model_validator

from settings.models import Model, setting
from settings.problems import Wrong, listed, quoted
from settings.values import GUID, CertificateName, distinct_exactly, form

NAMESPACE_ROLES = ("read", "write", "worker", "admin")
"""Temporal's roles (common/authorization/roles.go). `worker` alone grants nothing."""

LOCALHOST = "localhost"
LONGEST_ROLE = 120
"""Characters in the value of an app role (Microsoft Graph, appRole)."""

LONGEST_REDIRECT_URI = 256
"""Characters in a redirect URI (Microsoft identity platform, redirect URI restrictions)."""

# RFC 3986, without the single quote, which no environment file can carry.
_URL = re.compile(r"https?://[A-Za-z0-9:/?#\[\]@!$&()*+,;=._~%-]+")


def _tenant_id(text: str) -> str:
    if not re.fullmatch(GUID, text):
        raise Wrong(
            f"{quoted(text)} is not a tenant's id", "Use the GUID that this prints: az account show --query tenantId."
        )
    return text.lower()


def _namespace_role(text: object) -> object:
    if not isinstance(text, str):
        return text
    namespace, separator, role = text.rpartition(":")
    if not separator or not namespace:
        raise Wrong(f"{quoted(text)} is not a role in a namespace", "Write <namespace>:<role>, like default:write.")
    if role not in NAMESPACE_ROLES:
        near = difflib.get_close_matches(role.lower(), NAMESPACE_ROLES, n=1)
        raise Wrong(
            f"{quoted(role)} is no role of Temporal's",
            f'Did you mean "{namespace}:{near[0]}"?' if near else f"Use one of: {listed(NAMESPACE_ROLES)}.",
        )
    return text


def _http_url(text: str, example: str) -> SplitResult:
    """Return the parts of an address that Entra ID sends people back to; http is for this machine alone."""
    fix = f"Write it like {example}."
    try:
        url = urlsplit(text)
        url.port  # noqa: B018  # raises for what is no port
    except ValueError:
        raise Wrong(f"{quoted(text)} is not a URL", fix) from None
    if not url.hostname or not _URL.fullmatch(text):
        raise Wrong(f"{quoted(text)} is not a URL that a browser opens", fix)
    if url.scheme == "http" and url.hostname != LOCALHOST:
        raise Wrong(
            f"{quoted(text)} is without TLS",
            f"Use https; http is for {LOCALHOST} alone.",
            "Whoever is on the way could take people's tokens, and Entra ID refuses it.",
        )
    if "@" in url.netloc or "#" in text or "*" in text:
        raise Wrong(f"{quoted(text)} has a name, a fragment or a wildcard in it", fix)
    return url


def _ui_url(text: str) -> str:
    _http_url(text, "https://temporal.example.com or http://localhost:8080")
    if "?" in text:
        raise Wrong(f"{quoted(text)} has a query in it", "Write where people open the UI, and nothing after it.")
    return text.rstrip("/")


def _redirect_uri(text: str) -> str:
    url = _http_url(text, "https://oauth.pstmn.io/v1/callback")
    if not url.path:
        raise Wrong(f"{quoted(text)} has no path", f"Write {url._replace(path='/').geturl()}, with a slash.")
    if len(text) > LONGEST_REDIRECT_URI:
        raise Wrong(f"{quoted(text)} has {len(text)} characters", f"Entra ID takes at most {LONGEST_REDIRECT_URI}.")
    return text


def _issuer_url(text: str) -> str:
    if not re.fullmatch(r"https://[!-~]{1,592}", text):
        raise Wrong(
            f"{quoted(text)} is not an issuer's URL",
            "Write it exactly as in the claim iss of its tokens, like https://token.actions.githubusercontent.com.",
        )
    return text


def _plain_text(most: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not text or text != text.strip() or not text.isprintable() or len(text) > most:
            raise Wrong(
                f"{quoted(text)} is empty or too long, or has blanks at an end or control characters",
                f"Write plain text of at most {most} characters.",
            )
        return text

    return check


def _user_name(text: str) -> str:
    if not re.fullmatch(GUID, text) and not re.fullmatch(r"[!-~]+@[!-~]+", text):
        raise Wrong(
            f"{quoted(text)} does not say who that is",
            "People share names: use the user principal name, the e-mail address or the object id.",
        )
    return text


TenantId = Annotated[str, AfterValidator(_tenant_id), form("a GUID")]
NamespaceRole = Annotated[str, BeforeValidator(_namespace_role), form("<namespace>:<role>")]
NamespaceRoles = Annotated[tuple[NamespaceRole, ...], AfterValidator(distinct_exactly)]
UiUrl = Annotated[str, AfterValidator(_ui_url), form("a URL")]
RedirectUri = Annotated[str, AfterValidator(_redirect_uri), form("a URL")]
RedirectUris = Annotated[tuple[RedirectUri, ...], AfterValidator(distinct_exactly)]
IssuerUrl = Annotated[str, AfterValidator(_issuer_url), form("a URL")]
DisplayName = Annotated[str, AfterValidator(_plain_text(120)), form("text of at most 120 characters")]
UserName = Annotated[str, AfterValidator(_user_name), form("a user principal name, an e-mail address or an object id")]
DirectoryName = Annotated[str, AfterValidator(_plain_text(256)), form("a name, or an object id")]
TokenSubject = Annotated[str, AfterValidator(_plain_text(600)), form("text of at most 600 characters")]


class ScopeForm(StrEnum):
    """How the UI names the application that it asks a token for: by its client ID, or by its identifier URI."""

    GUID = "guid"
    URI = "uri"


DirectoryKind = Literal["user", "group", "servicePrincipal"]
"""The kinds of principal, as they are written."""


class Assignee(Model):
    """Somebody in Entra ID, found by name: exactly one of the three is given."""

    user: UserName | None = setting(
        None, "A person, by user principal name, e-mail address or object id.", "Nobody would be found."
    )
    group: DirectoryName | None = setting(
        None, "A group, by its name or object id. Who is in a group inside it is not meant.", "Nobody would be found."
    )
    service_principal: DirectoryName | None = setting(
        None, "An application or managed identity, by its name, client id or object id.", "Nothing would be found."
    )

    @model_validator(mode="after")
    def _one(self) -> Assignee:
        if len([given for given in (self.user, self.group, self.service_principal) if given]) != 1:
            raise Wrong("must name one principal", "Give one of: user, group, servicePrincipal.")
        return self

    @property
    def kind(self) -> DirectoryKind:
        """Which of the three it is."""
        if self.user:
            return "user"
        return "group" if self.group else "servicePrincipal"

    @property
    def name(self) -> str:
        """What it is looked up by."""
        return self.user or self.group or self.service_principal or ""


def _distinct_assignees(assignees: tuple[Assignee, ...]) -> tuple[Assignee, ...]:
    distinct_exactly(tuple(f"{assignee.kind} {assignee.name.casefold()}" for assignee in assignees))
    return assignees


def _owners(assignees: tuple[Assignee, ...]) -> tuple[Assignee, ...]:
    if any(assignee.kind == "group" for assignee in assignees):
        raise Wrong("has a group, and a group cannot own an application", "Name its people, or a service principal.")
    return _distinct_assignees(assignees)


def _left_empty(assignees: object) -> object:
    """Take `default:read:` with nothing after it, which YAML reads as null, for a role that nobody has."""
    return () if assignees is None else assignees


Assignees = Annotated[tuple[Assignee, ...], AfterValidator(_distinct_assignees), BeforeValidator(_left_empty)]
Owners = Annotated[tuple[Assignee, ...], AfterValidator(_owners)]


class ClientSecret(Model):
    """Client secrets: the UI's, and those of workers that have one."""

    validity_days: StrictInt = setting(
        180,
        "How long one is valid. Half that time before its end the next `up` makes another, and the former stays valid.",
        "It would end too soon, or be valid for years after it was lost.",
        ge=2,
        le=730,
    )
    rotation: StrictInt = setting(
        0,
        "Counting it up makes new ones at once, and ends the former.",
        "Secrets would be replaced, or not, against your will.",
        ge=0,
    )


class FederatedCredential(Model):
    """A token of somebody else's that a worker signs in with, such as a Kubernetes service account's."""

    issuer: IssuerUrl = setting(..., "The claim iss of the token.", "The worker could not sign in.")
    subject: TokenSubject = setting(..., "The claim sub of the token.", "The worker could not sign in.")
    audience: TokenSubject = setting(
        "api://AzureADTokenExchange", "The claim aud of the token.", "The worker could not sign in."
    )


class WorkerIdentity(Model):
    """Who a worker is in Entra ID: an application of its own with a client secret, unless told otherwise."""

    roles: NamespaceRoles = setting(
        (), "What it may do.", "The worker could not do its work.", derived="`write` in its namespace"
    )
    federated_credentials: tuple[FederatedCredential, ...] = setting(
        (),
        "The tokens that it signs in with, instead of a client secret.",
        "The worker could not sign in.",
        max_length=20,
    )
    managed_identity: DirectoryName | None = setting(
        None,
        "The managed identity that it runs under, by name, client id or object id, instead of an application.",
        "The worker would have no role.",
    )


class WrittenSignOn(Model):
    """Sign-on from Entra ID."""

    tenant_id: TenantId | None = setting(
        None,
        "The tenant that people sign in to.",
        "People would be asked for an account that they do not have.",
        derived="the subscription's",
    )
    display_name: DisplayName | None = setting(
        None, "The application's name, as people see it.", "Entra ID would refuse it.", derived="`Temporal <stack>`"
    )
    ui_url: UiUrl = setting(
        "http://localhost:8080", "Where people open the UI.", "Nobody would get back to the UI after signing in."
    )
    redirect_uris: RedirectUris = setting(
        (),
        "Where else tokens may be sent to, beside the UI's own callback; Postman's is "
        "`https://oauth.pstmn.io/v1/callback`.",
        "Entra ID would refuse the application.",
        max_length=250,
    )
    roles: dict[NamespaceRole, Assignees] = setting(
        {},
        "The roles that there are, each with who has it. What is given replaces the default.",
        "Nobody could be given the role.",
        derived="read, write and admin of each namespace and `temporal-system:read`, had by nobody",
    )
    owners: Owners = setting(
        (), "Who owns the applications.", "They could not manage the applications.", derived="who runs the first `up`"
    )
    scope_form: ScopeForm = setting(
        ScopeForm.GUID,
        "How the UI names the application's scope. With uri, people are signed out when their first token ends.",
        "The UI would get no token for the server.",
    )
    admin_consent: StrictBool = setting(
        True,
        "Whether the UI's sign-in is consented to for everybody. With false an administrator has to do so by hand.",
        "Nobody could sign in: people cannot consent for themselves to an application that requires assignment.",
    )
    azure_cli: StrictBool = setting(
        True,
        "Whether the Azure CLI may get tokens without asking for consent.",
        "People would get tokens for the CLI, or not, against your will.",
    )
    client_secret: ClientSecret = setting(
        ClientSecret(), "How long client secrets are valid.", "Secrets would end unnoticed."
    )
    workers: dict[CertificateName, WorkerIdentity] = setting(
        {},
        "Who a worker is in Entra ID, by the name of its certificate.",
        "The worker could not sign in.",
        derived="`{}` for each worker",
    )
