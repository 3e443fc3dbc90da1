"""What `jobdash demo` runs on: the emulator of both providers and the sample jobs."""
