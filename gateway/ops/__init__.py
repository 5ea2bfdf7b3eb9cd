"""What keeps the roles in order: logging, timers."""
