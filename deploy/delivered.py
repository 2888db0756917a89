"""What is already there: the private keys of an earlier run that belong to the certificates of now.

They are not read from the vault again. So a run without changes asks Azure nothing, and whoever may not read a key can
still run it.
"""

from collections.abc import Iterable
from pathlib import Path

from deploy import directory
from deploy.outputs import Outputs
from deploy.secret import Secret


def delivered(base: Path, outputs: Outputs, consumers: Iterable[str]) -> dict[str, Secret]:
    """Return, by the certificate's name, the pairs in these consumers' directories that are the stack's own.

    A pair that does not match, is of another version or cannot be read is left out. Raises DeployError if a directory
    is not safe to read.
    """
    found: dict[str, Secret] = {}
    for consumer in consumers:
        name = outputs.startups[consumer].consumer.certificate
        files = directory.read(base, consumer) or {}
        wanted = outputs.certificates.get(name)
        try:
            pair = Secret.parse((files[f"{name}.key"] + files[f"{name}.pem"]).decode("ascii"), None)
        except (KeyError, ValueError):
            continue
        if wanted and pair.certificate == wanted.certificate and pair.fits:
            found[name] = pair
    return found
