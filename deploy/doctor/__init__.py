"""Can this account work? Read-only questions to its services, and what to do about the answers.

findings.py   what is found, and how bad it is
account.py    credentials, clock, region, runtime, roles
mail.py       DirectMail: senders, domains, tags, events, quota
events.py     the rule that puts DirectMail's events on the queue
queues.py     queues and triggers: dead letters, depth, age
examine.py    all of it together
"""
