"""The function host: runs the functions on one machine as Function Compute does."""
