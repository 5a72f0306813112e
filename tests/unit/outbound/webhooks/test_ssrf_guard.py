"""Addresses that a webhook may go to: judged by the address, whatever its spelling."""

from __future__ import annotations

import socket

import pytest

from outbound.webhooks.ssrf_guard import Forbidden, Reach, look_up, parse, reach, vet

PUBLIC = (
    "93.184.216.34",
    "1.1.1.1",
    "172.32.0.1",
    "2606:4700:4700::1111",
    "::ffff:93.184.216.34",
    "64:ff9b::5db8:d822",
)
PRIVATE = (
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "::1", "fc00::1", "fd12:3456::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
)  # fmt: skip
NOBODY = (
    "0.0.0.0", "::", "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::1", "fe80::1%eth0",
    "fec0::1", "224.0.0.1", "239.1.1.1", "ff02::1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
    "203.0.113.9", "2001:db8::1", "2001::1", "2002:7f00:1::", "2002:a00:1::1", "64:ff9b:1::a00:1", "::7f00:1", "100::1",
    "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254", "192.88.99.1", "3fff::1",
)  # fmt: skip


@pytest.mark.parametrize(
    ("address", "belongs"),
    [(each, Reach.PUBLIC) for each in PUBLIC]
    + [(each, Reach.PRIVATE) for each in PRIVATE]
    + [(each, Reach.NOBODY) for each in NOBODY],
)
def test_who_an_address_belongs_to(address, belongs):
    assert reach(address) is belongs


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://2130706433/",  # 127.0.0.1 as one number
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[64:ff9b::127.0.0.1]/",
        "https://10.1.2.3:8443/",
        "https://169.254.169.254/latest/meta-data/",
        "https://2852039166/",  # 169.254.169.254
        "https://0.0.0.0/",
        "https://[::]/",
    ],
)
def test_no_spelling_leads_inside(url):
    with pytest.raises(Forbidden):
        vet(parse(url), allow_private=False)


def test_private_addresses_are_opened_by_the_setting_and_what_is_nobodys_is_not():
    assert vet(parse("http://127.0.0.1:8080/"), allow_private=True) == [(socket.AF_INET, ("127.0.0.1", 8080))]
    with pytest.raises(Forbidden, match="no address that a receiver can have"):
        vet(parse("http://169.254.169.254/"), allow_private=True)
    with pytest.raises(Forbidden, match="ORDERS_WEBHOOKS_ALLOW_PRIVATE=on"):
        vet(parse("https://10.0.0.1/"), allow_private=False)


@pytest.mark.parametrize("allow_private", [True, False])
def test_public_receivers_are_told_by_https_alone(allow_private):
    def answers(host, port):
        return [(socket.AF_INET, ("93.184.216.34", port))]

    assert vet(parse("https://shop.example/"), allow_private, answers) == [(socket.AF_INET, ("93.184.216.34", 443))]
    with pytest.raises(Forbidden, match="https://"):
        vet(parse("http://shop.example/"), allow_private, answers)


def test_one_address_inside_is_enough():
    both = [(socket.AF_INET, ("93.184.216.34", 443)), (socket.AF_INET6, ("::1", 443, 0, 0))]
    with pytest.raises(Forbidden, match=r"shop\.example is ::1"):
        vet(parse("https://shop.example/"), False, lambda host, port: both)


def test_the_host_that_is_judged_is_the_one_that_is_connected():
    """The resolver's own IDNA (of 2003) would ask for strasse.example, which is somebody else's."""
    asked = []

    def answers(host, port):
        asked.append(host)
        return [(socket.AF_INET, ("93.184.216.34", port))]

    vet(parse("https://straße.example/"), False, answers)
    assert asked == ["xn--strae-oqa.example"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://shop.example/", "https://HOST/PATH"),
        ("file:///etc/passwd", "https://HOST/PATH"),
        ("gopher://shop.example/", "https://HOST/PATH"),
        ("shop.example/hook", "https://HOST/PATH"),
        ("https://", "https://HOST/PATH"),
        ("https://user:password@shop.example/", "user or a password"),
        ("https://shop.example/#top", "fragment"),
        ("https://shop.example/\r\nHost: inside", "printable"),
        ("https://shop.example/" + "a" * 2000, "2000 characters"),
        ("https://[::1/", "no URL"),
        ("https://shop.example:99999/", "65535"),
        ("https://shop.example:0/", "65535"),
    ],
)
def test_what_is_no_address_of_a_receiver(url, says):
    with pytest.raises(Forbidden, match=says) as found:
        parse(url)
    assert "password@" not in str(found.value)


def test_a_host_without_an_address_is_no_offence():
    with pytest.raises(OSError, match="no host name"):
        look_up("a" * 70 + ".example", 443)
    with pytest.raises(OSError, match="no address"):
        vet(parse("https://shop.example/"), False, lambda host, port: [])
