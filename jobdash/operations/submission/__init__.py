"""Submitting files: the check, the submit, the queue, and the retry of what is left."""
