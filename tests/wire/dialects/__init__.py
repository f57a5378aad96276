"""The dialects of other systems: byte for byte, against strangers and each other, and with answers that get lost."""
