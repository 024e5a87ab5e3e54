"""How good forecasts are: errors, reports, plots."""
