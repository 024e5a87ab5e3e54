"""Numerics that several rooms use: ridge regression, bases of monomials, least squares."""
