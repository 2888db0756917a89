"""The Azure side of a secured Temporal as Pulumi component resources, one a file.

Components take typed arguments and know nothing of the stack's configuration: what they need of it is a `Protocol`
beside each, and `__main__.py` wires the two. Type tokens are `temporal-azure:components:<class>`; they and the
logical names live in the state and at users.
"""

from components.access import Principal
from components.certificate import Certificate, CertificateArgs
from components.certificate_authority import CertificateAuthority, CertificateAuthorityArgs
from components.key_vault import KeyVault, KeyVaultArgs, VaultPolicy, vault_name
from components.mutual_tls import AUTHORITIES, EVERY_LEAF, LEAVES, MutualTls, MutualTlsArgs

__all__ = [
    "AUTHORITIES",
    "EVERY_LEAF",
    "LEAVES",
    "Certificate",
    "CertificateArgs",
    "CertificateAuthority",
    "CertificateAuthorityArgs",
    "KeyVault",
    "KeyVaultArgs",
    "MutualTls",
    "MutualTlsArgs",
    "Principal",
    "VaultPolicy",
    "vault_name",
]
