"""One set of rules for every module of qrlogin.contrib, through real servers."""
