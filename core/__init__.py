"""Code shared by all programs. Of this repository's packages, `core` imports only `aforo`."""

import aforo

VERSION = aforo.__version__
