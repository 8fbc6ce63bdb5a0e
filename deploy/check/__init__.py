"""Proves, without an account, that `template.yml` can be deployed.

    the vendor's packages -> definitions -> spec          what each resource type takes
    template + parameters -> evaluated   -> problems      every property against the spec
                                         -> problems      and against the rules of this project

`python -m deploy.check --help` is the command; `make check-template` runs it for every environment.
"""
