"""Owners of applications and service principals.

The official plugin makes the caller the first owner of what it creates, so that it may go on under
`Application.ReadWrite.OwnedBy`, and removes it in the end, unless it is among the configured owners.
"""

from localazure.plugins.azuread.fields import Plain
from localazure.plugins.azuread.graph import Graph, failing

_AT_ONCE = 20
"""How many owners Graph takes with what it creates."""


class Owners:
    """The owners that an object is to have, while it is created."""

    def __init__(self, caller: str, wanted: list[str]) -> None:
        others = [owner for owner in wanted if owner.lower() != caller.lower()]
        self._caller = "" if len(others) < len(wanted) else caller
        self.first = [caller, *others[: _AT_ONCE - 1]]
        self._later = others[_AT_ONCE - 1 :]

    @classmethod
    async def of(cls, graph: Graph, inputs: Plain) -> "Owners":
        """Read them from inputs."""
        return cls((await graph.who())["objectId"], list(inputs.get("owners") or []))

    def binding(self, graph: Graph) -> dict[str, list[str]]:
        """Return the part of a create's body that names the first of them."""
        return {"owners@odata.bind": [graph.reference(owner) for owner in self.first]}

    async def settle(self, graph: Graph, path: str, what: str) -> None:
        """Add the others, and remove the caller if it is no owner."""
        with failing(f"Could not add owners to {what}"):
            for owner in self._later:
                await _add(graph, path, owner)
        if self._caller:
            with failing(f"Could not remove initial owner from {what}"):
                await graph.delete(f"{path}/owners/{self._caller}/$ref")


async def owners(graph: Graph, path: str, what: str) -> list[str]:
    """Return the ids of an object's owners."""
    with failing(f"Could not retrieve owners for {what}"):
        return [owner["id"] for owner in await graph.all(f"{path}/owners")]


async def set_owners(graph: Graph, path: str, what: str, wanted: list[str]) -> None:
    """Add and remove owners. Those that are new come first, so that there is always one."""
    present = await owners(graph, path, what)
    with failing(f"Could not add owners to {what}"):
        for owner in wanted:
            if owner not in present:
                await _add(graph, path, owner)
        for owner in present:
            if owner not in wanted:
                await graph.delete(f"{path}/owners/{owner}/$ref")


async def _add(graph: Graph, path: str, owner: str) -> None:
    await graph.post(f"{path}/owners/$ref", {"@odata.id": graph.reference(owner)})
