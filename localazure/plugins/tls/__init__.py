"""The stand-in for `tls`: private keys, requests and certificates, made here and kept in the state.

It asks nobody, so it has no address. The shapes of inputs and outputs are those of the installed SDK; `specs` adds what
the SDK does not say. What a certificate holds and how it is encoded, ids, defaults, and what replaces a resource are
those of the official plugin, a bridge to Terraform's provider that is written in Go: names are encoded as Go does.

A `maxPathLength` of 0 is left out of the certificate, as by the provider's sources (4.2.1, April 2026): Go wants to be
told of a zero twice. Write-only keys (`privateKeyPemWo`) are refused.
"""
