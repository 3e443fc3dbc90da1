"""Who runs a job, from its row alone: what a job accepts, and how it is described."""
