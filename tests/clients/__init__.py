"""Published clients that were written for the originals log in to the demo without a change.

A driver in `drivers/` or `node/` runs one client in a process of its own, sends its requests to the
demo, and prints a JSON object for each event. A phone, in a third process, scans the picture or
text that the client shows.

No registry has a client of WeChat's open platform (`wechat_open`). Its transcript in docs/wire is
executed instead.
"""
