"""Engines that deliver the parts of job functions to workers; `base.Engine` is what each of them is."""
