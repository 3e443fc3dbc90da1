"""Adapters: the requests to each provider, and the reading of its answers."""
