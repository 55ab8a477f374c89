"""Which models there are: names, states, files, downloads."""
