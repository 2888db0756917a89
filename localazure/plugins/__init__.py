"""Stand-ins for the official Pulumi plugins, for machines that cannot download them.

Each serves the tokens of one official package, for exactly the resources that the program uses, and translates to the
same HTTP calls. They are as strict as the official ones, refuse what they do not know, and refuse every address but
loopback: whatever they are configured with, they cannot touch Azure.
"""
