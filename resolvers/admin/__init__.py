"""The fields of `Query.admin`, and the mutations of operators. No field returns what a user wrote."""
