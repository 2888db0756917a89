"""Certificates as data: issuance policies, X.509 building for a signer elsewhere, conformity, chains, requirements.

Pure: no network, no clock, no Pulumi, no Azure. Whoever calls says what time it is and brings the signature. That is
what lets an authority's key stay inside Key Vault, and lets one policy drive Key Vault and any other custody alike.
"""

from pki.chain import chain_of, load_certificate, load_certificates, to_pem
from pki.cloud_access import CaBundle, file_commands, largest_pem
from pki.conformity import deviations, outlived
from pki.filters import CertificateFilter, CertificateNames, tcld_filters
from pki.issuance import Draft, SignatureAlgorithm, draft, renewal_due, validity
from pki.policy import IssuancePolicy, KeyType, NameConstraints, Role, Subject, SubjectAlternativeNames
from pki.requirements import authority_findings, bundle_findings, client_findings, held, obstacles
from pki.rules import Finding, Place, Rule, joined
from pki.uris import uri_fault

__all__ = [
    "CaBundle",
    "CertificateFilter",
    "CertificateNames",
    "Draft",
    "Finding",
    "IssuancePolicy",
    "KeyType",
    "NameConstraints",
    "Place",
    "Role",
    "Rule",
    "SignatureAlgorithm",
    "Subject",
    "SubjectAlternativeNames",
    "authority_findings",
    "bundle_findings",
    "chain_of",
    "client_findings",
    "deviations",
    "draft",
    "file_commands",
    "held",
    "joined",
    "largest_pem",
    "load_certificate",
    "load_certificates",
    "obstacles",
    "outlived",
    "renewal_due",
    "tcld_filters",
    "to_pem",
    "uri_fault",
    "validity",
]
