"""The filter: its language, and the conditions that the store and a single job both evaluate.

Which fields it has is in the registry, `jobdash.domain.fields`; how each kind compares is in `conditions`.
"""
