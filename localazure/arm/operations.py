"""Operations that ARM finishes later: 202 with a Location, which answers 202 until the operation is over and 200
then.
"""

import uuid
from urllib.parse import urlencode

from aiohttp import web

from localazure.arm.paths import SUBSCRIPTION, pattern, require_subscription, subscription_id
from localazure.context import Context
from localazure.errors import AzureError

_OPERATIONS = "operations"
_SECONDS = 0.5
_RETRY_AFTER = {"Retry-After": "1"}


def accepted(context: Context, request: web.Request) -> web.Response:
    """The answer to a request whose effect is already durable, and which the caller is to see finish a little later."""
    operation = str(uuid.uuid4())
    context.store.put(_OPERATIONS, operation, {"finishesAt": context.clock() + _SECONDS})
    query = urlencode({"api-version": request.query["api-version"]})
    location = f"{context.origin}{subscription_id(context)}/operationresults/{operation}?{query}"
    return web.Response(status=202, headers={"Location": location, **_RETRY_AFTER})


def routes(context: Context) -> list[web.RouteDef]:
    async def result(request: web.Request) -> web.Response:
        require_subscription(context, request)
        operation = context.store.get(_OPERATIONS, request.match_info["operation"])
        if operation is None:
            raise AzureError(404, "OperationNotFound", "The operation does not exist.")
        if context.clock() < operation["finishesAt"]:
            return web.Response(status=202, headers={"Location": str(request.url), **_RETRY_AFTER})
        return web.Response(status=200)

    return [web.get(pattern(f"{SUBSCRIPTION}/operationresults/{{operation}}"), result)]
