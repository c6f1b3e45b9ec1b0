"""Programs that the rules were tuned on."""
