"""The Azure side of a secured Temporal as Pulumi component resources, one a file.

Components take typed arguments and know nothing of the stack's configuration: what they need of it is a `Protocol`
beside each, and `__main__.py` wires the two. Type tokens are `temporal-azure:components:<class>`; they and the
logical names live in the state and at users.
"""

from components.access import EVERY_LEAF, Access, Principal
from components.brought_along import find_authorities
from components.certificate import Certificate, CertificateArgs
from components.certificate_authority import CertificateAuthority, CertificateAuthorityArgs
from components.directory import Directory
from components.key_vault import AUTHORITIES, LEAVES, KeyVault, KeyVaultArgs, VaultPolicy, vault_name, vault_names
from components.mutual_tls import MutualTls, MutualTlsArgs
from components.sign_on import SignOn, SignOnArgs, find_principals, require_permissions

__all__ = [
    "AUTHORITIES",
    "EVERY_LEAF",
    "LEAVES",
    "Access",
    "Certificate",
    "CertificateArgs",
    "CertificateAuthority",
    "CertificateAuthorityArgs",
    "Directory",
    "KeyVault",
    "KeyVaultArgs",
    "MutualTls",
    "MutualTlsArgs",
    "Principal",
    "SignOn",
    "SignOnArgs",
    "VaultPolicy",
    "find_authorities",
    "find_principals",
    "require_permissions",
    "vault_name",
    "vault_names",
]
