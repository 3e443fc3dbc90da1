"""The jobs of scripts and of functions: their processes, actions and results."""
