"""Bring-up: the graph as data, the `hilrl` command, runs on disk, plots and evaluation."""
