"""Graph's error bodies, and the refusals that several of its services share."""

import uuid
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from localazure.errors import AzureError


class GraphError(AzureError):
    """A refusal as Graph words it. `target` names the property that is wrong, where Graph says so."""

    def __init__(self, status: int, code: str, message: str, *, target: str | None = None) -> None:
        super().__init__(status, code, message)
        self.target = target

    def response(self) -> web.Response:
        request_id = str(uuid.uuid4())
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.target:
            error["details"] = [{"code": self.code, "message": self.message, "target": self.target}]
        error["innerError"] = {
            "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": request_id,
            "client-request-id": request_id,
        }
        return web.json_response({"error": error}, status=self.status)


def bad_request(message: str, *, code: str = "Request_BadRequest", target: str | None = None) -> GraphError:
    return GraphError(400, code, message, target=target)


def not_found(identifier: str) -> GraphError:
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{identifier}' does not exist or one of its queried reference-property objects are not present.",
    )


def denied() -> GraphError:
    return GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def invalid(target: str, why: str) -> GraphError:
    """A property with a value that Graph does not take."""
    return bad_request(f"Invalid value specified for property '{target}' of resource: {why}", target=target)


def duplicate(target: str) -> GraphError:
    return bad_request("Request contains a property with duplicate values.", code="DuplicateValue", target=target)


def not_served(what: str) -> AzureError:
    """501, as for an unknown route: clients retry 404 and other 5xx for minutes."""
    return AzureError(501, "NotImplemented", f"The local Azure's Microsoft Graph does not serve {what}.")
