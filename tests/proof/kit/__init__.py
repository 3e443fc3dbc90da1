"""What the proofs share: a world with real parts, processes that can be killed, and the facts that must hold."""
