"""Tables 2 and 5 to 9 of the study: setups, errors and times of the five systems."""
