"""The audit store and the spool: everything durable. Sessions and SQL never leave this package."""
