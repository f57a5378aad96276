"""Browsers of other engines, Gecko and WebKit, play a login and its approval.

The folder `browser` tests every view in Chromium. Here the same two elements must only work: the
code is shown and read, the question is answered, the browser is logged in.
"""
