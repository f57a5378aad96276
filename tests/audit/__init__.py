"""The audit: what it finds in servers that are broken in one way, and in ours."""
