"""What the server, the UI, the CLI and the workers start with: variables, server.yaml, dynamicconfig.yaml.

Pure: no Pulumi, no Azure, no file is read or written. `variables` says what each consumer is told, `files` says what
lies behind the variables that name files, and `server_config` writes the two documents that the server reads. Whoever
fills a directory (deploy/) asks `files` and needs to know no variable of Temporal's.

The decision that matters: the server runs as two processes. Both present the same certificate, but the public frontend
admits clients of the client authorities, and the internal frontend, whose callers are all administrators, those of the
internode authority alone. In one process this cannot be said: the internal frontend's HTTP port follows the public
frontend's trust.
"""

from environment.files import (
    CLI,
    SERVER,
    UI,
    AuthorityBundle,
    AuthoritySlot,
    Certificate,
    Consumer,
    Content,
    Document,
    Environment,
    PrivateKey,
    carried,
    contents,
    inlined,
    relocated,
    trusting,
    worker,
)
from environment.server_config import default_ports, dynamic_config, server_config
from environment.variables import (
    Deployment,
    SignOn,
    cli_environment,
    internal_frontend_environment,
    server_environment,
    ui_environment,
    worker_environment,
)

__all__ = [
    "CLI",
    "SERVER",
    "UI",
    "AuthorityBundle",
    "AuthoritySlot",
    "Certificate",
    "Consumer",
    "Content",
    "Deployment",
    "Document",
    "Environment",
    "PrivateKey",
    "SignOn",
    "carried",
    "cli_environment",
    "contents",
    "default_ports",
    "dynamic_config",
    "inlined",
    "internal_frontend_environment",
    "relocated",
    "server_config",
    "server_environment",
    "trusting",
    "ui_environment",
    "worker",
    "worker_environment",
]
