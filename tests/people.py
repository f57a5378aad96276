"""Names of people, in the scripts of the world, as people type them and as they are shown."""

NAMES = {
    "Zoe\u0308 O\u2019Brien-Nun\u0303ez": "Zoe\u0308 O\u2019Brien-Nun\u0303ez",
    "أحمد بن سعيد\u200f": "أحمد بن سعيد",
    "نیک\u200cپی": "نیک\u200cپی",
    "\u2067רבקה כהן\u2069": "רבקה כהן",
    "क्षमा श\u094d\u200dर\u0940": "क्षमा श\u094d\u200dर\u0940",
    "ශ\u0dca\u200dරී": "ශ\u0dca\u200dරී",
    "น้ำผึ้ง ใจดี": "น้ำผึ้ง ใจดี",
    "ஸ்ரீ லட்சுமி": "ஸ்ரீ லட்சுமி",
    "王小明\n": "王小明",
    "山田\u3000太郎": "山田\u3000太郎",
    "葛\U000e0100城": "葛\U000e0100城",
    "Ωμέγα\tЖюли": "Ωμέγα Жюли",
    "Ana 👩\u200d💻": "Ana 👩\u200d💻",
    "👨\u200d👩\u200d👧\u200d👦 🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f": (
        "👨\u200d👩\u200d👧\u200d👦 🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"
    ),
    "Kim \U0001fae8\U0001fbff": "Kim \U0001fae8\U0001fbff",
    "\u0c15" * 80: "\u0c15" * 65 + "…",
}

#: Names in scripts without letters like those of a to z, which no page puts in a box. Each shows
#: what a script needs for its names: marks, joiners, signs of repetition, rare letters, blanks.
UNBOXED = [
    "佐々木 希",
    "山﨑\u3000賢人",
    "𠮷田 拓郎",
    "〆木 一〇",
    "金子 みすゞ",
    "か\u3099くと",
    "ﾔﾏﾀﾞ ﾊﾅｺ",
    "マリー・アントワネット",
    "王·阿布",
    "阿卜杜拉·买买提",
    "김민준",
    "پریسا چگینی",
    "نیک\u200cپی",
    "علی\u200cرض\u0627 ژاله",
    "مُحَمَّد",
    "ٹیپو ہاشمی ڈار ڑے",
    "אבי צ\u05f3רל\u05d9",
    "हिंदी सिंह",
    "ज़ोया फ़ातिमा",
    "क\u094d\u200cषमा",
    "श\u094d\u200dरी",
    "বাংলা চৌধুরী",
    "তানিয়া রায়",
    "র\u200d\u09cdযাফ",
    "ਗੁਰਪ੍ਰੀਤ ਸਿੰਘ",
    "નરેંદ્ર પટેલ",
    "ସଂଜୟ",
    "லட்சுமி",
    "శ్రీనివాస్ ఎన్\u200cటి",
    "ಶಂಕರ್ ನಾರಾಯಣ",
    "മോഹന\u0d4d\u200d",
    "ශ\u0dca\u200dරී",
    "สมชาย ใจดี น้ำผึ้ง",
]

#: Latin with marks, Persian with a joiner, Hebrew with isolates, Devanagari, Thai, Tamil, Han with
#: a line end, and Greek and Cyrillic with a tab.
EIGHT_SCRIPTS = [name for name in NAMES if name[0] in "Z\u0646\u2067\u0915\u0e19\u0bb8\u738b\u03a9"]
