"""What time it is, for the program and this provider: the clock of all plugins (`plugin.clock`)."""

from plugin.clock import VARIABLE, now

__all__ = ["VARIABLE", "now"]
