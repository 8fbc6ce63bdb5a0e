"""The stack of an environment: from a clean working copy to what runs, and back.

order.py        what a person asked for
release.py      what is deployed, checked before any account is asked
tree.py         the commit that is deployed
parameters.py   the environment's file and the command line: what the template is given
secrets.py      what nobody may see of it
plan.py         what the template makes of that: names, code packages
build.py        the packages of a commit, on this machine
artifacts.py    the packages, in the bucket under the commit's name
stacks.py       stacks and change sets; ros.py asks for them
change.py       a change, from its preview to its end
follow.py       what a stack does, as it does it
failures.py     why a resource failed, and what to do
deploy.py       all of it together; destroy.py the way out; talk.py what they say and ask
"""
