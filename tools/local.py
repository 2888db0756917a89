"""The environment of a local stack: its engine, its backend, and the local Azure that the program takes for Azure.

Everything hangs on one folder, `.local` in the work tree or a test's own, so any number of local stacks run at a time.
What the caller's shell says about Azure, Pulumi or Temporal Cloud is left out: a local stack meets no real account.
"""

import os
import secrets
import sys
from pathlib import Path

from localazure.client import LocalAzure
from tools.toolchain import Toolchain

_CALLERS_OWN = ("ARM_", "AZURE_", "PULUMI_", "IDENTITY_", "MSI_", "TEMPORAL_CLOUD_")
_LOOPBACK = "127.0.0.1,localhost"


def local_environment(root: Path, identity: str = "deployer") -> dict[str, str]:
    """All variables for a process on the local stack in `root`, to act as `identity` in the local Azure of root/azure.

    Raises LocalAzureError when that does not run, and KeyError when it does not know `identity`.
    """
    return engine_environment(root) | LocalAzure.attach(root / "azure").environment(identity)


def engine_environment(
    root: Path,
    *,
    pulumi_home: Path | None = None,
    toolchain: Toolchain | None = None,
) -> dict[str, str]:
    """The caller's variables, with the engine, backend and passphrase of `root` for its own Azure and Pulumi."""
    toolchain = toolchain or Toolchain()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_CALLERS_OWN)}
    directories = [str(directory) for directory in toolchain.engine().directories]
    environment |= {
        "PATH": os.pathsep.join([*directories, toolchain.search_path()]),
        "PULUMI_HOME": str(pulumi_home or root / "pulumi-home"),
        # Attributes beside a file are not written in one step with it: a killed engine would leave an unreadable state.
        "PULUMI_BACKEND_URL": f"{(root / 'backend').as_uri()}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(root / "passphrase"),
        "PULUMI_PYTHON_CMD": sys.executable,
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        # Plugins are what tools/plugins.py installed, and nothing is looked for on PATH or in the network.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
    }
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = ",".join(filter(None, [environment.get(name), _LOOPBACK]))
    return environment


def write_passphrase(path: Path) -> bool:
    """Create the passphrase of a local stack, readable by its owner alone; whether there was none before."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32))
    return True
