"""Started by the engine through `pulumi-resource-azure-native`."""

from importlib.metadata import version

from localazure.plugins.azure_native.provider import AzureNative
from plugin import serve

serve(AzureNative, version("pulumi-azure-native"))
