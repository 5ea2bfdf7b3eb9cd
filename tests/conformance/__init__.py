"""Results against the public validators: `python -m tests.conformance`."""
