"""Signed HTTP pushes, as SMQ's topics and EventBridge's targets make them."""
