"""What the dashboard shows, without Textual."""
