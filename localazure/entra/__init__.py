"""Entra ID as far as workloads need it: a directory of principals, tokens for them, discovery."""
