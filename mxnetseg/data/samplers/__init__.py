"""Which samples an epoch visits, in which order."""
