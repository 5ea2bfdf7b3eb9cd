"""Font files; README.md tells where they come from."""
