"""The stack's configuration, typed and checked before any resource exists.

Takes plain data and knows neither Pulumi nor the network: `__main__.py` brings what the engine hands over, as
`parse(decode(runtime.get_config_env()), secret_keys=runtime.get_config_secret_keys_env(), …)`. There are two layers:
what a person writes, where nearly everything may be left out, and `Settings`, where every default is filled in. The
first is the only description of a setting there is: the messages, docs/settings.md and Pulumi.yaml follow from it.
"""

from settings.parsing import azure_settings, decode, directory_settings, parse
from settings.problems import Problem, SettingsError
from settings.resolved import (
    AuthoritySettings,
    CertificateSettings,
    CloudNamespaceSettings,
    GenerationSettings,
    Settings,
    SignOnSettings,
)
from settings.written import (
    Access,
    Authorization,
    Custody,
    DefaultAction,
    Frontend,
    Network,
    Principal,
    PrincipalKind,
    Sku,
    Vaults,
)

__all__ = [
    "Access",
    "AuthoritySettings",
    "Authorization",
    "CertificateSettings",
    "CloudNamespaceSettings",
    "Custody",
    "DefaultAction",
    "Frontend",
    "GenerationSettings",
    "Network",
    "Principal",
    "PrincipalKind",
    "Problem",
    "Settings",
    "SettingsError",
    "SignOnSettings",
    "Sku",
    "Vaults",
    "azure_settings",
    "decode",
    "directory_settings",
    "parse",
]
