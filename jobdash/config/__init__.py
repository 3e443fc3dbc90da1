"""Settings: the file, the environment, the accounts."""
