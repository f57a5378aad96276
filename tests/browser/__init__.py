"""<qr-login> and <qr-approve> in a real Chromium, before servers that misbehave on demand."""
