"""`strnet`, one module per command group."""
