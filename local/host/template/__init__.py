"""Reads `template.yml`: the cloud's own description of the stack, evaluated for this machine."""

from local.host.template.load import TemplateError, load_template

__all__ = ["TemplateError", "load_template"]
