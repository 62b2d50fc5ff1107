"""The commands, a module each: they parse arguments and call the room that does the work."""
