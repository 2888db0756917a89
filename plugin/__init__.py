"""What any Pulumi plugin written in Python needs: a host that ends with its engine, and plain values.

Knows the engine's protocol and nothing else: no Azure, no certificates. The program's own provider and the
stand-in plugins of the local Azure are both served by it.
"""

from plugin.host import Engine, PluginError, serve
from plugin.values import UNKNOWN, difference, has_unknown, plain, property_of, property_path, property_values

__all__ = [
    "UNKNOWN",
    "Engine",
    "PluginError",
    "difference",
    "has_unknown",
    "plain",
    "property_of",
    "property_path",
    "property_values",
    "serve",
]
