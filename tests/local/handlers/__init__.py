"""Small functions that the host's tests run; this folder is their code root."""
