"""Microsoft Graph as a dictionary, for tests of the stand-in for azuread: it merges, refuses and lags as Graph does."""

import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from localazure.plugins.azuread.graph import Answer, Body, Graph, Method

ROOT = "https://127.0.0.1:8443/graph"
CALLER = {
    "clientId": "a0000000-0000-0000-0000-00000000000a",
    "objectId": "b0000000-0000-0000-0000-00000000000b",
    "subscriptionId": "",
    "tenantId": "10000000-0000-0000-0000-000000000001",
}
_FORBIDDEN = {
    "code": "Authorization_RequestDenied",
    "message": "Insufficient privileges to complete the operation.",
    "innerError": {"date": "2026-01-01T00:00:00", "request-id": "x", "client-request-id": "y"},
}


class Directory:
    """Objects by their paths, and the requests that were made.

    `lag`: how many reads after a write still see what was before it. `refused`: methods and patterns of paths that are
    forbidden. `failing`: status and message that the next requests of a method to a path are answered with.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.owners: dict[str, list[str]] = {}
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[tuple[str, str, Body]] = []
        self.lag = 0
        self.refused: list[tuple[str, str]] = []
        self.failing: list[tuple[str, str, int, str]] = []
        self.slept = 0.0
        self._shown: list[tuple[int, dict[str, dict[str, Any]]]] = []
        self._reads = 0

    def graph(self) -> Graph:
        """A client of it, whose waiting takes no time."""

        async def who() -> dict[str, str]:
            return CALLER

        async def sleep(seconds: float) -> None:
            self.slept += seconds

        return Graph(self.send, ROOT, who, sleep)

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Methods and paths of the requests that were no reads."""
        return [asked for asked in self.asked if asked[0] != "GET"]

    def body(self, method: str, path: str) -> Body:
        """The body of the last such request. The path is without the version."""
        return [body for verb, at, body in self.bodies if (verb, at) == (method, path)][-1]

    async def send(self, method: Method, path: str, query: Mapping[str, str], body: Body | None) -> Answer:
        path = re.sub(r"^/(v1\.0|beta)(?=/)", "", path)
        self.asked.append((method, path))
        if body is not None:
            # What a request holds is what JSON can say.
            body = json.loads(json.dumps(body))
            self.bodies.append((method, path, body))
        if any(method == verb and re.fullmatch(pattern, path) for verb, pattern in self.refused):
            return Answer(403, json.dumps({"error": _FORBIDDEN}))
        for index, (verb, pattern, status, message) in enumerate(self.failing):
            if method == verb and re.fullmatch(pattern, path):
                del self.failing[index]
                return _error(status, "Request_BadRequest", message)
        if method == "GET":
            return self._read(path, query)
        self._shown.append((self._reads + self.lag, {at: dict(item) for at, item in self.objects.items()}))
        return self._write(method, path, body or {})

    def _visible(self) -> dict[str, dict[str, Any]]:
        older = [objects for until, objects in self._shown if self._reads <= until]
        return older[0] if older and self.lag else self.objects

    def _read(self, path: str, query: Mapping[str, str]) -> Answer:
        self._reads += 1
        objects = self._visible()
        if path.endswith("/owners"):
            return _value([{"id": owner} for owner in self.owners.get(path.removesuffix("/owners"), [])])
        if path in objects:
            return Answer(200, json.dumps(objects[path]))
        if path.count("/") > 1:
            return _error(404, "Request_ResourceNotFound", f"Resource '{path}' does not exist")
        found = [item for at, item in objects.items() if at.rpartition("/")[0] == path]
        for name, value in re.findall(r"(\w+) eq '([^']*)'", query.get("$filter", "")):
            found = [item for item in found if item.get(name) == value]
        return _value(found)

    def _write(self, method: Method, path: str, body: Body) -> Answer:
        parent, _, last = path.rpartition("/")
        if path.endswith("/owners/$ref"):
            self.owners[path.removesuffix("/owners/$ref")].append(body["@odata.id"].rpartition("/")[2])
            return Answer(204)
        if last == "$ref":
            holder, _, owner = parent.rpartition("/")
            self.owners[holder.removesuffix("/owners")].remove(owner)
            return Answer(204)
        if last == "addPassword":
            password = {"endDateTime": "2028-01-01T00:00:00Z", "startDateTime": "2026-01-01T00:00:00Z"}
            password |= {"displayName": "", **body["passwordCredential"], "keyId": str(uuid4())}
            self.objects[parent] = {
                **self.objects[parent],
                "passwordCredentials": [*self.objects[parent].get("passwordCredentials", []), password],
            }
            return Answer(200, json.dumps({**password, "secretText": "s3cret~of~this~test"}))
        if last == "removePassword":
            kept = [item for item in self.objects[parent]["passwordCredentials"] if item["keyId"] != body["keyId"]]
            self.objects[parent] = {**self.objects[parent], "passwordCredentials": kept}
            return Answer(204)
        if method == "POST":
            return self._create(path, body)
        if path not in self.objects:
            return _error(404, "Request_ResourceNotFound", f"Resource '{path}' does not exist")
        if method == "DELETE":
            del self.objects[path]
        else:
            self.objects[path] = _merged(self.objects[path], body)
        return Answer(204)

    def _create(self, path: str, body: Body) -> Answer:
        owners = [address.rpartition("/")[2] for address in body.get("owners@odata.bind", [])]
        item = {"id": str(uuid4()), **{name: value for name, value in body.items() if "@" not in name}}
        if path == "/applications":
            item["appId"] = str(uuid4())
        at = f"{path}/{item['id']}"
        self.objects[at], self.owners[at] = item, owners
        return Answer(201, json.dumps(item))


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}
    return new


def _value(items: list[dict[str, Any]]) -> Answer:
    return Answer(200, json.dumps({"value": items}))


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, json.dumps({"error": {"code": code, "message": message}}))
