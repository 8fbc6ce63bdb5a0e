"""The doors: one module per cloud function, imported by nobody."""
