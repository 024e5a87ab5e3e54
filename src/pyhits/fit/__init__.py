"""A fit, stage by stage."""
