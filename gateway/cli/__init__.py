"""The command line: `strnet-gateway`. One module per group of commands."""
