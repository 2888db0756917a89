"""Who is asked and who asks: the tenant that an address names, by its id or domain, and the client."""

import uuid

from localazure.context import Context
from localazure.entra import applications, directory
from localazure.entra.applications import Application
from localazure.entra.directory import DOMAIN
from localazure.entra.errors import Refusal, malformed_tenant, unknown_application, unknown_tenant

_OF_SEVERAL = frozenset({"common", "organizations", "consumers"})


def tenant_id(context: Context, name: str, client_id: str = "") -> str:
    """The tenant's id; Refusal if there is none. Nothing is served for several tenants at a time."""
    asked = name.lower()
    if asked in (context.tenant_id, context.other_tenant_id):
        return asked
    if asked == DOMAIN:
        return context.tenant_id
    if asked in _OF_SEVERAL:
        raise Refusal(
            "invalid_request",
            50194,
            f"Application '{client_id}' is not configured as a multi-tenant application. Usage of the /common endpoint "
            "is not supported for such apps created after '10/15/2018'. Use a tenant-specific endpoint or configure "
            "the application to be multi-tenant.",
        )
    if "." not in asked and not _is_guid(asked):
        raise malformed_tenant(name)
    raise unknown_tenant(name)


def client_of(context: Context, tenant: str, client_id: str) -> Application:
    """The application that asks. Refusal unless the tenant has it, as an application of its own or one that serves
    several tenants, and enabled.
    """
    client = applications.by_client_id(context.store, tenant, client_id)
    if client is None:
        raise _not_here(context, tenant, client_id)
    if not client.enabled:
        raise Refusal("unauthorized_client", 7000112, f"Application '{client.client_id}'({client.name}) is disabled.")
    return client


def _not_here(context: Context, tenant: str, client_id: str) -> Refusal:
    registration = directory.application_by_client_id(context.store, client_id)
    if registration is None or registration.get("_tenantId", context.tenant_id) != tenant:
        return unknown_application(client_id, tenant)
    return Refusal(
        "unauthorized_client",
        7000229,
        f"The client application {client_id} is missing service principal in the tenant {tenant}. See instructions "
        "here: https://go.microsoft.com/fwlink/?linkid=2225119",
    )


def _is_guid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
