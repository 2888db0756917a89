"""The stand-in for `azuread`: applications and what belongs to them, through the Microsoft Graph of the local Azure.

The shapes of inputs and outputs are those of the installed SDK; `specs` adds what the SDK does not say. Requests, their
order, ids, defaults, diffs and the words of errors are those of the official plugin, which is a bridge to Terraform's
provider: what it decides from is the state of a resource, not the inputs of the last run.
"""
