"""Twins of the cloud services, for one machine."""
