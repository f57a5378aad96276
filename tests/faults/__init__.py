"""Faults: what is lost, doubled or late when servers, networks and processes fail."""
