"""The envelopes of Function Compute's triggers, peeled without I/O."""
