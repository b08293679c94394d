"""The site: guides, decisions, what writes the schema reference, MkDocs' hook. Nothing of it is served or shipped."""
