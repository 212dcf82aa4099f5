"""Make TLS certificates and keys for the Kubernetes control plane, with openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path

DAYS = "30"
EXTENSIONS = "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n"


def create_certificate(folder: Path, common_name: str) -> None:
    """Create `folder` with a certificate for localhost: tls.crt, its key tls.key, and ca.crt of a new CA.

    `common_name` is the name in the certificate's subject.
    """
    folder.mkdir()
    (folder / "extensions").write_text(EXTENSIONS, encoding="utf-8")
    new_key = ("-newkey", "rsa:2048", "-nodes")
    _openssl(folder, "req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.crt", "-days", DAYS, "-subj", "/CN=ca")
    _openssl(folder, "req", *new_key, "-keyout", "tls.key", "-out", "tls.csr", "-subj", f"/CN={common_name}")
    signed_by = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "extensions")
    _openssl(folder, "x509", "-req", "-in", "tls.csr", *signed_by, "-out", "tls.crt", "-days", DAYS)


def create_key_pair(folder: Path) -> None:
    """Create `folder` with a new RSA key pair: private.pem and public.pem."""
    folder.mkdir()
    _openssl(folder, "genrsa", "-out", "private.pem", "2048")
    _openssl(folder, "rsa", "-in", "private.pem", "-pubout", "-out", "public.pem")


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
