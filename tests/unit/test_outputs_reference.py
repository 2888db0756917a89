"""docs/outputs.md is what the program exports."""

import ast
from pathlib import Path

import pytest

from environment import Deployment, internal_frontend_environment, server_environment
from environment.reference import OUTPUTS, meaning_of, reference

ROOT = Path(__file__).parents[2]


def test_the_reference_page_is_current() -> None:
    """A page that tells of variables as they were sends people to set what nobody reads."""
    page = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")

    assert page == reference(), "docs/outputs.md is out of date: make docs"


def test_every_output_is_in_the_reference() -> None:
    """An output that nobody explains is one that nobody dares to rely on, or to change."""
    tree = ast.parse((ROOT / "__main__.py").read_text(encoding="utf-8"))
    (exported,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "outputs"
    )
    assert isinstance(exported, ast.Dict)

    assert [key.value for key in exported.keys if isinstance(key, ast.Constant)] == list(OUTPUTS)


def test_every_variable_without_sign_on_is_explained_too() -> None:
    """The page shows a stack with sign-on."""
    deployment = Deployment(internode_authority="internode", client_authorities=("clients", "partners"))
    for variable in server_environment(deployment) | internal_frontend_environment(deployment):
        assert meaning_of(variable)


def test_a_variable_without_a_meaning_is_an_error() -> None:
    """Else the first two tests could not fail."""
    with pytest.raises(LookupError, match="does not say what TEMPORAL_NEW means"):
        meaning_of("TEMPORAL_NEW")
