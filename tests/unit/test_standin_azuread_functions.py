"""The stand-in for azuread: its functions, and the connection to Graph."""

from importlib import import_module
from typing import Any

import pytest
from pulumi import _types as sdk

from localazure.plugins.connection import Connection
from plugin import PluginError
from tests.unit.azuread_driver import DENIED, OTHER, PRINCIPAL, ROLE, USER, Driver
from tests.unit.directory_in_memory import CALLER, ROOT, Directory


async def test_client_config_is_the_callers_and_asks_graph_nothing(driver: Driver, directory: Directory) -> None:
    """Prevents a program that cannot learn who runs it, or that needs a right for it."""
    answer = await driver.invoke("getClientConfig")
    ids = {name: CALLER[name] for name in ("tenantId", "clientId", "objectId")}
    assert answer == ids | {"id": "-".join(ids.values())}
    assert directory.asked == []


@pytest.fixture
def people(directory: Directory) -> Directory:
    for name, mail in (("ada", None), ("o'neil", "neil@partner.example")):
        user = {"id": str(USER).replace("7", name[0].replace("o", "c")), "userPrincipalName": f"{name}@contoso.example"}
        directory.objects[f"/users/{user['id']}"] = user | {"displayName": name, "mail": mail, "accountEnabled": True}
    for number in (1, 2):
        group = {"id": f"{number}{OTHER[1:]}", "displayName": "Twins", "securityEnabled": True, "mailEnabled": False}
        directory.objects[f"/groups/{group['id']}"] = group
    directory.objects[f"/groups/{ROLE}"] = {"id": ROLE, "displayName": "Operators", "securityEnabled": True}
    return directory


async def test_functions_answer_what_the_sdk_expects(driver: Driver, people: Directory) -> None:
    """Prevents an output that the SDK has and the stand-in does not answer."""
    asked: dict[tuple[str, str], dict[str, Any]] = {
        ("getUsers", "get_users"): {"userPrincipalNames": ["ada@contoso.example"]},
        ("getGroups", "get_groups"): {"displayNames": ["Operators"]},
        ("getServicePrincipals", "get_service_principals"): {"clientIds": [OTHER]},
        ("getServicePrincipal", "get_service_principal"): {"clientId": OTHER},
        ("getClientConfig", "get_client_config"): {},
    }
    for (function, module), arguments in asked.items():
        result = getattr(import_module(f"pulumi_azuread.{module}"), f"G{function[1:]}Result")
        # Conditions are answered when they were given.
        expected = set(sdk.output_type_types(result)) - {"mailEnabled", "securityEnabled"}
        assert (await driver.invoke(function, **arguments)).keys() == expected, function


