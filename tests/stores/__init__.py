"""The stores: the public suite over each of them, the faults of a real Redis, and naive stores that the suite must fail."""
