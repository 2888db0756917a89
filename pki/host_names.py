"""Whether a certificate is a server's that is called by a host name, as clients judge it: by its DNS names alone."""

from collections.abc import Iterable

from cryptography import x509


def vouches_for(certificate: x509.Certificate, host: str) -> bool:
    """Tell whether a certificate has a DNS name for `host`."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return covers(names.get_values_for_type(x509.DNSName), host)


def covers(dns_names: Iterable[str], host: str) -> bool:
    """Tell whether `host` is one of the names; a wildcard stands for its first label, and no more (RFC 9525, 6.3)."""
    name = host.lower()
    return bool({name, f"*.{name.partition('.')[2]}"} & {each.lower() for each in dns_names})
