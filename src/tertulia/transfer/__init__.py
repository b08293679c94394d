"""Export and import of conversations: Tertulia's own format, Claude's data export, and Markdown."""
