"""Say what a release costs, and keep the account of it: privacy loss, charges, the durable ledger."""
