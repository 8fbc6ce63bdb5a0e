"""Doubles of the services that a deployment speaks to, for the unmodified official SDKs."""
