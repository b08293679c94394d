"""The servers that Tertulia is compared with, and the start of each candidate."""
