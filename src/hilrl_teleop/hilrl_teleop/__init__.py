"""Operators: the intervention mux, leader arm, joystick, keyboard and the scripted operator."""
