"""Columns of tables: names, times, choices; DataFrames and panels."""
