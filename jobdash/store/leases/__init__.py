"""The leases of workers on jobs and parts: claims, fenced writes, and changes from outside."""
