"""What a resource type does with Graph: create, read, update, delete."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from localazure.plugins.azuread.fields import Plain
from localazure.plugins.azuread.graph import Failure, Graph


@dataclass(frozen=True)
class Made:
    """What was created: its id in the program, and outputs that Graph never answers again."""

    id: str
    outputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """From what a resource is to what it should be. `changed` are the names of the fields that differ."""

    outputs: Plain
    desired: Plain
    changed: frozenset[str]


class Behaviour(Protocol):
    """Every method raises PluginError where Graph refuses."""

    async def create(self, graph: Graph, inputs: Plain) -> Made:
        """Create a resource."""

    async def read(self, graph: Graph, resource_id: str) -> dict[str, Any] | None:
        """Return the outputs, or None if there is no such resource."""

    async def update(self, graph: Graph, resource_id: str, change: Change) -> None:
        """Change a resource."""

    async def delete(self, graph: Graph, resource_id: str, outputs: Plain) -> None:
        """Delete a resource, and wait until it is gone."""


class Immutable:
    """A part of a behaviour: what can only be replaced."""

    async def update(self, graph: Graph, resource_id: str, change: Change) -> None:
        raise Failure("doesn't support update")


def exists_already(resource_type: str, resource_id: str) -> Failure:
    """What stands in the way of a create and may be imported."""
    return Failure(
        f'A resource with the ID "{resource_id}" already exists',
        "To be managed via Terraform, this resource needs to be imported into the State. Please see the resource "
        f'documentation for "{resource_type}" for more information.',
    )
