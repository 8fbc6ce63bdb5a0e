"""The SMQ twin: Simple Message Queue (formerly MNS) on one machine, protocol and behaviour.

`broker.py` is the engine, usable in-process; `app.py` puts the REST/XML protocol of the official
SDKs in front of it.
"""
