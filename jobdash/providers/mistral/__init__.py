"""Mistral's batch jobs."""
