"""Requests to accounts: sessions, the rate limiter, retries, downloads; whose key an account is."""
