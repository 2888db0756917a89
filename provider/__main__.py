"""Entry point of the plugin: the engine starts it, with its address."""

from plugin import serve
from provider import VERSION
from provider.plugin import KeyVaultProvider

serve(KeyVaultProvider, VERSION)
