"""What tokens are for: an application with an API, Microsoft Graph, or ARM and Key Vault, which no directory lists."""

from dataclasses import dataclass

from localazure import arm
from localazure.context import VAULT_AUDIENCE, Context
from localazure.entra import applications, firstparty
from localazure.entra.applications import Application
from localazure.entra.errors import Refusal, unknown_resource
from localazure.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """As the client spelt it; `api` is None for ARM and Key Vault, whose access is decided by themselves."""

    spelling: str
    api: Application | None

    @property
    def version(self) -> int:
        """Of its access tokens."""
        return 1 if self.api is None else self.api.access_token_version

    @property
    def audience(self) -> str:
        """A token of version 2 is for the client id, one of version 1 for what was asked for."""
        return self.spelling if self.api is None or self.version == 1 else self.api.client_id

    @property
    def id(self) -> str:
        """One for all spellings."""
        return self.spelling.rstrip("/") if self.api is None else self.api.client_id


def resource(context: Context, tenant_id: str, spelling: str) -> Resource:
    """The resource that the client id, identifier URI or audience names; Refusal 500011 if the tenant has none."""
    asked = spelling.rstrip("/")
    if asked in {audience.rstrip("/") for audience in (*arm.audiences(context), VAULT_AUDIENCE)}:
        return Resource(spelling=spelling, api=None)
    if asked == arm.graph_audience(context).rstrip("/") or asked == firstparty.GRAPH_CLIENT_ID:
        return Resource(spelling=spelling, api=applications.microsoft_graph(context.store, tenant_id))
    api = applications.by_identifier(context.store, tenant_id, spelling)
    if api is None:
        raise unknown_resource(spelling, tenant_id)
    return Resource(spelling=spelling, api=api)


def require_role(store: Store, client: Application, wanted: Resource) -> None:
    """Refusal 501051 if the API requires an assignment and the client has none."""
    api = wanted.api
    if api is not None and api.assignment_required and not applications.is_assigned(store, client.principal, api):
        raise Refusal(
            "invalid_grant",
            501051,
            f"Application '{client.client_id}'({client.name}) is not assigned to a role for the application "
            f"'{api.client_id}'({api.name}).",
        )
