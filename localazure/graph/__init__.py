"""Microsoft Graph, v1.0 and beta, as far as sign-on needs it: applications, service principals, assignments, grants,
and reading users and groups.

One route module per service. It serves the directory of the caller's tenant, which is eventually consistent by a dial
(replica.py); what no module serves is 501.
"""

from aiohttp import web

from localazure.context import Context
from localazure.entra.directory import APPLICATIONS, PRINCIPALS
from localazure.graph import (
    applications,
    assignments,
    credentials,
    deleted,
    directory_objects,
    grants,
    owners,
    people,
    service_principals,
)
from localazure.graph.replica import Replica
from localazure.graph.service import Graph

__all__ = ["routes"]

_OWNED = (
    owners.Owned(
        collection="applications",
        kind=APPLICATIONS,
        find=applications.find,
        newest=applications.newest,
        key="id",
        owners=lambda application: application["_owners"],
        with_owners=lambda application, owned_by: application | {"_owners": owned_by},
    ),
    owners.Owned(
        collection="servicePrincipals",
        kind=PRINCIPALS,
        find=service_principals.find,
        newest=service_principals.newest,
        key="objectId",
        owners=deleted.owners_of,
        with_owners=service_principals.with_owners,
    ),
)


def routes(context: Context) -> list[web.RouteDef]:
    replica = Replica(context.store, lambda: context.clock(), lambda: context.dials.graph_consistency_seconds)
    graph = Graph(context, replica)
    return [
        *applications.routes(graph),
        *credentials.routes(graph),
        *service_principals.routes(graph),
        *(route for owned in _OWNED for route in owners.routes(graph, owned)),
        *assignments.routes(graph),
        *grants.routes(graph),
        *people.routes(graph),
        *directory_objects.routes(graph),
        *deleted.routes(graph),
    ]
