"""The process that runs a handler; everything here is standard library only."""
