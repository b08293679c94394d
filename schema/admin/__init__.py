"""The GraphQL types of `Query.admin` and of the mutations of operators."""
