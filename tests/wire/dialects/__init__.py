"""The dialects of other systems: byte for byte, against strangers, and with lost answers."""
