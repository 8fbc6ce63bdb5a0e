"""The contract: mail request and mail event, their limits, their checks, their JSON Schemas."""
