"""A person's access token for the stack's sign-on, as the Azure CLI has it: for Temporal's CLI, and to try things out.

On the local stack the person's password is known, and the Azure CLI's way in is its own client with user name and
password, which real tenants leave to the browser. On Azure it is the Azure CLI itself.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from localazure.client import LocalAzure
from localazure.entra.firstparty import AZURE_CLI_CLIENT_ID
from tools import ToolError

_TIMEOUT_SECONDS = 30


def local_command(azure: LocalAzure) -> str:
    """What prints a token on the local stack, of the first of local Azure's people."""
    return f"make --silent token USER={min(each['mail'] for each in _people(azure).values())}"


def person_token(azure: LocalAzure, outputs: Mapping[str, Any], user: str | None) -> str:
    """An access token of the local Azure's user for the application of `outputs`' sign-on.

    `user` is a user principal name, a mail address or a name of identities.json. ToolError if there is no such user or
    no sign-on, and in Entra's words if Entra refuses.
    """
    client_id = (outputs.get("signOn") or {}).get("clientId")
    if not client_id:
        raise ToolError("the stack has no sign-on, so there is nothing to get a token for: see `authorization`")
    person = _person(azure, user)
    form = {
        "grant_type": "password",
        "client_id": AZURE_CLI_CLIENT_ID,
        "username": person["userPrincipalName"],
        "password": person["password"],
        "scope": f"{client_id}/default",
    }
    address = f"{azure.origin}/{person['tenantId']}/oauth2/v2.0/token"
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=azure.tls_context())
    )
    try:
        with opener.open(address, data=urlencode(form).encode(), timeout=_TIMEOUT_SECONDS) as response:
            return str(json.load(response)["access_token"])
    except urllib.error.HTTPError as error:
        refused = json.load(error)
        raise ToolError(str(refused["error_description"]).partition(" Trace ID:")[0]) from error
    except OSError as error:
        raise ToolError(f"the local Azure does not answer on {azure.metadata_host}: {error}") from error


def _person(azure: LocalAzure, user: str | None) -> dict[str, str]:
    people = _people(azure)
    known = ", ".join(sorted(each["mail"] for each in people.values()))
    if user is None:
        raise ToolError(f"say whose token: USER=…, one of {known}")
    wanted = user.lower()
    for name, each in people.items():
        if wanted in (name.lower(), each["userPrincipalName"].lower(), each["mail"].lower()):
            return each
    raise ToolError(f"local Azure knows no user {user!r}: it has {known}")


def _people(azure: LocalAzure) -> dict[str, dict[str, str]]:
    return {name: each for name, each in azure.identities.items() if each["kind"] == "User"}
