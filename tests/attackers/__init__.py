"""Programs that attack the whole library: small in `make test`, at full size in `make attack`."""
