"""One module for each part of `make bench`, and the database that they read."""
