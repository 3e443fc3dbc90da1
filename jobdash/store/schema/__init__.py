"""The schema: tables, triggers, the SQL made of them, and migrations."""
