"""Azure Resource Manager: the metadata endpoint, subscriptions, resource groups, vaults, roles, and a few plain
documents.

One route module per service. Fixed path segments are matched without case, as ARM does; what no module serves is 501.
"""

from aiohttp import web

from localazure.arm import authorization, documents, groups, metadata, operations, subscriptions, vaults
from localazure.context import Context

__all__ = ["audiences", "graph_audience", "routes"]

audiences = metadata.audiences
graph_audience = metadata.graph_audience


def routes(context: Context) -> list[web.RouteDef]:
    return [
        *metadata.routes(context),
        *subscriptions.routes(context),
        *operations.routes(context),
        *groups.routes(context),
        *vaults.routes(context),
        *authorization.routes(context),
        *documents.routes(context),
    ]
