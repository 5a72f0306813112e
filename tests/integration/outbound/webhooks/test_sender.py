"""One webhook out, on real sockets: where it connects, how long it waits, how much it reads."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager
from time import sleep

import pytest

from outbound.webhooks.sender import MOST_BYTES, Sender
from tests.integration.outbound.webhooks.conftest import receiving, verified

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
HERE = socket.AF_INET


def port_of(receiver) -> int:
    return int(receiver.url.split(":")[2].split("/")[0])


@contextmanager
def speaking(say):
    """A server that does with each connection what `say(connection)` does; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(20)
                    try:
                        say(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            thread.join(20)


def heard(connection) -> None:
    """The whole request; its body is {}."""
    got = b""
    while not got.endswith(b"\r\n\r\n{}"):
        got += connection.recv(65536)


def post(url, *, sender=None, body=b"{}"):
    return (sender or Sender(allow_private=True)).post(url, [SECRET], "msg_1", body)


def test_the_host_is_looked_up_once_and_connected_where_it_was_judged(receiver):
    """A rebinding name: its second answer would be the metadata service."""
    asked = []
    answers = iter([[(HERE, ("127.0.0.1", port_of(receiver)))], [(HERE, ("169.254.169.254", 80))]])

    def resolve(host, port):
        asked.append((host, port))
        return next(answers)

    reply = post("http://rebinds.example:8080/a?b=c", sender=Sender(True, resolve))
    assert (reply.status, asked) == (200, [("rebinds.example", 8080)])
    [got] = receiver.posts
    assert (got.path, got.headers["host"]) == ("/a?b=c", "rebinds.example:8080")
    assert verified(got, SECRET)


def test_the_next_address_is_tried_where_one_refuses(receiver):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    both = [(HERE, ("127.0.0.1", nobody)), (HERE, ("127.0.0.1", port_of(receiver)))]
    assert post("http://shop.example/", sender=Sender(True, lambda host, port: both)).status == 200
    reply = post(f"http://127.0.0.1:{nobody}/")
    assert (reply.status, "refused" in reply.error) == (None, True)


def test_an_address_of_a_family_that_this_kernel_lacks_is_passed_over(receiver, monkeypatch):
    def without_ipv6(family):
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return socket.socket(family)

    monkeypatch.setattr("outbound.webhooks.sender.socket", without_ipv6)
    six = (socket.AF_INET6, ("2606:4700:4700::1111", 443, 0, 0))
    four = (HERE, ("127.0.0.1", port_of(receiver)))
    assert post("https://shop.example/", sender=Sender(True, lambda host, port: [six])).error.endswith("by protocol")
    monkeypatch.setattr("outbound.webhooks.sender.vet", lambda *_: [six, four])
    assert post("http://shop.example/").status == 200


def test_a_look_up_that_hangs_has_ten_seconds_too(receiver):
    over, looked = threading.Event(), []

    def resolve(host, port):
        looked.append(over.wait(60))
        return [(HERE, ("127.0.0.1", port_of(receiver)))]

    assert post("http://shop.example/", sender=Sender(True, resolve, total_s=0.3)).error == "no answer within 0 s"
    assert looked == [], "the post waited for the look-up"
    over.set()
    assert receiver.posts == []


def test_a_limit_that_is_used_up_is_told_as_that(receiver, monkeypatch):
    """… before the next address, and not as an empty error of that one."""

    def slow(family, address, within):
        sleep(within)
        raise TimeoutError("timed out")

    monkeypatch.setattr("outbound.webhooks.sender._connected", slow)
    both = [(HERE, ("127.0.0.1", port_of(receiver)))] * 2
    reply = post("http://shop.example/", sender=Sender(True, lambda host, port: both, total_s=0.2))
    assert reply.error == "no answer within 0 s"


def test_proxies_of_the_environment_are_not_used(receiver, another, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, another.url)
    assert post(receiver.url).status == 200
    assert another.posts == []


def test_statuses_are_told_and_only_2xx_is_taken(receiver):
    for status, taken in ((200, True), (204, True), (301, False), (400, False), (410, False), (503, False)):
        receiver.decide = lambda post, status=status: status
        reply = post(receiver.url)
        assert (reply.status, reply.error is None) == (status, taken)


def test_a_body_is_read_so_far_and_never_told_as_an_error(receiver):
    receiver.decide = lambda post: (500, {}, b"secret " * 100_000)
    reply = post(receiver.url)
    assert (reply.error, len(reply.body)) == ("answered 500", MOST_BYTES)


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\nx-slow: "], ids=["silence", "an endless header"])
def test_a_receiver_that_drips_has_ten_seconds_in_all(says):
    """Left alone it says nothing, or goes on, for longer than a test may take: what ends the post is its limit."""

    def drip(connection):
        heard(connection)
        connection.sendall(says)
        while says:
            sleep(0.05)
            connection.sendall(b"a")
        connection.recv(1)  # until the other side is gone

    with speaking(drip) as port:
        reply = post(f"http://127.0.0.1:{port}/", sender=Sender(True, total_s=0.5))
        assert reply.error.startswith("no answer")


def test_an_answer_stands_whatever_becomes_of_its_body():
    def stall(connection):
        heard(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        connection.recv(1)  # until the other side is gone

    with speaking(stall) as port:
        reply = post(f"http://127.0.0.1:{port}/", sender=Sender(True, total_s=0.5))
    assert (reply.status, reply.error, reply.body) == (200, None, b"half")


@pytest.mark.parametrize("says", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\n" + b"a" * 200_000])
def test_what_speaks_no_http_is_an_error_and_no_exception(says):
    def speak(connection):
        heard(connection)
        connection.sendall(says)

    with speaking(speak) as port:
        reply = post(f"http://127.0.0.1:{port}/")
    assert reply.status is None
    assert reply.error


def test_a_receiver_that_does_not_read_has_ten_seconds_too():
    over = threading.Event()
    with speaking(lambda connection: over.wait(15)) as port:
        reply = post(f"http://127.0.0.1:{port}/", sender=Sender(True, total_s=0.5), body=b" " * 50_000_000)
        assert reply.error.startswith("no answer")
        over.set()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """(the certificates to trust, a server's context): of shop.example alone."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", certificate,
         "-subj", "/CN=shop.example", "-addext", "subjectAltName=DNS:shop.example"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


def test_tls_is_with_the_name_though_the_connection_goes_to_the_address(authority, monkeypatch):
    certificate, context = authority
    names = []
    context.sni_callback = lambda line, name, _: names.append(name)

    def speak(connection):
        with context.wrap_socket(connection, server_side=True) as line:
            heard(line)
            line.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with speaking(speak) as port:

        def resolve(host, _):
            return [(HERE, ("127.0.0.1", port))]

        untrusted = post("https://shop.example/", sender=Sender(True, resolve))
        assert (untrusted.status, "CERTIFICATE_VERIFY_FAILED" in untrusted.error) == (None, True)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        names.clear()
        assert post("https://shop.example/", sender=Sender(True, resolve)).status == 204
        assert names == ["shop.example"]
        other = post("https://another.example/", sender=Sender(True, resolve))
        assert (other.status, "CERTIFICATE_VERIFY_FAILED" in other.error) == (None, True)


def test_each_secret_signs(receiver):
    second = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    Sender(True).post(receiver.url, [SECRET, second], "msg_1", '{"name":"김"}'.encode())
    [got] = receiver.posts
    assert got.headers["webhook-signature"].count("v1,") == 2
    assert verified(got, SECRET, second)


def test_posts_run_side_by_side():
    together = threading.Barrier(10, timeout=60)  # broken, so an error, unless all are there at one time
    with receiving() as slow:

        def decide(_):
            together.wait()
            return 200

        slow.decide = decide
        sender = Sender(True, total_s=60)
        threads = [threading.Thread(target=lambda: post(slow.url, sender=sender)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(slow.taken) == 10
