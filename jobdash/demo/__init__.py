"""What `jobdash demo` runs on: the emulator of the providers and the sample jobs."""
