"""Chat beside the picture: in time, of those whose chat may go out, and never markup."""

from rebroadcast.hls_chat import ChatCue, HlsChat
from rebroadcast.hls_window import HlsWindow, Missing, Part

ORIGIN_MS = 1_700_000_000_000


def stage(segments=3):
    window = HlsWindow(segment_s=2.0, part_s=1.0, window_s=12.0, max_bytes=1 << 20)
    window.start_part(b"init", origin_ms=ORIGIN_MS)
    chat = HlsChat(shown_s=3.0)
    for number in range(segments):
        window.add(Part(2.0 * number, 2.0, b"media", frozenset(), True), ends_segment=True)
    return window, chat


def say(chat, at_s, text="hello", person="p1", name="Ada"):
    chat.add(ChatCue(person, name, text, ORIGIN_MS + round(at_s * 1000)))


def text_of(window, chat, number):
    return chat.get(f"chat-{number}.vtt", window).decode()


def test_a_line_stands_in_every_segment_in_which_it_is_shown_with_its_own_time():
    window, chat = stage()
    say(chat, 1.25)
    for number in (0, 1, 2):
        assert "00:00:01.250 --> 00:00:04.250\n<v Ada><b>Ada</b> hello\n" in text_of(window, chat, number)
    say(chat, 5.0, "later")
    assert "later" not in text_of(window, chat, 1)
    assert "later" in text_of(window, chat, 2)


def test_what_somebody_wrote_is_gone_with_their_grant_and_others_lines_are_not():
    window, chat = stage()
    say(chat, 1.0, "of ada", person="p1")
    say(chat, 1.0, "of bob", person="p2", name="Bob")
    chat.cut("p1")
    assert "of ada" not in text_of(window, chat, 0)
    assert "of bob" in text_of(window, chat, 0)


def test_a_line_that_was_deleted_is_in_no_segment_any_more():
    window, chat = stage()
    for name in ("kept", "deleted"):
        chat.add(ChatCue("p1", "Ada", f"text {name}", ORIGIN_MS + 1000, name))
    chat.delete("deleted")
    assert "text deleted" not in text_of(window, chat, 0)
    assert "text kept" in text_of(window, chat, 0)


def test_segments_go_with_those_of_the_picture():
    window, chat = stage()
    playlist = chat.get("chat.m3u8", window).decode()
    assert [line for line in playlist.splitlines() if line.endswith(".vtt")] == [
        "chat-0.vtt",
        "chat-1.vtt",
        "chat-2.vtt",
    ]
    assert "#EXT-X-MEDIA-SEQUENCE:0\n" in playlist
    window.clear()
    assert chat.get("chat-0.vtt", window) is Missing.GONE
    assert chat.get("chat-9.vtt", window) is Missing.UNKNOWN
    assert chat.get("chat-x.vtt", window) is Missing.UNKNOWN
    assert "#EXT-X-MEDIA-SEQUENCE:3\n" in chat.get("chat.m3u8", window).decode()


def test_the_open_segment_has_what_is_said_so_far_though_it_is_not_listed():
    window, chat = stage()
    say(chat, 6.5)
    window.add(Part(6.0, 0.4, b"media", frozenset(), True), ends_segment=False)
    assert "hello" not in text_of(window, chat, 3)
    window.add(Part(6.4, 0.4, b"media", frozenset(), False), ends_segment=False)
    assert "hello" in text_of(window, chat, 3)
    assert "chat-3.vtt" not in chat.get("chat.m3u8", window).decode()


def test_what_people_write_is_never_markup_nor_another_cue():
    window, chat = stage()
    say(chat, 1.0, "<b>1 --> 2</b> & more\n\n00:00:00.000 --> 99:00:00.000\nforged", name="<i>")
    (line,) = [line for line in text_of(window, chat, 0).splitlines() if "more" in line]
    assert line.startswith("<v &lt;i&gt;><b>&lt;i&gt;</b> &lt;b&gt;1 --&gt; 2&lt;/b&gt; &amp; more 00:00")
    assert sum("-->" in line for line in text_of(window, chat, 0).splitlines()) == 1
