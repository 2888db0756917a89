"""Requests to Microsoft Graph: JSON in and out, errors in the official words, and waiting until a write is seen.

Reads may be older than the last write. The official plugin asks until it has seen a new state five times in a row, a
second or five apart; here once is enough, because the local Graph does not go back to what it had shown before.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest

from localazure.plugins.connection import Client
from plugin import PluginError

Method = Literal["GET", "POST", "PATCH", "DELETE"]
Version = Literal["v1.0", "beta"]
Body = Mapping[str, Any]
_Seen = TypeVar("_Seen")

PATIENCE_SECONDS = 60
"""How long a write may stay unseen. The official plugin waits for minutes."""
_POLL_SECONDS = 1


@dataclass(frozen=True)
class Answer:
    """What Graph answered: the HTTP status and the text of the body."""

    status: int
    text: str = ""


Send = Callable[[Method, str, Mapping[str, str], Body | None], Awaitable[Answer]]
"""Sends a request: method, path below the service's root, query, body."""


class GraphError(PluginError):
    """A refusal by Graph. Its text is what the official plugin says of it; `status` is the HTTP status."""

    def __init__(self, answer: Answer) -> None:
        try:
            phrase = HTTPStatus(answer.status).phrase
        except ValueError:
            phrase = ""
        super().__init__(f"unexpected status {answer.status} ({answer.status} {phrase}) {_said(answer.text)}")
        self.status = answer.status


class Failure(PluginError):
    """Why a resource or a function failed, as a person sees it of the official plugin."""

    def __init__(self, summary: str, detail: object = None) -> None:
        """Take what was tried, and what went wrong when it has words of its own."""
        text = summary if detail is None else f"{summary}: {detail}"
        super().__init__(f"1 error occurred:\n\t* {text}\n\n")


@contextmanager
def failing(summary: str) -> Iterator[None]:
    """Say of a refusal by Graph what was tried."""
    try:
        yield
    except GraphError as error:
        raise Failure(summary, error) from error


@contextmanager
def trying(what: str) -> Iterator[None]:
    """Say of a failure to which resource it happened, as the official plugin does of those that exist already."""
    try:
        yield
    except Failure as error:
        raise Failure(what, error) from error


def http_send(client: Client, root: str) -> Send:
    """Return what sends requests over HTTP to the service at `root`."""

    async def send(method: Method, path: str, query: Mapping[str, str], body: Body | None) -> Answer:
        request = HttpRequest(method, f"{root}{path}", params=dict(query), json=body)
        try:
            response = await client.send_request(request)
        except AzureError as error:
            raise PluginError(f"{method} {request.url}: {error}") from error
        return Answer(response.status_code, response.text())

    return send


class Graph:
    """Microsoft Graph, and who speaks to it."""

    def __init__(
        self,
        send: Send,
        root: str,
        who: Callable[[], Awaitable[dict[str, str]]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Take `root`, Graph's address as it stands in references between objects, and `who`, the caller's ids."""
        self._send = send
        self._root = root
        self.who = who
        self._sleep = sleep
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def lock(self, object_id: str) -> asyncio.Lock:
        """Return the lock of an object that several resources read, change and write back."""
        return self._locks[object_id]

    def reference(self, object_id: str) -> str:
        """Return the address of a directory object, as `@odata.id` and `owners@odata.bind` want it."""
        return f"{self._root}/v1.0/directoryObjects/{object_id}"

    async def get(self, path: str, *, select: str = "", version: Version = "v1.0") -> dict[str, Any] | None:
        """Return an object, or None if there is none. Raises GraphError for every other refusal."""
        try:
            return await self._ask("GET", path, {"$select": select} if select else {}, None, version)
        except GraphError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def all(
        self, path: str, *, where: str = "", select: str = "", version: Version = "v1.0"
    ) -> list[dict[str, Any]]:
        """Return the objects of a collection, of all its pages. Raises GraphError."""
        query = {name: value for name, value in (("$filter", where), ("$select", select)) if value}
        page = await self._ask("GET", path, query, None, version)
        found = list(page["value"])
        while link := page.get("@odata.nextLink"):
            parts = urlsplit(link)
            page = await self._ask("GET", f"{path}?{parts.query}", {}, None, version)
            found += page["value"]
        return found

    async def post(self, path: str, body: Body, retried: Callable[[GraphError], bool] | None = None) -> dict[str, Any]:
        """Create something, or call an action. Refusals that are `retried` are tried again for a while."""
        return await self._try("POST", path, body, retried)

    async def patch(self, path: str, body: Body, retried: Callable[[GraphError], bool] | None = None) -> None:
        """Change an object. Refusals that are `retried` are tried again for a while."""
        await self._try("PATCH", path, body, retried)

    async def delete(self, path: str) -> None:
        """Delete an object. Raises GraphError, also when there is none."""
        await self._ask("DELETE", path, {}, None)

    async def until(self, look: Callable[[], Awaitable[_Seen | None]]) -> _Seen | None:
        """Return what `look` finds, as soon as it finds something; None when patience has an end."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (seen := await look()) is None and time.monotonic() < deadline:
            await self._sleep(_POLL_SECONDS)
        return seen

    async def until_gone(self, path: str, summary: str) -> None:
        """Wait until an object that was deleted is not found any more."""

        async def look() -> bool | None:
            return True if await self.get(path) is None else None

        if await self.until(look) is None:
            raise Failure(summary, f"it is still there after {PATIENCE_SECONDS} s")

    async def _try(
        self, method: Method, path: str, body: Body, retried: Callable[[GraphError], bool] | None
    ) -> dict[str, Any]:
        last: list[GraphError] = []

        async def attempt() -> dict[str, Any] | None:
            try:
                return await self._ask(method, path, {}, body)
            except GraphError as error:
                if retried is None or not retried(error):
                    raise
                last.append(error)
                return None

        answer = await self.until(attempt)
        if answer is None:
            raise last[-1]
        return answer

    async def _ask(
        self, method: Method, path: str, query: Mapping[str, str], body: Body | None, version: Version = "v1.0"
    ) -> dict[str, Any]:
        answer = await self._send(method, f"/{version}{path}", query, body)
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise GraphError(answer)
        return dict(json.loads(answer.text)) if answer.text else {}


def _said(text: str) -> str:
    if not text:
        return "received with no body"
    try:
        error = json.loads(text)["error"]
        return f"with error: {error['code']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        return f"with response: {text}"
