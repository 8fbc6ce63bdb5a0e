"""Events of DirectMail on request: any type, in any dialect, through any of the ways they come."""
