"""The costs of calls of the Messages API: prices, rows of the ledger, and the budgets of users and of the server."""
