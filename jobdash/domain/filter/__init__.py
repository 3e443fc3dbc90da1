"""The filter: its language, and the conditions that the store and a single job both evaluate."""
