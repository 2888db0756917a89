"""The Pulumi provider for certificates in Key Vault: one resource a certificate, authority or leaf.

`plugin.py` speaks the engine's protocol, `issuance.py` brings a vault to what a policy asks for, `resources.py` is
what the program declares. Private keys stay in their vault: nothing in this room reads one.
"""

NAME = "temporalazure"
VERSION = "1.0.0"
