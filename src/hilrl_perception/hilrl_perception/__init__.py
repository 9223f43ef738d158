"""Camera crops for policies and reward classifiers."""
