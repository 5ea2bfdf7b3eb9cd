"""Results as a reader meets them, in a real viewer: `python -m tests.viewer`."""
