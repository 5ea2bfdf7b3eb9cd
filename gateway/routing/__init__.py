"""Attributes and rules -> a decision with its reason. Pure: no I/O."""
