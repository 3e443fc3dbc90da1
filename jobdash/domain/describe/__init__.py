"""Sentences about jobs and plans, for commands and dashboard."""
