"""One machine: twins of DirectMail and SMQ, the function host and the `postbus` command."""
