"""Signatures: who has the public key knows who released an adapter, and that nothing was changed since."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from typer.testing import CliRunner

from tests.unit.release.test_release import released, served  # noqa: F401  (fixtures)
from tunegate.harness.cli.main import app
from tunegate.harness.core.errors import Refused
from tunegate.harness.models.evaluation.record import read_record
from tunegate.harness.models.signing import PASSWORD, SIGNATURE, signature_line, verify_signature
from tunegate.harness.release.manifest import MANIFEST, sign_release, verify_release

OPEN = "open sesame"


@pytest.fixture
def keys(tmp_path):
    """A function that writes a pair of keys, and returns their files: the private one, the public one."""

    def write(name: str = "key", kind=None, password: str = ""):
        private = kind or ec.generate_private_key(ec.SECP256R1())
        hidden = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        files = tmp_path / f"{name}.pem", tmp_path / f"{name}.pub"
        files[0].write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden))
        files[1].write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return files

    return write


def test_what_was_signed_is_verified_by_the_public_key_alone(released, keys):  # noqa: F811
    private, public = keys()
    assert sign_release(released, private)[-1].startswith("signed: ")
    private.unlink()

    assert verify_signature(released, public).startswith("signed by the owner of ")
    assert verify_release(released)  # the signature is no foreign file


def test_the_signature_of_another_key_is_refused(released, keys):  # noqa: F811
    sign_release(released, keys()[0])
    with pytest.raises(Refused, match=r"release\.sig: expected the signature of .*other\.pub"):
        verify_signature(released, keys("other")[1])


@pytest.mark.parametrize("name", [MANIFEST, "README.md", "adapter_model.safetensors"])
def test_a_file_that_changed_since_is_found(released, keys, name):  # noqa: F811
    private, public = keys()
    sign_release(released, private)
    (released / name).write_text((released / name).read_text() + " ")
    with pytest.raises(Refused, match="over the current files, found another"):
        verify_signature(released, public)


def test_a_file_that_was_added_since_is_found(released, keys):  # noqa: F811
    private, public = keys()
    sign_release(released, private)
    (released / ".gitattributes").write_text("")
    with pytest.raises(Refused, match="over the current files, found another"):
        verify_signature(released, public)


def test_without_a_signature_the_key_is_not_satisfied(released, keys):  # noqa: F811
    with pytest.raises(Refused, match=r"release\.sig: expected a signature, found none; tunegate sign writes one"):
        verify_signature(released, keys()[1])


def test_a_damaged_signature_is_refused(released, keys):  # noqa: F811
    for text in ["", "{}", "[1, 2", "\0"]:
        (released / SIGNATURE).write_text(text)
        with pytest.raises(Refused, match=r"release\.sig: expected the signature of"):
            verify_signature(released, keys()[1])


def test_only_what_is_as_it_was_released_is_signed(released, served, keys):  # noqa: F811
    with pytest.raises(Refused, match="expected a release manifest, found none"):
        sign_release(served.adapter("tuned", "0.7"), keys()[0])
    (released / "README.md").write_text("edited")
    with pytest.raises(Refused, match=r"found README\.md changed or missing"):
        sign_release(released, keys()[0])
    assert not (released / SIGNATURE).exists()


@pytest.mark.parametrize("bad", ["missing", "public", "another kind", "no password"])
def test_a_key_that_cannot_sign_is_refused_and_nothing_written(released, keys, tmp_path, bad):  # noqa: F811
    key = {
        "missing": lambda: tmp_path / "none.pem",
        "public": lambda: keys()[1],
        "another kind": lambda: keys("ed", ed25519.Ed25519PrivateKey.generate())[0],
        "no password": lambda: keys("hidden", password=OPEN)[0],
    }[bad]()
    with pytest.raises(
        Refused, match="expected a private key on an elliptic curve, as PEM, found none that can be used"
    ):
        sign_release(released, key)
    assert not (released / SIGNATURE).exists()


def test_the_password_of_a_key_comes_from_the_environment(released, keys, monkeypatch):  # noqa: F811
    private, public = keys("hidden", password=OPEN)
    monkeypatch.setenv(PASSWORD, OPEN)
    sign_release(released, private)
    assert verify_signature(released, public)
    assert "sesame" not in (released / SIGNATURE).read_text()


def test_the_commands_sign_and_verify(released, keys, monkeypatch):  # noqa: F811
    private, public = keys()
    monkeypatch.chdir(released.parent)
    signed = CliRunner().invoke(app, ["sign", "first", f"--key={private}"])
    assert signed.exit_code == 0, signed.output
    verified = CliRunner().invoke(app, ["verify", "first", f"--key={public}"])
    assert (verified.exit_code, verified.output.splitlines()[-1].partition(" of ")[0]) == (0, "signed by the owner")
    assert CliRunner().invoke(app, ["verify", "first"]).output.splitlines()[-1] == (
        "release.sig: not verified; run: tunegate verify --key FILE.pem"
    )


def judged_digest(adapter) -> str:
    return read_record(adapter / "record.json").fingerprint["subject"]["adapter"]


def test_the_page_says_whether_an_adapter_is_signed_and_by_which_key(released, keys):  # noqa: F811
    private, public = keys()
    digest = judged_digest(released)
    assert signature_line(released, digest) == "none"
    sign_release(released, private)

    name = hashlib.sha256(public.read_bytes()).hexdigest()
    assert signature_line(released, digest).startswith(f"it names the key {name}; tunegate verify ")
    assert signature_line(released, digest, public).endswith(f"{public.name}: the key {name}")
    with pytest.raises(Refused, match="found another"):
        signature_line(released, digest, keys("other")[1])


def test_the_signature_of_another_adapter_is_not_told(released, keys):  # noqa: F811
    private, public = keys()
    sign_release(released, private)
    assert signature_line(released, "0" * 64).startswith("unknown: ")
    with pytest.raises(Refused, match="expected the evaluated adapter, found another one"):
        signature_line(released, "0" * 64, public)


def test_what_is_no_signature_is_not_taken_for_one(released):  # noqa: F811
    for text in [
        "", "[]", '{"verificationMaterial": 7}', '{"verificationMaterial": {"publicKey": []}}',
    ]:  # fmt: skip
        (released / SIGNATURE).write_text(text)
        assert signature_line(released, judged_digest(released)).startswith("unknown: ")


def test_where_the_adapter_is_gone_nothing_is_claimed(released, tmp_path):  # noqa: F811
    assert signature_line(tmp_path / "gone", judged_digest(released)).startswith("unknown: ")
