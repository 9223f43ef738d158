"""Operators: the intervention mux, the keyboard and the scripted operator."""
