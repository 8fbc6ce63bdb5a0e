"""One mail, once: compose it, judge the provider's answer, decide what comes next. No I/O."""
