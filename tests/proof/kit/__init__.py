"""What the proofs share: a world with real parts, processes to be killed, and the facts that must hold."""
