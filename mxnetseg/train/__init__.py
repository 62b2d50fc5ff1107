"""Training: from a recipe to a folder with weights, numbers and a state to resume from."""
