"""The demo: its pages in a real Chromium, its terminal, its phone, its self-check."""
