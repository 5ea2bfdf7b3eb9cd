"""Alembic migrations, numbered from the first table on."""
