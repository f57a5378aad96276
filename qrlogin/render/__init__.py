"""Text in, QR code out: SVG, PNG, data URI, a terminal, or the bare path from which a browser builds its own SVG.

Every form draws the same modules, dark on light (many decoders cannot read the inverse) in a quiet zone of four, and
the same text always gives the same picture. A text that is empty or too long raises `ValueError`. This package knows
nothing of logins, HTTP or files; it alone knows an encoder, and `import qrlogin` does not load it.

`_matrix.py` asks the encoder and keeps the modules, `_pictures.py` draws them. A renderer with another look is one more
module beside `_pictures.py`.
"""

from qrlogin.render._matrix import MatrixPath, matrix_path
from qrlogin.render._pictures import data_uri, png, svg, terminal

__all__ = ["MatrixPath", "data_uri", "matrix_path", "png", "svg", "terminal"]
