"""The code that runs inside a user's script: its loop, its lease, its signals."""
