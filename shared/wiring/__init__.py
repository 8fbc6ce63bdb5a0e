"""How the parts of the functions are made from the settings, by subject.

`shared.app` calls in here, and nobody else. A module imports at its top what everybody needs who
imports it; what depends on a setting is imported where the setting is read.

    edge.py      settings, SMQ and the stores: what every function reaches
    stores.py    the ledger and its neighbours: a file, or Tablestore
    policy.py    who may write to whom: the policy, suppressions, unsubscribe links
    outlet.py    publishes our events
    sending.py   send_mail; imports the DirectMail SDK
    clock.py     clock
    api.py       mail_api
    delivery.py  delivery_events
    hooks.py     webhooks
"""
