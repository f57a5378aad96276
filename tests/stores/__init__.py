"""Each store passes the public suite, survives the faults of a Redis, and a naive store fails."""
