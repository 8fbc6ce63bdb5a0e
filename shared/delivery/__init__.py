"""DirectMail's events: read, joined to their mail, turned into one clean event. No I/O."""
