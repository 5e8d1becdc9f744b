"""The routes, one controller a file, named as its path."""
