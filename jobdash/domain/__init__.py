"""What a job is; nothing but the standard library."""
