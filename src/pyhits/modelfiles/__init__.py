"""Model files, whole or refused; and the exports of a model."""
