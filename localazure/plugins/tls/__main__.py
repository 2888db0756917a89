"""Started by the engine through `pulumi-resource-tls`."""

from importlib.metadata import version

from localazure.plugins.tls.provider import Tls
from plugin import serve

serve(Tls, version("pulumi-tls"))
