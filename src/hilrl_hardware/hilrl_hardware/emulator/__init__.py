"""Six servos that are not there, on a pseudo-terminal."""
