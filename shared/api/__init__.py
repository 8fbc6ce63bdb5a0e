"""The HTTP API, without HTTP: a request in, a response out. No I/O of its own."""
