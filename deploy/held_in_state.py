"""The leaves' private keys, out of the stack's state: of a stack without vaults, by whoever may decrypt its secrets."""

from collections.abc import Iterable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from deploy.outputs import Outputs
from deploy.problem import Problem
from deploy.secret import Keys, Secret


def keys_in_state(outputs: Outputs, consumers: Iterable[str]) -> Keys:
    """Return the keys of these consumers' certificates, beside the certificates of the outputs.

    A certificate that is not there, or whose key is not, is `checks.problems`' business. Nothing of a key is quoted.
    """
    found, wrong = {}, []
    for consumer in consumers:
        name = outputs.startups[consumer].consumer.certificate
        if name not in outputs.certificates or name not in outputs.private_keys:
            continue
        pem = outputs.private_keys[name].get_secret_value().encode()
        try:
            key = serialization.load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            wrong.append(
                Problem(
                    consumer,
                    f"the output privateKeys has no private key in PEM for {name}",
                    f"The private key of {name} cannot be written.",
                    "Run `make up` with this version of the program.",
                )
            )
        else:
            found[name] = Secret(outputs.certificates[name].certificate, key)
    return Keys(found, tuple(wrong))
