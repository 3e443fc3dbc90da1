"""What the store writes: one module for each kind of action."""
