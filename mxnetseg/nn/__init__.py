"""Layers that two or more architectures share, and the one home of each delicate operator."""
