"""Doubles of parts that several tests need."""
