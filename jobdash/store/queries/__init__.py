"""What the store reads."""
