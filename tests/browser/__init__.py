"""<qr-login> and <qr-approve> in a real Chromium, with servers that misbehave on demand."""
