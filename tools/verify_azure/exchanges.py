"""Exchanges with a vault as they are kept: one JSON file for each check, in one folder for each run.

Written by a run against Azure, read by the test that replays them against local Azure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

Network = Literal["open", "denied", "closed"]
"""A vault's public endpoint: open, open with a firewall that denies, or closed."""

UNNAMED_CLOUD = "described by a metadata host"
"""The `cloud` of a recording that was not made of any of Azure's own."""

_TRIED_AGAIN = frozenset({408, 429, 500, 502, 503, 504})


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, kw_only=True)
class RawExchange:
    """A request and its answer as they went over the wire, without request headers."""

    caller: str
    method: str
    url: str
    request: Any
    status: int
    headers: Mapping[str, str]
    response: Any


class Exchange(_Kept):
    """A request and its answer, redacted. `caller` is `deployer`, or `stranger` for one who has no role."""

    caller: str
    method: str
    path: str
    query: dict[str, str]
    request: Any = None
    status: int
    headers: dict[str, str]
    response: Any = None

    def asks_as(self, other: Exchange) -> bool:
        """Whether the two requests are the same."""
        return (self.caller, self.method, self.path, self.query, self.request) == (
            other.caller,
            other.method,
            other.path,
            other.query,
            other.request,
        )


class Conditions(_Kept):
    """What a vault must be like for the exchanges to go this way."""

    purge_protected: bool = False
    soft_delete_days: int = 90
    network: Network = "open"
    throttled: bool = False


class Recording(_Kept):
    """The exchanges of one check, made with one type of key, under `conditions`, in a cloud of that name."""

    cloud: str
    check: str
    key_type: str
    conditions: Conditions
    exchanges: tuple[Exchange, ...]

    @property
    def file_name(self) -> str:
        return f"{self.check}.{self.key_type}.json"

    def dump(self) -> str:
        """Return the file's text."""
        return self.model_dump_json(indent=1, exclude_none=True) + "\n"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises OSError, or ValueError for a file that is no recording."""
        return cls.model_validate_json(path.read_bytes())


def folded(exchanges: Iterable[Exchange]) -> tuple[Exchange, ...]:
    """Return the exchanges without what is only a matter of time: polls before the last, retried faults, pages."""
    kept: list[Exchange] = []
    for exchange in exchanges:
        last = kept[-1] if kept else None
        if last is not None and _continues(exchange, last):
            entries = sorted([*last.response["value"], *exchange.response["value"]], key=str)
            kept[-1] = last.model_copy(update={"response": {**last.response, "value": entries}})
            continue
        if last is not None and last.asks_as(exchange) and (last.method == "GET" or last.status in _TRIED_AGAIN):
            kept.pop()
        kept.append(_on_one_page(exchange))
    return tuple(kept)


def _continues(exchange: Exchange, last: Exchange) -> bool:
    return "$skiptoken" in exchange.query and (exchange.path, exchange.status) == (last.path, last.status)


def _on_one_page(exchange: Exchange) -> Exchange:
    if not isinstance(exchange.response, dict) or "nextLink" not in exchange.response:
        return exchange
    response = {name: value for name, value in exchange.response.items() if name != "nextLink"}
    return exchange.model_copy(update={"response": response})
