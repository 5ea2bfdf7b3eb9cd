"""`make test-faults`: each fault against a real receiver process, what is expected of it and what was observed."""
