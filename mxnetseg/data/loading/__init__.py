"""Batches for training, made by worker processes in shared memory."""
