"""What every room uses: checks, the clock, progress, files written whole."""
