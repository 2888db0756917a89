"""Asks Azure itself what local Azure only assumes, in one Key Vault that a person names.

Opt-in, and for somebody with an account: `make verify-azure VAULT=…`, see docs/verify-azure.md. Each check states what
localazure assumes, does it on Azure, and compares. The exchanges are kept, redacted, so that local Azure can be tested
against them from then on (tests/engine/localazure/test_exchanges.py).

Boundary: talks to Azure through the official clients and `cloud`, never to `localazure`; creates only names that begin
with a random prefix of its own, and removes them at the end.
"""
