"""Other people's clients, as their registries have them, log in to the demo: what was written for the originals works here.

Not a line of theirs is edited. A driver in `drivers/` or `node/` runs one of them in a process of its own, puts the demo in the
place of the hosts that it asks, and says what happens, a JSON object a line. What a client shows, a picture or a text, is held
out to a phone, which is a third process.

No registry has a client of WeChat's open platform (`wechat_open`): a transcript that is executed stands for it in docs/wire.
"""
