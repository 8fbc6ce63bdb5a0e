"""The edge: DirectMail, SMQ and credentials. Knows nothing of the use cases."""
