"""From the stack's outputs and the keys in the vault to `.deploy/<stack>/`, one directory per consumer.

`outputs` (and `stack`, which asks the Pulumi CLI for them), `keys` (which asks Key Vault), `composition` (pure: what
each file holds), `checks` (pure: everything that can be known to be wrong), `directory` (whole, atomic, private) and
`summary` know little of each other; `python -m deploy` puts them together. So do those of the status: `deliveries`
(what is in the directories), `listeners` (what a handshake shows), `findings` and `status` (pure: what follows from it)
and `report`.

The decision that matters: a key goes from the vault to the consumer's own directory and nowhere else, read by whoever
deploys with a role on that one secret. And it is all or nothing: no directory changes while anything is wrong with any
of the consumers that were asked for.
"""
