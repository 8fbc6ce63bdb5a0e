"""What the functions share: the contract, the triggers, the sending protocol, the edge."""
