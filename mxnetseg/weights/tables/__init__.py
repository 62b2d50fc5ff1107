"""Rename tables of published networks, a file for each architecture; shared pieces in `common`."""
