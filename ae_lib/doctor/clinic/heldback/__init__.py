"""Programs that no rule may be tuned to: for measuring only."""
