"""What calls of the Messages API cost: prices, rows of the ledger, and the budgets of users and of the server."""
