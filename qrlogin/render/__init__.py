"""Text in, QR code out: SVG, PNG, a data URI, lines for a terminal, or an SVG path for a browser.

Every form shows the same modules, dark on light (many decoders cannot read the inverse), in a quiet
zone of four modules. The same text always gives the same picture. A text that is empty or too long
raises `ValueError`. The package knows nothing of logins, HTTP and files. Only this package knows an
encoder, and `import qrlogin` does not load it.

`_encoder.py` turns a text of up to 331 bytes into modules, and segno turns longer ones;
`_matrix.py` chooses between them and caches the modules and their path; `_pictures.py` draws them.
`_styled.py` draws a `Style` (round modules, colours, a logo). It is loaded for the first styled
picture, and needs the extra `qrlogin[qrcode]`.
"""

from qrlogin.render._matrix import MatrixPath, matrix_path
from qrlogin.render._pictures import data_uri, png, svg, terminal
from qrlogin.render._style import Style

__all__ = ["MatrixPath", "Style", "data_uri", "matrix_path", "png", "svg", "terminal"]
