"""The Pulumi provider for what lies in Key Vault, one resource a certificate, authority or leaf, one a secret; and for
who may come in to a namespace of Temporal Cloud.

`plugin.py` speaks the engine's protocol, and gives what concerns a resource to `certificate.py`, `secret.py` or
`namespace.py`; `issuance.py`, `keeping.py` and `admitting.py` bring a vault, or a namespace, to what is asked for;
`questions.py` answers the program; `resources.py` is what the program declares. Private keys stay in their vault:
nothing in this room reads one.
"""

NAME = "temporalazure"
VERSION = "1.0.0"
