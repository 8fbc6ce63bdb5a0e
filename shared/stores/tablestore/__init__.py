"""The ledger in the cloud: Tablestore, through its official SDK."""
