"""`make token`: a person's token for the stack's sign-on, and the message where there is none."""

import os
import subprocess

import pytest
from click.testing import CliRunner

from localazure.client import LocalAzure
from tests.engine.localazure.entra import Entra
from tests.engine.localazure.registrations import Registered, Registrations
from tools import REPOSITORY, ToolError
from tools.__main__ import main
from tools.sign_on import person_token

ROLE = "temporal-system:read"


@pytest.fixture
def application(registrations: Registrations) -> Registered:
    """As the program declares it: the Azure CLI pre-authorized, and assignment required."""
    application = registrations.application(roles=(ROLE,))
    registrations.preauthorize(application)
    registrations.set_up(application, appRoleAssignmentRequired=True)
    return application


@pytest.mark.parametrize("user", ["ada@contoso.example", "Ada@Contoso.example", "ada"])
def test_an_assigned_person_gets_a_token_for_the_stacks_application(
    azure: LocalAzure, application: Registered, entra: Entra, registrations: Registrations, user: str
) -> None:
    """With what the server reads: the application as audience, and the person's roles."""
    registrations.assign(application, azure.identities["ada"]["objectId"], ROLE)
    token = person_token(azure, {"signOn": {"clientId": application.client_id}}, user)
    claims = entra.claims(token, application.client_id)
    assert (claims["roles"], claims["preferred_username"]) == ([ROLE], "ada@contoso.example")


def test_a_guest_is_found_by_mail(
    azure: LocalAzure, application: Registered, entra: Entra, registrations: Registrations
) -> None:
    """Nobody types a guest's user principal name."""
    registrations.assign(application, azure.identities["guest"]["objectId"], ROLE)
    token = person_token(azure, {"signOn": {"clientId": application.client_id}}, "grace@partner.example")
    assert entra.claims(token, application.client_id)["roles"] == [ROLE]


def test_an_unassigned_person_is_told_in_entras_words(azure: LocalAzure, application: Registered) -> None:
    """The same that the sign-in page says."""
    with pytest.raises(ToolError, match=r"AADSTS50105: .*'eve@contoso\.example' is blocked") as refused:
        person_token(azure, {"signOn": {"clientId": application.client_id}}, "eve@contoso.example")
    assert "Trace ID" not in refused.value.message


@pytest.mark.parametrize("user", ["mallory@contoso.example", "deployer", None])
def test_an_unknown_user_is_told_who_there_is(azure: LocalAzure, application: Registered, user: str | None) -> None:
    """A service principal is no user."""
    with pytest.raises(ToolError, match=r"ada@contoso\.example, bob@contoso\.example"):
        person_token(azure, {"signOn": {"clientId": application.client_id}}, user)


@pytest.mark.parametrize("outputs", [{}, {"signOn": None}, {"signOn": {}}])
def test_a_stack_without_sign_on_has_no_token(azure: LocalAzure, outputs: dict[str, None]) -> None:
    """And the message says what to set."""
    with pytest.raises(ToolError, match="no sign-on"):
        person_token(azure, outputs, "ada@contoso.example")


def test_a_stack_on_azure_is_the_azure_clis() -> None:
    """Nothing is asked of anyone; nothing goes to standard output, where a token would be."""
    result = CliRunner().invoke(main, ["token", "--stack", "dev", "--user", "ada@contoso.example"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "az account get-access-token --scope" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [(["USER=ada@contoso.example"], "--user 'ada@contoso.example'"), ([], "--stack local \n")],
    ids=["given", "from the environment"],
)
def test_make_takes_the_user_from_its_command_line_alone(arguments: list[str], asked: str) -> None:
    """Every shell has a USER, and `make token` must not go looking for root in Entra ID."""
    shown = subprocess.run(
        ["make", "--dry-run", "token", *arguments],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "USER": "root"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked in shown.stdout
    assert "root" not in shown.stdout.replace(str(REPOSITORY), "")
