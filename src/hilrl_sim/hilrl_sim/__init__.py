"""A MuJoCo SO-101 that speaks the topics of the real arm and its cameras."""
