"""The Pulumi provider for what lies in Key Vault: one resource a certificate, authority or leaf, one a secret.

`plugin.py` speaks the engine's protocol, and gives what concerns a resource to `certificate.py` or `secret.py`;
`issuance.py` and `keeping.py` bring a vault to what is asked for; `questions.py` answers the program; `resources.py` is
what the program declares. Private keys stay in their vault: nothing in this room reads one.
"""

NAME = "temporalazure"
VERSION = "1.0.0"
