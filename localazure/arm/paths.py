"""ARM's paths: route patterns that ignore case where ARM does, and the ids of resources."""

import re

from aiohttp import web

from localazure.context import Context
from localazure.errors import AzureError

_VARIABLE = re.compile(r"\{(?P<name>\w+)(?P<deep>\.\.\.)?\}")

SUBSCRIPTION = "/subscriptions/{subscription}"
GROUP = f"{SUBSCRIPTION}/resourceGroups/{{group}}"


def pattern(template: str) -> str:
    """An aiohttp path: `{name}` is one segment, `{name...}` any number of them, the rest is compared without case."""
    segments = []
    for index, segment in enumerate(template.strip("/").split("/")):
        variable = _VARIABLE.fullmatch(segment)
        if variable is None:
            segments.append(f"{{_{index}:(?i:{re.escape(segment)})}}")
        else:
            segments.append(f"{{{variable['name']}:{'.+' if variable['deep'] else '[^/]+'}}}")
    return "/" + "/".join(segments)


def subscription_id(context: Context) -> str:
    return f"/subscriptions/{context.subscription_id}"


def group_id(context: Context, name: str) -> str:
    return f"{subscription_id(context)}/resourceGroups/{name}"


def require_subscription(context: Context, request: web.Request) -> str:
    """The id of the one subscription; 404 if the request names another."""
    named = request.match_info["subscription"]
    if named.lower() != context.subscription_id:
        raise AzureError(404, "SubscriptionNotFound", f"The subscription '{named}' could not be found.")
    return subscription_id(context)


def location_name(given: object) -> str:
    """`West Europe` as `westeurope`, the form in which ARM returns it."""
    if not isinstance(given, str) or not given.strip():
        raise AzureError(400, "LocationRequired", "The location property is required for this definition.")
    return given.replace(" ", "").lower()


def not_found(resource_type: str, name: str, group: str) -> AzureError:
    return AzureError(
        404,
        "ResourceNotFound",
        f"The Resource '{resource_type}/{name}' under resource group '{group}' was not found. For more details please "
        "go to https://aka.ms/ARMResourceNotFoundFix",
    )
