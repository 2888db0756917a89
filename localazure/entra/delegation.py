"""What a client asks to do for a person, whether it may, and what of it is still to be consented to.

Two things let a person in, and both are asked of the client and of every API: an assignment, where the application
requires one, and consent, which an administrator, the person, or the API itself (pre-authorization) has given. Where an
assignment is required, people cannot consent for themselves, whatever the tenant's policy.
"""

from dataclasses import dataclass

from localazure.context import Context
from localazure.entra import applications, firstparty
from localazure.entra.applications import Application
from localazure.entra.errors import Refusal, missing_parameter, not_consented
from localazure.entra.resources import Resource, resource
from localazure.store import Document, Store

OPENID_SCOPES = ("openid", "profile", "email", "offline_access")
DEFAULT = ".default"
"""Stands for all that the client has been granted, or asks to be granted in its registration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Scopes of one API, by their values."""

    resource: Resource
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A scope parameter, understood. `wishes` are by resource, in the order that the client asks in."""

    text: str
    openid: tuple[str, ...]
    wishes: tuple[Wish, ...]
    graph: Resource

    @property
    def resource(self) -> Resource:
        """The one that an access token is for: Microsoft Graph, if only OpenID's scopes are asked for."""
        return self.wishes[0].resource if self.wishes else self.graph

    @property
    def apis(self) -> list[Application]:
        return [wish.resource.api for wish in self.wishes if wish.resource.api is not None]


def asked(context: Context, tenant_id: str, text: str) -> Asked:
    """What the scope parameter asks for. Refusal if it is empty or names an API that the tenant has not."""
    words = text.split()
    if not words:
        raise missing_parameter("scope")
    graph = Resource(spelling=firstparty.GRAPH_CLIENT_ID, api=applications.microsoft_graph(context.store, tenant_id))
    wishes: dict[str, Wish] = {}
    for word in words:
        if word in OPENID_SCOPES:
            continue
        spelling, slash, value = word.rpartition("/")
        found = resource(context, tenant_id, spelling) if slash else graph
        known = wishes.get(found.id, Wish(resource=found, values=()))
        wishes[found.id] = Wish(resource=known.resource, values=(*known.values, value))
    return Asked(
        text=" ".join(words),
        openid=tuple(word for word in OPENID_SCOPES if word in words),
        wishes=tuple(wishes.values()),
        graph=graph,
    )


def require_wellformed(asked: Asked) -> None:
    """Refusal if scopes are asked for together that cannot be."""
    for wish in asked.wishes:
        if DEFAULT in wish.values and len(wish.values) > 1:
            raise Refusal(
                "invalid_scope",
                70011,
                "The provided request must include a 'scope' input parameter. The provided value for the input "
                f"parameter 'scope' is not valid. The scope {asked.text} is not valid. .default scope can't be "
                "combined with resource-specific scopes.",
            )


def unknown_scope(asked: Asked) -> tuple[Application, str] | None:
    """The first scope that its API does not have."""
    for wish in asked.wishes:
        api = wish.resource.api
        for value in wish.values:
            if api is not None and value != DEFAULT and value not in api.scopes:
                return api, value
    return None


def require_assignment(store: Store, person: Document, client: Application, asked: Asked) -> None:
    """Refusal 50105 for the first application that requires an assignment which the person has not."""
    for application in (client, *asked.apis):
        if application.assignment_required and not applications.is_assigned(store, person, application):
            raise Refusal(
                "access_denied",
                50105,
                f"Your administrator has configured the application {application.name} ('{application.client_id}') to "
                "block users unless they are specifically granted ('assigned') access to the application. The signed "
                f"in user '{person['userPrincipalName']}' is blocked because they are not a direct member of a group "
                "with access, nor had access directly assigned by an administrator. Please contact your administrator "
                "to assign access to this application.",
            )


def granted(store: Store, client: Application, person: Document, wish: Wish) -> tuple[str, ...]:
    """The values that the client may use of those it asks for."""
    api = wish.resource.api
    if api is None:
        return ("user_impersonation",) if client.is_microsofts else ()
    allowed = applications.granted_scopes(store, client, person, api)
    return tuple(sorted(allowed)) if DEFAULT in wish.values else tuple(v for v in wish.values if v in allowed)


def unconsented(store: Store, client: Application, person: Document, asked: Asked) -> tuple[Wish, ...]:
    """What is still to be consented to. Refusal if nobody can.

    OpenID's scopes are Microsoft Graph's, and go without saying for a client that its API has pre-authorized.
    """
    missing = [wish for wish in map(lambda each: _missing(store, client, person, each), asked.wishes) if wish.values]
    if asked.openid and not _is_preauthorized(client, asked):
        wish = _missing(store, client, person, Wish(resource=asked.graph, values=asked.openid))
        missing += [wish] if wish.values else []
    return tuple(missing)


def may_consent(context: Context, client: Application, missing: tuple[Wish, ...]) -> bool:
    """Whether the person may do so, or only an administrator."""
    return (
        context.dials.user_consent
        and not client.assignment_required
        and all(
            wish.resource.api is not None and wish.resource.api.scopes[value].get("type") != "Admin"
            for wish in missing
            for value in wish.values
        )
    )


def require_consent(store: Store, client: Application, person: Document, asked: Asked) -> None:
    """Refusal 65001 if something is still to be consented to, where nobody can be asked."""
    if unconsented(store, client, person, asked):
        raise not_consented(client.client_id, client.name)


def _missing(store: Store, client: Application, person: Document, wish: Wish) -> Wish:
    api = wish.resource.api
    if api is None:
        return Wish(resource=wish.resource, values=() if client.is_microsofts else wish.values)
    allowed = applications.granted_scopes(store, client, person, api)
    wanted = set(wish.values)
    if DEFAULT in wanted:
        wanted = client.required_scopes(api)
        if not wanted and not allowed:
            raise Refusal(
                "invalid_request",
                650056,
                "Misconfigured application. This could be due to one of the following: the client has not listed any "
                f"permissions for '{api.name}' in the requested permissions in the client's application registration. "
                "Or, the admin has not consented in the tenant. Or, check the application identifier in the request "
                f"({client.client_id}) to ensure it matches the configured client application identifier.",
            )
    return Wish(resource=wish.resource, values=tuple(sorted(wanted - allowed)))


def _is_preauthorized(client: Application, asked: Asked) -> bool:
    return bool(asked.wishes) and all(
        wish.resource.api is not None and set(wish.values) <= wish.resource.api.preauthorized_scopes(client)
        for wish in asked.wishes
    )
