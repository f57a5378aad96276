"""Values that attackers send."""

#: Values for any parameter, path or cookie: other sites, scripts, split headers, keys of Redis,
#: malformed ids and numbers.
HOSTILE = (
    *(
        "//evil.net",
        "\\\\evil.net",
        "/\\evil.net",
        "/%2f%2fevil.net",
        "https:evil.net",
        "https://evil.net",
        "/\t/evil.net",
    ),
    *(
        "https://example.com@evil.net",
        "https://example.com.evil.net/",
        "https://exämple.com",
        "/..//evil.net",
        "http://[::1",
    ),
    *(
        "javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        " javascript:evil",
        "https://example.com:0/",
    ),
    *(
        "x\r\nSet-Cookie: evil=1",
        "x\nevil",
        "x\revil",
        "x\x00evil",
        "x\x85evil",
        "x\u2028evil",
        "\ufeffevil",
        "\u202eevil",
    ),
    *(
        '"><script>evil</script>',
        "'};evil();//",
        "</script><script>evil()",
        "]]><evil/>",
        "<!--evil",
        "{{target}}",
        "${evil}",
    ),
    *(
        "*",
        "{}",
        "{b00}:evil",
        "?evil",
        "evil\r\nFLUSHALL\r\n",
        "A" * 22,
        "=" * 32,
        "0" * 32,
        "0" * 31,
        "f" * 64,
        "٣" * 32,
    ),
    *(
        "-1",
        "1e999",
        "NaN",
        "9" * 400,
        "0x10",
        "2147483648",
        "18446744073709551616",
        "\x1b[31mevil",
        "%",
        "%00",
        "%zz",
        "+",
        "",
    ),
)
#: The parts of them that no answer may repeat unchanged.
RAW = ("evil", "alert(1)", "[31m", "{{", "\u2028")

#: Something to add to a path.
SUFFIXES = (
    "/x.css",
    "/",
    "//",
    ";x.css",
    ".css",
    "%2fx.css",
    "\\x.css",
    "?x",
    "\n",
    "\r\nset-cookie: a=b",
    "\x00",
    "*",
    "é",
    " ",
)

#: Values of Sec-Fetch-Site; None: not sent.
SITES = (
    None,
    "same-origin",
    "same-site",
    "none",
    "cross-site",
    "Cross-Site",
    "",
    "cross-site ",
    "cross-site,same-origin",
)
