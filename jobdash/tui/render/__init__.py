"""Jobs, accounts and keys as texts in tones."""
