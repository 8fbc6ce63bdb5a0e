"""The doors: one module per cloud function, imported by nobody."""

from shared.coldstart import begin

begin()
