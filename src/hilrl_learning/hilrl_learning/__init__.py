"""Reinforcement learning: algorithms, replay, actor and learner."""
