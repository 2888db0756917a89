"""The content of every consumer's files, out of the stack's outputs and the private keys. Pure.

Takes for granted what `checks` has found in order.
"""

from collections.abc import Iterable, Mapping

from cryptography import x509

from deploy import envfile
from deploy.outputs import Outputs, Startup
from deploy.secret import Secret
from environment import (
    AuthorityBundle,
    AuthoritySlot,
    Certificate,
    Content,
    Document,
    PrivateKey,
    contents,
    inlined,
    relocated,
    trusting,
)
from pki import to_pem

Files = Mapping[str, bytes]
"""The content of each file, by its path below the consumer's directory."""

_COMMENT = "Made by `python -m deploy write`; the next one replaces it, edits and all."


def compose(
    outputs: Outputs,
    keys: Mapping[str, Secret],
    root: str,
    *,
    consumers: Iterable[str] | None = None,
    inline: bool = False,
    https_trust: bytes | None = None,
) -> dict[str, Files]:
    """Return the files of these consumers, by default of all.

    `keys` has the secret of each consumer's certificate, by the certificate's name. `root` is where consumers see the
    deploy root. With `inline` certificates and keys are in the variables, and only what no variable can hold is a file:
    the server's two documents. `https_trust` is PEM of the authorities that consumers trust for HTTPS to Entra ID.
    """
    startups = outputs.startups
    return {
        name: _files(startups[name], outputs, keys, root, inline, https_trust)
        for name in (startups if consumers is None else consumers)
    }


def certificate_pem(outputs: Outputs, name: str) -> bytes:
    """Return the leaf `name` and then its chain."""
    leaf = outputs.certificates[name]
    return _pem(leaf.certificate, *leaf.chain)


def _files(
    startup: Startup,
    outputs: Outputs,
    keys: Mapping[str, Secret],
    root: str,
    inline: bool,
    https_trust: bytes | None,
) -> Files:
    named = contents(*startup.environments.values())
    files = {path: _content(content, outputs, keys) for path, content in named.items()}
    environments = startup.environments
    if inline:
        environments = {name: inlined(variables, files.__getitem__) for name, variables in environments.items()}
        files = {path: files[path] for path, content in named.items() if isinstance(content, Document)}
    if https_trust is not None:
        environments = {name: trusting(variables, startup.consumer) for name, variables in environments.items()}
        files[startup.consumer.https_trust_path] = https_trust
    below = f"{startup.consumer.directory}/"
    return {
        **{path.removeprefix(below): content for path, content in files.items()},
        **{name: envfile.render(relocated(variables, root), _COMMENT) for name, variables in environments.items()},
    }


def _content(content: Content, outputs: Outputs, keys: Mapping[str, Secret]) -> bytes:
    match content:
        case Certificate(name):
            return certificate_pem(outputs, name)
        case PrivateKey(name):
            return keys[name].private_key_pem
        case AuthoritySlot(authority):
            return _pem(content.chosen(outputs.ca_bundles[authority]))
        case AuthorityBundle(authority):
            return _pem(*outputs.ca_bundles[authority])
        case Document.SERVER_CONFIG:
            return outputs.server_config.encode()
        case Document.DYNAMIC_CONFIG:
            return outputs.dynamic_config.encode()


def _pem(*certificates: x509.Certificate) -> bytes:
    return "".join(map(to_pem, certificates)).encode("ascii")
