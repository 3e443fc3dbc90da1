"""The terminal: taking and restoring it, and what is written to it."""
