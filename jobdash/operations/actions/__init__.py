"""What is done to one job, each checked again when it is done; and its repair after a crash."""
