"""One file per data set; each registers itself when the registry is first asked."""
