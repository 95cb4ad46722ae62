"""The fence: which addresses pages may go to, and which addresses names may have."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentloop.environments.web.fence import Fence, Origin, origin_of, public
from agentloop.errors import BadInput

FENCE = Fence(["https://example.org", "http://127.0.0.1:8000", "http://localhost:9000", "http://[::1]:8001"])


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "https://example.org/a/b?c=http://evil.test#d",
        "https://example.org:443/",
        "https://EXAMPLE.org./x",
        "http://127.0.0.1:8000/x",
        "http://[::1]:8001/",
        "about:blank",
    ],
)
def test_an_address_at_a_named_origin_is_allowed(url: str) -> None:
    assert FENCE.refusal(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "https://example.org:8443/",
        "https://example.org.evil.test/",
        "https://evil.test/https://example.org",
        "https://sub.example.org/",
        "http://127.0.0.1/",
        "http://127.0.0.1:8001/",
        "http://2130706433:8000/",
        "http://[::ffff:127.0.0.1]:8000/",
        "https://example.org@evil.test/",
        "https://evil.test@example.org/",
        "https://example.org\\@evil.test/",
        "https://evil.test\\.example.org/",
        "https:///example.org",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://example.org%00.evil.test/",
        "https://exa\tmple.org/",
        "https://\u0435xample.org/",
    ],
)
def test_any_other_origin_is_refused_however_it_is_written(url: str) -> None:
    assert FENCE.refusal(url) == "origin"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "view-source:https://example.org/",
        "data:text/html,x",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "chrome://version",
        "blob:https://example.org/1",
        "ftp://example.org/",
        "ws://example.org/",
        "about:config",
        "about:blank#x",
        "filesystem:https://example.org/x",
        "",
        "example.org",
    ],
)
def test_any_other_scheme_is_refused(url: str) -> None:
    assert FENCE.refusal(url) == "scheme"


@pytest.mark.parametrize(
    "origin",
    [
        "example.org",
        "ftp://example.org",
        "https://example.org/path",
        "https://",
        "https://a@b",
        "",
        "*",
        "https://*",
    ],
)
def test_what_is_no_origin_is_a_mistake_that_is_explained(origin: str) -> None:
    with pytest.raises(BadInput, match="an origin must be a scheme with a host"):
        Fence([origin])


def test_a_name_in_other_letters_is_the_one_that_browsers_ask_for() -> None:
    assert Fence(["https://bücher.example"]).refusal("https://xn--bcher-kva.example/") is None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "2001:db8::1",
    ],
)
def test_a_name_may_not_lead_to_an_address_that_is_not_public(address: str) -> None:
    assert not FENCE.fit("example.org", address)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_a_name_may_lead_to_a_public_address(address: str) -> None:
    assert FENCE.fit("example.org", address)


def test_an_address_that_is_named_leads_to_itself_alone() -> None:
    assert FENCE.fit("127.0.0.1", "127.0.0.1")
    assert not FENCE.fit("127.0.0.1", "127.0.0.2")
    assert not FENCE.fit("127.0.0.1", "8.8.8.8")
    assert Fence(["http://10.0.0.5:80"]).fit("10.0.0.5", "10.0.0.5")


def test_localhost_leads_to_this_machine_alone() -> None:
    assert FENCE.fit("localhost", "127.0.0.1")
    assert FENCE.fit("localhost", "::1")
    assert not FENCE.fit("localhost", "10.0.0.1")
    assert not FENCE.fit("localhost", "8.8.8.8")


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_an_address_within_another_is_no_more_public_than_it_is_alone(number: int) -> None:
    plain = ipaddress.IPv4Address(number)
    for outer in (
        f"::ffff:{plain}",
        f"64:ff9b::{plain}",
        str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))),
    ):
        assert public(plain) or not public(ipaddress.ip_address(outer))


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_whatever_is_written_after_an_allowed_host_is_that_origin_or_refused(rest: str) -> None:
    url = f"https://example.org{rest}"
    if FENCE.refusal(url) is None:
        assert origin_of(url) == Origin("https", "example.org", 443)
        assert rest.removeprefix(".").removeprefix(":443")[:1] in ("", "/", "?", "#", ":")


@given(st.text(max_size=60))
def test_no_text_makes_the_fence_fail(text: str) -> None:
    FENCE.refusal(text)
    FENCE.refusal("http://" + text)
