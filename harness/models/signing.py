"""Signs folders of released adapters in OpenSSF's format: the owner of the public key can verify their origin."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tunegate.harness.core.errors import Refused, Unreadable, show_path
from tunegate.harness.core.extras import need
from tunegate.harness.core.files import write_atomically
from tunegate.harness.core.reading import read_object
from tunegate.harness.models.adapters import adapter_digest

SIGNATURE = "release.sig"
PASSWORD = "TUNEGATE_KEY_PASSWORD"  # noqa: S105  # the name of the variable


def sign_folder(adapter: Path, key: Path) -> str:
    """Sign the files of an adapter's folder in `release.sig`; returns a line that says so.

    `key` is a private key on an elliptic curve, as PEM; an environment variable may hold its
    password.

    Raises:
        Refused: the key is not usable.
        CouldNotRun: the library is missing.
    """
    signer, password = need("model_signing.signing").Config(), os.environ.get(PASSWORD)
    secret = password.encode() if password else None  # the library's annotation says str, but it needs bytes
    use = partial(signer.use_elliptic_key_signer, private_key=key, password=secret)
    _use(key, "a private key on an elliptic curve, as PEM", use)
    signer.set_hashing_config(_hashed())
    with tempfile.TemporaryDirectory() as apart:  # the library does not write atomically
        made = Path(apart) / SIGNATURE
        signer.sign(adapter, made)
        write_atomically(adapter / SIGNATURE, made.read_text("utf-8"))
    return f"signed: {show_path(adapter / SIGNATURE)}"


def verify_signature(adapter: Path, key: Path) -> str:
    """Verify that the owner of a key signed a folder in its current state; returns a line that says so.

    Raises:
        Refused: there is no signature, or it is by another key or over other files.
        CouldNotRun: the library is missing.
    """
    if not (adapter / SIGNATURE).is_file():
        raise Refused(f"{show_path(adapter / SIGNATURE)}: expected a signature, found none; tunegate sign writes one")
    verifier = need("model_signing.verifying").Config()
    use = partial(verifier.use_elliptic_key_verifier, public_key=key)
    _use(key, "a public key on an elliptic curve, as PEM", use)
    verifier.set_hashing_config(_hashed())
    try:
        verifier.verify(adapter, adapter / SIGNATURE)
    except Exception as error:  # the class depends on the key and the damage
        raise Refused(
            f"{show_path(adapter / SIGNATURE)}: expected the signature of {show_path(key)} over the current files, "
            f"found another ({_said(error)})"
        ) from error
    return f"signed by the owner of {show_path(key)}"


def signature_line(adapter: Path, digest: str, key: Path | None = None) -> str:
    """Describe the signature of an adapter's folder: the key that it names, proven if the public `key` is given.

    The folder need not exist any more. `digest` is that of the evaluated adapter: another adapter's
    signature does not count.

    Raises:
        Refused: `key` did not sign the folder in its current state, or the folder has another adapter.
        CouldNotRun: the library is missing that `key` needs.
    """
    try:
        if adapter_digest(adapter) != digest:
            raise Refused(f"{show_path(adapter)}: expected the evaluated adapter, found another one")
        if key:
            return f"{verify_signature(adapter, key)}: {_signer(adapter)}"
        if not (adapter / SIGNATURE).exists():
            return "none"
        return f"it names {_signer(adapter)}; tunegate verify {show_path(adapter)} --key PUBLIC.pem proves it"
    except (Refused, OSError) as error:  # a record may name any path as its adapter's folder
        if key:
            raise
        return f"unknown: {error}"


def _signer(adapter: Path) -> str:
    """The key that a signature names: the SHA-256 of its public half in PEM, as model-signing writes it."""
    path = adapter / SIGNATURE
    found: Any = read_object(path, "a signature (JSON)")
    for name in ("verificationMaterial", "publicKey", "hint"):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, str) or not re.fullmatch("[0-9a-f]{64}", found):
        raise Unreadable(path, "a signature by a key, as tunegate sign writes it", "another one", "sign again")
    return f"the key {found}"


def _hashed() -> Any:
    """The hashing settings: all files of the folder except the signature."""
    return need("model_signing.hashing").Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def _use(key: Path, expected: str, use: Callable[[], object]) -> None:
    try:
        use()
    except Exception as error:  # a missing file, no PEM, another kind of key, a wrong password
        found = f"none that can be used ({_said(error)})"
        raise Refused(f"--key {show_path(key)}: expected {expected}, found {found}") from error


def _said(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
