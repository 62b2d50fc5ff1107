"""What computes: devices, and the engines that run a training step or the view of a picture."""
