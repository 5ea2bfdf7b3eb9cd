"""Measurements, each a package run by `make bench-...`; nothing of them is a test."""
