"""Code that all programs of this repository share.

It imports no other package of the repository except the library `aforo`.
"""

import aforo

VERSION = aforo.__version__
