"""The ledger: what is known about mails. A protocol and its implementations."""
