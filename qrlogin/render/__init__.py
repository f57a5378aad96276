"""Text in, QR code out: SVG, PNG, data URI, a terminal, or the bare path from which a browser builds its own SVG.

Every form draws the same modules, dark on light (many decoders cannot read the inverse) in a quiet zone of four, and
the same text always gives the same picture. A text that is empty or too long raises `ValueError`. This package knows
nothing of logins, HTTP or files; it alone knows an encoder, and `import qrlogin` does not load it.

`_matrix.py` asks the encoder and keeps the modules, `_pictures.py` draws them. A `Style` (round modules, colours, a logo) is
drawn by `_styled.py`, which is loaded when the first one is asked for and needs the extra `qrlogin[qrcode]`.
"""

from qrlogin.render._matrix import MatrixPath, matrix_path
from qrlogin.render._pictures import data_uri, png, svg, terminal
from qrlogin.render._style import Style

__all__ = ["MatrixPath", "Style", "data_uri", "matrix_path", "png", "svg", "terminal"]
