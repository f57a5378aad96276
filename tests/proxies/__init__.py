"""The proxies of docs/proxies.md, with the configurations that the page shows."""
