"""Brings Postbus into the cloud: check the template, package the code, deploy the stack."""
