"""A server with TLS, whose certificate is of the test's own making."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import postgres_kit
import pytest
from shared.deadlines import LONG, joined

from jobdash.errors import StoreAway, StoreError
from jobdash.operations.doctor import server_warnings
from jobdash.store import server_store
from jobdash.store.bootstrap import ensure_store
from jobdash.store.dialects.postgres import connect_reader
from jobdash.store.location import PostgresLocation
from jobdash.store.reader import Reader

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
PASSWORD = "canary-password-tls"


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that is signed by itself, for a host's name; returns its file and that of its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.crt", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    return files


@pytest.fixture(scope="module")
def secured() -> Iterator[tuple[str, Path]]:
    """The address of a store that only an encrypted connection reaches, and the server's certificate."""
    with postgres_kit.own_folder() as folder:
        place = folder / "tls"
        place.mkdir()
        public, private = certificate(place, "localhost")
        private.chmod(0o600)
        if os.geteuid() == 0:  # the server runs as another user then
            for file in (place, public, private):
                shutil.chown(file, "nobody")
        port = postgres_kit.free_port()
        more = {"ssl": "on", "ssl_cert_file": str(public), "ssl_key_file": str(private)}
        given = {"port": port, "listen_addresses": "127.0.0.1,127.0.0.2", **more}
        with postgres_kit.system_server(folder, **given) as running, pytest.MonkeyPatch.context() as patched:
            postgres_kit.admit(running, PASSWORD, "hostssl")
            patched.setenv("PGPASSWORD", PASSWORD)
            patched.setenv("HOME", str(folder))  # where libpq looks for certificates
            address = f"postgresql://ann@127.0.0.2:{port}/jobs"
            server_store.create(PostgresLocation(f"{address}?sslmode=require"))
            yield address, public


def store(secured: tuple[str, Path], options: str) -> PostgresLocation:
    return PostgresLocation(f"{secured[0]}?{options.format(file=secured[1])}")


def test_an_encrypted_connection_is_told_and_that_nobody_checks_the_server(secured: tuple[str, Path]) -> None:
    with Reader(store(secured, "sslmode=require")) as reader:
        found = reader.server()
    assert found is not None
    assert (found.tls or "").startswith("TLSv1.")
    assert (found.is_local, found.is_verified) == (False, False)
    assert [line for line in server_warnings(found) if "nobody checks" in line]


def test_a_server_whose_name_and_certificate_are_checked_is_as_it_should_be(
    secured: tuple[str, Path],
) -> None:
    with Reader(store(secured, "sslmode=verify-full&sslrootcert={file}")) as reader:
        found = reader.server()
    assert found is not None
    assert found.is_verified
    assert list(server_warnings(found)) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("sslmode=verify-full", "cannot be checked that the server .* is the right one.*sslrootcert=FILE"),
        ("sslmode=verify-full&sslrootcert={other}", "cannot be checked.*certificate verify failed"),
        (
            "sslmode=verify-full&sslrootcert={file}&host=db.example&hostaddr=127.0.0.2",
            'cannot be checked.*does not match host name "db.example"',
        ),
    ],
)
def test_a_server_that_cannot_be_checked_is_refused_with_the_way_out(
    secured: tuple[str, Path], tmp_path: Path, options: str, sentence: str
) -> None:
    other, _ = certificate(tmp_path, "other")
    options = options.replace("{other}", str(other))
    where = store(secured, options)
    if "host=" in options:
        where = PostgresLocation(where.url.replace("ann@127.0.0.2", "ann@"))
    with pytest.raises(StoreError, match=sentence) as raised:
        ensure_store(where)
    assert not isinstance(raised.value, StoreAway), "waiting helps nothing"
    assert PASSWORD not in str(raised.value)


def test_an_encrypted_connection_that_breaks_is_a_server_that_is_away(secured: tuple[str, Path]) -> None:
    with closing(connect_reader(store(secured, "sslmode=require"))) as connection:
        over = threading.Event()

        def cut() -> None:
            while not over.wait(0.05):
                connection.end_if_stuck(0.2)

        cutting = threading.Thread(target=cut)
        cutting.start()
        try:
            with pytest.raises(StoreAway, match="does not answer"):
                connection.execute("SELECT pg_sleep(30)")
        finally:
            over.set()
            joined(cutting)


def test_a_server_that_goes_down_while_an_encrypted_connection_is_made_is_away() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(LONG)

        def agree_and_go() -> None:
            asking, _ = listener.accept()
            with asking:
                asking.recv(8)  # the request for encryption
                asking.sendall(b"S")

        going = threading.Thread(target=agree_and_go)
        going.start()
        port = listener.getsockname()[1]
        with pytest.raises(StoreAway, match="does not answer"):
            connect_reader(PostgresLocation(f"postgresql://ann@127.0.0.1:{port}/jobs?sslmode=require"))
        joined(going)


def test_a_connection_without_encryption_is_refused_by_such_a_server(secured: tuple[str, Path]) -> None:
    with pytest.raises(StoreError, match=r"refuses this user.*no encryption"):
        ensure_store(store(secured, "sslmode=disable"))


def test_a_server_without_encryption_is_refused_where_it_is_asked_for() -> None:
    given = {"port": postgres_kit.free_port(), "listen_addresses": "127.0.0.1"}
    with postgres_kit.own_folder() as folder, postgres_kit.running(folder, **given) as running:
        postgres_kit.admit(running, PASSWORD)
        address = f"postgresql://ann@127.0.0.1:{given['port']}/jobs"
        for mode in ("require", "verify-full"):
            with pytest.raises(StoreError, match=r"No encrypted connection .* can be made") as raised:
                ensure_store(PostgresLocation(f"{address}?sslmode={mode}"))
            assert not isinstance(raised.value, StoreAway)
