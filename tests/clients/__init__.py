"""Public clients, unedited and from their registries, log in to the demo.

A driver in `drivers/` or `node/` runs one client in a process of its own, sends its requests to the
demo instead of to its own hosts, and prints what happens, one JSON object a line. A phone, which is
another process, reads what the client shows, a picture or a text.

No registry has a client of WeChat's open platform (`wechat_open`): docs/wire has a transcript,
which the tests execute.
"""
