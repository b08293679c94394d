"""The fields of `Query.admin`, and the mutations of operators. Only `reading` shows what users wrote."""
