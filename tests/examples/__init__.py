"""The Flask, FastAPI and Django examples as their READMEs start them, and in Chromium."""
