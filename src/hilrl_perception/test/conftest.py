"""Nodes in their own processes, in a domain of this run's own."""

from hilrl_ros.testing import namespace, probe, start_node

__all__ = ["namespace", "probe", "start_node"]
