"""Functions at work: worker processes, pools of them, and what an invocation gives back."""
