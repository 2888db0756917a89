"""What an identity lacks in the directory, told by the real engine before anything is declared."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from localazure.client import LocalAzure
from tests.engine.stacks import Run, Watch
from tools import REPOSITORY
from tools.stack import LocalStack

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("directory")]

PROGRAM = """
    import os

    import pulumi

    from provider.resources import DirectoryPermission, KeyVaultProvider, check_directory_access, get_caller

    provider = KeyVaultProvider("temporalazure", {})
    options = pulumi.InvokeOptions(provider=provider)
    tenant_id = os.environ.get("ARM_TENANT_ID") if pulumi.Config().get_bool("named") else None
    check_directory_access(
        [
            DirectoryPermission(
                names=["Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"], needed_for="signOn"
            ),
            DirectoryPermission(names=["AppRoleAssignment.ReadWrite.All"], needed_for="signOn.assignments"),
            DirectoryPermission(names=["User.Read.All", "Directory.Read.All"], needed_for="people by name"),
        ],
        options,
        tenant_id,
    )
    pulumi.export("caller", get_caller(options, tenant_id).object_id)
"""


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, azure: LocalAzure, pulumi_home: Path
) -> Callable[..., tuple[Run, LocalStack]]:
    """Previews or runs the program as an identity."""

    def start(operation: str, identity: str, *, named: bool = False) -> tuple[Run, LocalStack]:
        root = tmp_path_factory.mktemp("directory")
        project = root / "project"
        project.mkdir()
        provider = {"name": "temporalazure", "path": str(REPOSITORY / "provider")}
        (project / "Pulumi.yaml").write_text(
            json.dumps({"name": "directory", "runtime": "python", "plugins": {"providers": [provider]}})
        )
        (project / "__main__.py").write_text(textwrap.dedent(PROGRAM))
        environment = {"PYTHONPATH": str(REPOSITORY), "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}
        stack = LocalStack(
            root / "stack",
            azure=azure,
            name=f"t{uuid4().hex[:8]}",
            project=project,
            pulumi_home=pulumi_home,
            environment=environment,
        )
        stack.configure({"directory:named": named})
        unasked = [] if operation == "preview" else ["--yes", "--skip-preview"]
        with stack.start(operation, *unasked, "--json", identity=identity) as running:
            return Run(running.wait()), stack

    return start


@pytest.mark.parametrize("named", [False, True], ids=["own tenant", "tenant that is named"])
def test_who_has_the_permissions_goes_on(
    run: Callable[..., tuple[Run, LocalStack]], azure: LocalAzure, named: bool
) -> None:
    done, stack = run("up", "deployer", named=named)
    assert stack.outputs() == {"caller": azure.identities["deployer"]["objectId"]}
    assert [message for message in done.check().messages if message.severity in ("warning", "error")] == []


@pytest.mark.parametrize("operation", ["preview", "up"])
def test_who_lacks_some_is_told_which_and_how(
    run: Callable[..., tuple[Run, LocalStack]], azure: LocalAzure, operation: str
) -> None:
    """Prevents the plugin's own 403, which names no permission, after half of the directory was written."""
    watch = Watch(azure)
    refused, _ = run(operation, "previewer")
    said = refused.refused().shown
    client_id = azure.identities["previewer"]["clientId"]
    assert f"The application {client_id} (service principal " in said
    assert "lacks 2 permissions of Microsoft Graph" in said
    assert "- Application.ReadWrite.OwnedBy or Application.ReadWrite.All, for signOn\n" in said
    assert "- AppRoleAssignment.ReadWrite.All, for signOn.assignments\n" in said
    assert "people by name" not in said
    assert f"az ad app permission admin-consent --id {client_id}" in said
    assert watch.writes() == []
