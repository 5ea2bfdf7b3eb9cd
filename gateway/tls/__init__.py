"""TLS after PS3.15 B.12, for the receiver and for what goes out: certificates as values, and contexts."""
