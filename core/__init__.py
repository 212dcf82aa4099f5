"""Code that all programs of this repository share.

Of the other packages of the repository, it imports only the library `aforo`.
"""

import aforo

VERSION = aforo.__version__
