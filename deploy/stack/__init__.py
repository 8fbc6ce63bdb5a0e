"""The stack of an environment: from a clean working copy to what runs, and back.

tree.py         the commit that is deployed
parameters.py   the environment's file, the command line, secrets: what the template is given
plan.py         what the template makes of that: names, code packages
artifacts.py    the packages, in the bucket under the commit's name
ros.py          stacks and change sets
follow.py       what a stack does, as it does it
failures.py     why a resource failed, and what to do
deploy.py       all of it together; destroy.py the way out
"""
