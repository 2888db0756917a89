"""Which authorities are public: those that Mozilla trusts, as `certifi` lists them, and whatever they issued."""

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache

import certifi
from cryptography import x509

from pki.chain import issued
from pki.held import Held
from pki.names import ComparableName, comparable


def is_well_known(each: Held) -> bool:
    """Tell whether it is a public root, another certificate of one, or issued by one."""
    return any(public.public_key() == each.public_key for public in roots().get(each.name, ())) or any(
        issued(each.certificate, by=public) for public in roots().get(each.issuer_name, ())
    )


@cache
def roots() -> Mapping[ComparableName, Sequence[x509.Certificate]]:
    """Return the public roots, by name."""
    found: dict[ComparableName, list[x509.Certificate]] = defaultdict(list)
    with warnings.catch_warnings():
        # Of a serial number that is not positive.
        warnings.simplefilter("ignore")
        for certificate in x509.load_pem_x509_certificates(certifi.contents().encode("ascii")):
            found[comparable(certificate.subject)].append(certificate)
    return found
