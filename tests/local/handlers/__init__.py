"""Small functions that the host's tests run; a code root of its own (`CODE_ROOT`)."""
