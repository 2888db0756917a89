"""Started by the engine through `pulumi-resource-azuread`."""

from importlib.metadata import version

from localazure.plugins.azuread.provider import AzureAd
from plugin import serve

serve(AzureAd, version("pulumi-azuread"))
