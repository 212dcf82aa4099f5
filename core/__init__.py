"""Code shared by all programs of this repository.

Of the repository's packages, it imports only `aforo`, the library.
"""

import aforo

VERSION = aforo.__version__
