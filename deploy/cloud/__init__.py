"""The account, reached through the official SDKs.

access.py   one client for each service, with the credentials of the default chain
faults.py   what services refuse, as errors that say what to do
"""
