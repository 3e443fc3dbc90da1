"""The provider that is none: a person's own scripts."""

from __future__ import annotations

LOCAL = "local"
"""Provider and account of every local job."""
