"""Entra ID: a directory of two tenants, sign-in of people, tokens for them and for workloads, discovery."""
