"""Who in Entra ID is meant by a name: looked up before anything is declared, and all who are missing are told at once.

People are found by user principal name, e-mail address (guests, whose user principal name nobody knows) or object ID;
groups by name or object ID; service principals by name, client ID or object ID.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import pulumi
import pulumi_azuread as azuread

_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Named(Protocol):
    """Somebody by name; `kind` is `user`, `group` or `servicePrincipal`."""

    @property
    def kind(self) -> str: ...

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class DirectoryPrincipal:
    """Somebody in Entra ID, by object ID; `client_id` is a service principal's."""

    object_id: str
    client_id: str = ""


Found = Mapping[tuple[str, str], DirectoryPrincipal]
"""Who was found, by kind and name."""


class _Nobody(Enum):
    """Why a name means nobody, and what to do."""

    NONE = ("there is none", "Check the name")
    SEVERAL = ("there are several of that name", "Name it by its object id, which this prints")


class Directory:
    """A tenant of Entra ID. `provider` declares what is in it; `settings` are arguments of it, no secrets.

    `azure_client_id` is the application that works in Azure, if the stack names one; here it may be another.
    """

    def __init__(self, tenant_id: str, settings: Mapping[str, str | bool], azure_client_id: str | None = None) -> None:
        self.tenant_id = tenant_id
        arguments: dict[str, Any] = {"tenant_id": tenant_id, **settings}
        self.provider = azuread.Provider("directory", **arguments)
        self.has_identity_of_its_own = settings.get("client_id") not in (None, azure_client_id)
        self._opts = pulumi.InvokeOptions(provider=self.provider)

    def caller(self) -> str:
        """Return the object ID of whoever runs this, in this tenant."""
        try:
            return str(azuread.get_client_config(self._opts).object_id)
        except Exception as error:  # the SDK raises this type alone
            raise _unanswered(error) from None

    def look_up(self, named: Mapping[str, Iterable[Named]]) -> Found:
        """Return who is meant; `named` is by the setting that names them.

        Raises RunError, with everybody who is not there or not only one, or if Entra ID does not answer.
        """
        found: dict[tuple[str, str], DirectoryPrincipal] = {}
        problems: dict[tuple[str, str], str] = {}
        for where, items in named.items():
            for kind, name in ((item.kind, item.name) for item in items):
                if (kind, name) in found or (kind, name) in problems:
                    continue
                match self._asked(kind, name):
                    case DirectoryPrincipal() as principal:
                        found[kind, name] = principal
                    case nobody:
                        what, fix = nobody.value
                        look = _LOOK[kind].format(name=shlex.quote(name))
                        told = f"{where}: {kind} {name!r}: {what} in tenant {self.tenant_id}. {fix}: {look}."
                        problems[kind, name] = told
        if problems:
            count = "One principal was" if len(problems) == 1 else f"{len(problems)} principals were"
            heading = f"{count} not found in Entra ID. Nobody could be given a role; nothing was created or changed."
            raise pulumi.RunError("\n\n".join([heading, *(f"  {problem}" for problem in problems.values())]))
        return found

    def _asked(self, kind: str, name: str) -> DirectoryPrincipal | _Nobody:
        """Ask for one name: of several that are asked for together, one that two principals have would fail all."""
        ask, ways_by_id, ways_by_name = _QUESTIONS[kind]
        for way in ways_by_id if _GUID.fullmatch(name) else ways_by_name:
            try:
                answer = ask(**{way: [name]}, ignore_missing=True, opts=self._opts)
            except Exception as error:  # the SDK raises this type alone
                if "more than one" in str(error).lower():
                    return _Nobody.SEVERAL
                raise _unanswered(error) from None
            if answer.object_ids:
                return DirectoryPrincipal(answer.object_ids[0], *getattr(answer, "client_ids", [])[:1])
        return _Nobody.NONE


_QUESTIONS: Mapping[str, tuple[Callable[..., Any], Sequence[str], Sequence[str]]] = {
    "user": (azuread.get_users, ("object_ids",), ("user_principal_names", "mails")),
    "group": (azuread.get_groups, ("object_ids",), ("display_names",)),
    "servicePrincipal": (azuread.get_service_principals, ("object_ids", "client_ids"), ("display_names",)),
}
"""What is asked for each kind, and as what a GUID and another name are tried."""

_LOOK = {
    "user": "az ad user show --id {name}",
    "group": "az ad group list --display-name {name}",
    "servicePrincipal": "az ad sp list --display-name {name}",
}


def _unanswered(error: Exception) -> pulumi.RunError:
    _, _, reason = str(error).rpartition("returned an error: ")
    return pulumi.RunError(
        f"Entra ID could not be asked who is meant in signOn: {reason} Nothing was created or changed. Reading users, "
        f"groups and applications takes the Microsoft Graph permission Directory.Read.All; see docs/sign-on.md."
    )
