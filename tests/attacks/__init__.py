"""Attacks over the wire against a running receiver: what they cost it, and what a legitimate sender notices (`make test-attacks`)."""
