"""The stores: the public suite over each, a Redis with faults, naive stores that the suite fails."""
