"""Figures of the study, one a file; each returns what it shows as records too."""
