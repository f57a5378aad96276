"""Tests of the Flask, FastAPI and Django examples, started as their READMEs say."""
