"""One module for each command, or each small family of them."""
