"""The dashboard: screens and widgets over the operations."""
