"""A local Azure for development and tests: Entra ID, Microsoft Graph, Resource Manager and Key Vault, on loopback only.

One process serves the protocols that the official SDKs and Pulumi plugins speak, with the refusals that hurt on Azure:
soft delete, role assignments that take time, firewalls, throttling. It imports nothing of the program that it is used
to develop, and it makes no outgoing connection.
"""
