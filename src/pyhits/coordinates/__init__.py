"""Between the rows of users and the states of flow maps: inputs, and what holds it together."""
