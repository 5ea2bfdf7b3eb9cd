"""Composition root: settings -> objects; the roles and their supervisor."""
