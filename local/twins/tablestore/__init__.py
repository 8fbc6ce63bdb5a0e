"""A twin of Tablestore: its protocol over HTTP, its conditions, its limits."""
