"""The conversion of documents to text for Claude. It runs in a sandbox process, because files can be hostile."""
