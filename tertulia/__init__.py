"""What every layer uses and what depends on none of them: small modules without knowledge of the database or Claude."""
