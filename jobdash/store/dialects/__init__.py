"""What differs between databases: connections, transactions, errors."""
