import pytest

from rebroadcast.url_policy import DestinationRefused, UrlPolicy

PUBLIC_ONLY = UrlPolicy()


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "http://partner.example/live/key",
        "concat:rtmp://h/a/k|file:/etc/passwd",
        "subfile,,start,0,end,0,,:/etc/passwd",
        "tee:rtmp://h/a/k",
        "gopher://h/a/k",
        "//h/a/k",
        "rtmp:///a/k",
        "rtmp://user:pass@h/a/k",
        "rtmp://h:22/a/k",
        "rtmp://h:6379/a/k",
        "rtmp://h:0/a/k",
        "rtmp://h:99999/a/k",
        "rtmp://[::1/a/k",
        "rtmp://h/a/k\r\nSTOP",
        "",
    ],
)
def test_a_url_outside_the_policy_is_refused_before_any_lookup(url):
    with pytest.raises(DestinationRefused):
        PUBLIC_ONLY.check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "rtmp://127.0.0.1/a/k",
        "rtmp://127.1/a/k",
        "rtmp://0x7f000001/a/k",
        "rtmp://2130706433/a/k",
        "rtmp://localhost/a/k",
        "rtmp://localhost./a/k",
        "rtmp://[::1]/a/k",
        "rtmp://[::ffff:127.0.0.1]/a/k",
        "rtmp://[2002:7f00:1::]/a/k",
        "rtmp://[64:ff9b::7f00:1]/a/k",
        "rtmp://[64:ff9b::c0a8:101]/a/k",
        "rtmp://0.0.0.0/a/k",
        "rtmp://10.0.0.1/a/k",
        "rtmp://172.16.0.1/a/k",
        "rtmp://192.168.1.1/a/k",
        "rtmp://100.64.0.1/a/k",
        "rtmp://169.254.169.254/a/k",
        "rtmp://[fe80::1]/a/k",
        "rtmp://[fd00::1]/a/k",
        "rtmp://224.0.0.1/a/k",
    ],
)
async def test_an_address_that_is_not_public_is_refused_in_every_spelling(url):
    with pytest.raises(DestinationRefused):
        await PUBLIC_ONLY.resolve(url)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111"])
def test_a_public_address_passes(address):
    PUBLIC_ONLY.check_address(address)


async def test_an_operator_may_allow_partners_on_the_own_network():
    (approved,) = await UrlPolicy(allow_private=True).resolve("rtmp://127.0.0.1:1936/live/key")
    assert (approved.ip, approved.port) == ("127.0.0.1", 1936)


async def test_a_refusal_never_holds_the_stream_key():
    with pytest.raises(DestinationRefused) as error:
        await PUBLIC_ONLY.resolve("rtmp://127.0.0.1/live/very-secret-key")
    assert "very-secret-key" not in str(error.value)
