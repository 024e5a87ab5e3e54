"""How a time limit is shared among the stages of a fit."""

#: Share of the limit after which each stage ends; what one leaves is for those that follow.
UNTIL = {
    "encoders": 0.15,
    "delays": 0.2,
    "noise": 0.25,
    "rows of a state": 0.3,
    "closed forms": 0.4,
    "training": 0.8,
    "choice": 0.91,
    "agreement": 0.92,
    "baselines": 0.94,
    "blend": 0.96,
    "intervals": 1.0,
}

#: The same where all rows are fitted to in the end, which takes about as long as training did.
UNTIL_ALL = UNTIL | {
    "training": 0.65,
    "choice": 0.76,
    "agreement": 0.78,
    "baselines": 0.8,
    "blend": 0.84,
    "intervals": 0.88,
}
