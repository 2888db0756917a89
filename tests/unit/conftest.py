"""What holds for every unit test."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.go_verifier import GoVerifier, go_verifier
from tests.unit.azuread_driver import Driver, directory_with_an_application
from tests.unit.directory_in_memory import Directory

# A loaded machine is slow: how long an example takes says nothing about the code.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.fixture
def directory() -> Directory:
    """For the stand-in for azuread: what its `driver` finds."""
    return directory_with_an_application()


@pytest.fixture
async def driver(directory: Directory) -> Driver:
    """The stand-in for azuread. Modules for another have a driver of their own."""
    return await Driver(directory).configured()


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoVerifier]:
    """Go's verifier, which Temporal uses."""
    with go_verifier(tmp_path_factory.mktemp("go")) as verifier:
        yield verifier
