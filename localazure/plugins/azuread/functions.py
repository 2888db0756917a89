"""Functions: who calls, and which users, groups and service principals there are.

Objects are looked up by one of several arguments, value by value, because the official plugin asks for each value by
itself. What is not found is an error, unless `ignoreMissing`.
"""

from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cache
from hashlib import sha1
from importlib import import_module
from typing import Any, Final

from localazure.plugins.azuread.fields import Plain, decoded
from localazure.plugins.azuread.graph import Failure, Graph, failing
from localazure.plugins.azuread.lookups import GROUPS, SERVICE_PRINCIPAL_BY, SERVICE_PRINCIPALS, USERS, By, Collection
from localazure.plugins.azuread.service_principals import service_principal
from localazure.plugins.shapes import Arguments, Limits, problems
from plugin import PluginError

_CONDITIONS: Final = ("mailEnabled", "securityEnabled")


async def invoke(graph: Graph, token: str, arguments: Plain) -> dict[str, Any]:
    """Return what a function answers.

    Raises:
        PluginError: if the stand-in does not serve the function, its arguments are wrong, or Graph refuses.
    """
    if token not in _FUNCTIONS:
        raise PluginError(
            f"Invoke type {token} not found: the stand-in for azuread serves {', '.join(_FUNCTIONS)}. "
            "Add it to the stand-in, or use the official plugin."
        )
    wrong = list(problems(_arguments(token), arguments, Limits()))
    if wrong:
        raise Failure("; ".join(wrong))
    return await _FUNCTIONS[token](graph, arguments)


@cache
def _arguments(token: str) -> Arguments:
    name = token.rpartition(":")[2]
    module = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return Arguments(getattr(import_module(f"pulumi_azuread.{module}"), module))


async def _client_config(graph: Graph, _: Plain) -> dict[str, Any]:
    who = await graph.who()
    ids = {name: who[name] for name in ("tenantId", "clientId", "objectId")}
    return ids | {"id": "-".join(ids.values())}


async def _service_principal(graph: Graph, arguments: Plain) -> dict[str, Any]:
    by = _only(SERVICE_PRINCIPAL_BY, arguments)
    value = arguments[by.argument]
    _check(by, value)
    found = await _found(graph, "/servicePrincipals", by, value, {})
    if not found:
        raise Failure(by.missing.format(value))
    if len(found) > 1:
        raise Failure(by.many.format(value))
    outputs = await service_principal(graph, found[0])
    # A function answers every block as a list.
    single_sign_on = outputs.pop("samlSingleSignOn")
    return outputs | {"id": f"/servicePrincipals/{found[0]['id']}", "samlSingleSignOns": [single_sign_on]}


async def _collection(graph: Graph, arguments: Plain, collection: Collection) -> dict[str, Any]:
    found = [item async for item in _all(graph, arguments, collection)]
    joined = collection.joint.join(item.get(collection.identified_by) or "" for item in found)
    # The official plugin makes the id so; it protects nothing.
    digest = urlsafe_b64encode(sha1(joined.encode(), usedforsecurity=False).digest()).decode()
    outputs: dict[str, Any] = {name: value for name, value in arguments.items() if name in _CONDITIONS}
    outputs |= {name: bool(arguments.get(name)) for name in ("ignoreMissing", "returnAll")}
    for name, graph_name in collection.lists.items():
        outputs[name] = [item[graph_name] for item in found if item.get(graph_name)]
    outputs[collection.items] = [decoded(collection.fields, item) for item in found]
    return outputs | {"id": f"{collection.id}#{digest}"}


async def _users(graph: Graph, arguments: Plain) -> dict[str, Any]:
    return await _collection(graph, arguments, USERS)


async def _groups(graph: Graph, arguments: Plain) -> dict[str, Any]:
    if "objectIds" in arguments and any(name in arguments for name in _CONDITIONS):
        raise Failure(f"Conflicting configuration arguments: {' and '.join(_CONDITIONS)} do not go with objectIds")
    return await _collection(graph, arguments, GROUPS) | {"displayNamePrefix": arguments.get("displayNamePrefix") or ""}


async def _service_principals(graph: Graph, arguments: Plain) -> dict[str, Any]:
    outputs = await _collection(graph, arguments, SERVICE_PRINCIPALS)
    for item in outputs["servicePrincipals"]:
        client_id, path = item["clientId"].lower(), f"/servicePrincipals/{item['objectId']}"
        with failing(f"Retrieving {path} (beta API)"):
            more = await graph.get(path, select="samlMetadataUrl", version="beta") or {}
        item["samlMetadataUrl"] = more.get("samlMetadataUrl") or ""
        item["servicePrincipalNames"] = [name for name in item["servicePrincipalNames"] if name.lower() != client_id]
    return outputs


async def _all(graph: Graph, arguments: Plain, collection: Collection) -> Any:
    """Yield the objects that are meant, in the order of the values that name them."""
    if "returnAll" in arguments and "ignoreMissing" in arguments:
        raise Failure("Conflicting configuration arguments: ignoreMissing and returnAll cannot be given together")
    by = _only((*collection.by, By(argument="returnAll")), arguments)
    conditions = {name: arguments[name] for name in _CONDITIONS if name in arguments}
    options: dict[str, Any] = {"select": collection.select, "version": collection.version}
    if by.argument == "returnAll":
        where = " and ".join(_conditions(conditions))
        with failing(f"Could not retrieve {collection.words}"):
            everything = await graph.all(collection.path, where=where, **options)
        if not everything:
            raise Failure(f"No {collection.words} found")
        for item in everything:
            yield item
        return
    values = arguments[by.argument]
    for value in values if isinstance(values, list) else [values]:
        _check(by, value)
        found = await _found(graph, collection.path, by, value, conditions, **options)
        if len(found) > 1 and by.many:
            raise Failure(by.many.format(value))
        if not found and not (arguments.get("ignoreMissing") and isinstance(values, list)):
            raise Failure(by.missing.format(value))
        for item in found:
            yield item


async def _found(
    graph: Graph, path: str, by: By, value: str, conditions: Mapping[str, bool], **options: Any
) -> list[dict[str, Any]]:
    with failing(by.finding.format(value)):
        if by.graph == "id":
            one = await graph.get(f"{path}/{value}", **options)
            return [] if one is None else [one]
        escaped = value.replace("'", "''")
        where = " and ".join([*_conditions(conditions), by.where.format(escaped)])
        return await graph.all(path, where=where, **options)


def _conditions(conditions: Mapping[str, bool]) -> Iterator[str]:
    return (f"{name} eq {str(value).lower()}" for name, value in conditions.items())


def _only(choices: tuple[By, ...], arguments: Plain) -> By:
    given = [by for by in choices if by.argument in arguments]
    if len(given) != 1:
        names = ",".join(by.argument for by in choices)
        raise Failure(f"Invalid combination of arguments: one of `{names}` must be specified, and no more")
    return given[0]


def _check(by: By, value: str) -> None:
    wrong = by.rule(by.argument, value)
    if wrong:
        raise Failure(wrong)


_FUNCTIONS: Final[Mapping[str, Callable[[Graph, Plain], Awaitable[dict[str, Any]]]]] = {
    "azuread:index/getClientConfig:getClientConfig": _client_config,
    "azuread:index/getGroups:getGroups": _groups,
    "azuread:index/getServicePrincipal:getServicePrincipal": _service_principal,
    "azuread:index/getServicePrincipals:getServicePrincipals": _service_principals,
    "azuread:index/getUsers:getUsers": _users,
}
