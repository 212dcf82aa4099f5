"""Code shared by all programs. It imports `aforo` and nothing else of ours."""

import aforo

VERSION = aforo.__version__
