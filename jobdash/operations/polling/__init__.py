"""Polling accounts: the sync, when it is due, and what waits for it."""
