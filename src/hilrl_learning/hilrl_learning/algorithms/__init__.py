"""Algorithms shipped with hilrl; importing the package registers them."""

from hilrl_learning.algorithms import sac as sac