@pytest.mark.parametrize(
    ("function", "arguments", "output", "found"),
    [
        ("getUsers", {"userPrincipalNames": ["ada@contoso.example"]}, "mails", []),
        ("getUsers", {"mails": ["neil@partner.example"]}, "userPrincipalNames", ["o'neil@contoso.example"]),
        (
            "getUsers",
            {"mails": ["neil@partner.example", "x@y"], "ignoreMissing": True},
            "mails",
            ["neil@partner.example"],
        ),
        ("getUsers", {"objectIds": [OTHER], "ignoreMissing": True}, "users", []),
        ("getUsers", {"objectIds": []}, "objectIds", []),
        ("getGroups", {"displayNames": ["Operators"]}, "objectIds", [ROLE]),
        ("getGroups", {"objectIds": [ROLE]}, "displayNames", ["Operators"]),
        ("getServicePrincipals", {"clientIds": [OTHER]}, "objectIds", [PRINCIPAL]),
        ("getServicePrincipals", {"displayNames": ["There"]}, "clientIds", [OTHER]),
        ("getServicePrincipals", {"objectIds": [PRINCIPAL]}, "displayNames", ["There"]),
        ("getServicePrincipals", {"returnAll": True}, "objectIds", [PRINCIPAL]),
        ("getServicePrincipal", {"displayName": "There"}, "objectId", PRINCIPAL),
        ("getServicePrincipal", {"objectId": PRINCIPAL}, "clientId", OTHER),
    ],
)
async def test_functions_find_what_is_meant(
    driver: Driver, people: Directory, function: str, arguments: dict[str, Any], output: str, found: Any
) -> None:
    """Prevents a person who is looked up and not found: the twin of the refusals."""
    assert (await driver.invoke(function, **arguments))[output] == found
    assert people.writes == []


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("getUsers", {"userPrincipalNames": ["x@y"]}, 'User with UPN "x@y" was not found'),
        ("getUsers", {"mails": ["x@y"]}, 'User not found with mail address: "x@y"'),
        ("getUsers", {"objectIds": [OTHER]}, f'User not found with object ID: "{OTHER}"'),
        ("getUsers", {"objectIds": ["x"]}, 'expected "objectIds" to be a valid UUID, got x'),
        ("getUsers", {"mails": [""]}, 'expected "mails" to not be an empty string'),
        ("getUsers", {}, "Invalid combination of arguments: one of `objectIds,userPrincipalNames,"),
        ("getUsers", {"mails": ["a"], "objectIds": []}, "Invalid combination of arguments"),
        (
            "getUsers",
            {"returnAll": True, "ignoreMissing": True},
            "ignoreMissing and returnAll cannot be given together",
        ),
        ("getUsers", {"names": ["x"]}, "unknown property 'names'"),
        ("getUsers", {"mails": "x@y"}, "'mails' should be of type 'array' but got a string"),
        ("getGroups", {"displayNames": ["Nobody"]}, 'No group found with display name: "Nobody"'),
        ("getGroups", {"displayNames": ["Twins"]}, 'More than one group found with display name: "Twins"'),
        ("getGroups", {"objectIds": [OTHER]}, f'No group found with object ID: "{OTHER}"'),
        ("getGroups", {"objectIds": [ROLE], "mailEnabled": True}, "do not go with objectIds"),
        ("getServicePrincipals", {"clientIds": [ROLE]}, f'Service principal not found with application ID: "{ROLE}"'),
        ("getServicePrincipal", {"clientId": ROLE}, "No service principal found: no service principal found"),
        ("getServicePrincipal", {}, "one of `clientId,displayName,objectId` must be specified"),
    ],
)
async def test_functions_say_what_they_do_not_find(
    driver: Driver, people: Directory, function: str, arguments: dict[str, Any], message: str
) -> None:
    """Prevents that a misspelt name is taken for nobody."""
    with pytest.raises(PluginError) as refused:
        await driver.invoke(function, **arguments)
    assert message in str(refused.value)


async def test_functions_that_are_refused_say_so(driver: Driver, people: Directory) -> None:
    """Prevents that a missing permission is taken for a person who does not exist."""
    people.refused.append(("GET", ".*"))
    with pytest.raises(PluginError) as refused:
        await driver.invoke("getUsers", mails=["x@y"], ignoreMissing=True)
    assert f'Finding user with mail address: "x@y": {DENIED}' in str(refused.value)


ENDPOINTS = {
    "resourceManager": "https://127.0.0.1:8443/",
    "microsoftGraphResourceId": f"{ROOT}/",
    "authentication": {"loginEndpoint": "https://127.0.0.1:8443", "audiences": ["https://127.0.0.1:8443/"]},
}
SIGN_IN = {"tenantId": CALLER["tenantId"], "clientId": CALLER["clientId"], "clientSecret": "s"}


async def test_no_subscription_is_needed_for_the_directory() -> None:
    """Prevents that sign-on in a tenant of its own needs a subscription, which it may not have."""
    Connection(SIGN_IN, ENDPOINTS, in_subscription=False)
    with pytest.raises(PluginError, match="`subscriptionId`"):
        Connection(SIGN_IN, ENDPOINTS)


async def test_a_graph_elsewhere_is_refused() -> None:
    """Prevents that a stand-in works on Microsoft's directory."""
    with pytest.raises(PluginError, match="speaks to the local Azure only"):
        Connection(
            SIGN_IN, {**ENDPOINTS, "microsoftGraphResourceId": "https://graph.microsoft.com/"}, in_subscription=False
        )
