"""One resource type: its properties, the form of its ids, and where the SDK has it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module

from localazure.plugins.azuread.fields import Field
from localazure.plugins.shapes import Shape
from plugin import PluginError


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One resource type: its properties, and how the official plugin treats it."""

    token: str
    module: str
    """Where the SDK has it."""
    id: str
    """The form of its ids, with `{parts}`."""
    fields: Sequence[Field]
    """What a program may give."""
    answered: Sequence[Field] = ()
    """What Graph answers beside."""
    computed: frozenset[str] = frozenset()
    """Outputs that are neither."""
    conflicts: tuple[str, ...] = ()
    """Inputs of which one may be given."""
    importable: bool = True

    @property
    def class_name(self) -> str:
        return self.token.split(":")[2]

    @property
    def terraform_name(self) -> str:
        """What the official plugin calls it in some messages."""
        return "azuread" + re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", self.class_name)

    @cached_property
    def inputs(self) -> Shape:
        """The shape of its inputs in the SDK."""
        module = import_module(f"pulumi_azuread.{self.module}")
        # The class of a resource's arguments has another name where a nested one took this.
        arguments = getattr(module, f"{self.class_name}Args", None) or getattr(module, f"{self.class_name}InitArgs")
        return Shape(arguments)

    @property
    def replacing(self) -> frozenset[str]:
        """Inputs whose change replaces the resource."""
        return frozenset(field.name for field in self.fields if field.replaces)

    def id_of(self, *parts: str) -> str:
        """Return the id that has the parts, in their order."""
        remaining = iter(parts)
        return re.sub(r"{\w+}", lambda _: next(remaining), self.id)

    def parts_of(self, resource_id: str) -> list[str]:
        """Return the parts of an id. Raises PluginError if it is no id of this type."""
        # The last part may hold slashes: the base64 form of a URI does.
        pattern = re.sub(r"{\w+}$", "(.+)", self.id)
        match = re.fullmatch(re.sub(r"{\w+}", "([^/]+)", pattern), resource_id)
        if match is None:
            raise PluginError(
                f'parsing "{resource_id}": the ID of an {self.terraform_name} has the form {self.id}. '
                "Nothing was read or changed."
            )
        return list(match.groups())
