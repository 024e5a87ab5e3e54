"""What a fitted model does with states: forecasts, with intervals, to a tolerance; evaluations."""
