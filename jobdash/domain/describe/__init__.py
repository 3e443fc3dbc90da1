"""Sentences about jobs and plans, for both faces."""
