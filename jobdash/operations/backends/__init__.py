"""Who runs a job: how actions are carried out, results are fetched, and what is behind a job is looked up."""
