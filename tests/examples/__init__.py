"""The Flask, FastAPI and Django examples as their READMEs start them: over HTTP, in Chromium, with two workers."""
