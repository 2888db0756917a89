"""The stand-in for `azure-native`: ARM resources of the local Azure, through the engine's provider protocol.

The shapes of inputs and outputs are those of the installed SDK; `specs` adds what the SDK does not say. What the
official plugin does around them (the look before a create, names, defaults, diffs, what refresh takes over, the
words of its errors) is done the same way, so that a program cannot tell the two apart.
"""
