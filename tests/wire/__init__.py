"""The endpoint and the native dialect: in process, and over HTTP below five servers."""
