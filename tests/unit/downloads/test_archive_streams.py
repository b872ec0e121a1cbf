from app.downloads.archives import Piece
from app.downloads.models import File
from app.downloads.streams import CHUNK, Replay, chunks

FILES = [File(str(number), 10, "", "", 0) for number in range(5)]


class Source:
    def __init__(self):
        self.asked = 0

    def __call__(self):
        self.asked += 1
        return iter(FILES)


def test_few_members_are_looked_up_once():
    source = Source()
    replay = Replay(source, most_kept=5)
    assert list(replay()) == list(replay()) == FILES
    assert source.asked == 1


def test_many_members_are_looked_up_each_time():
    source = Source()
    replay = Replay(source, most_kept=4)
    assert list(replay()) == list(replay()) == FILES
    assert source.asked == 2


def test_members_that_were_not_read_to_the_end_are_looked_up_again():
    source = Source()
    replay = Replay(source)
    next(replay())
    assert list(replay()) == FILES
    assert source.asked == 2


def test_small_parts_are_joined_and_large_ones_are_not_held_back():
    parts = [b"head", Piece(FILES[0], 0, 3 * CHUNK), b"a", b"b"]
    sent = list(chunks(parts, lambda _, start, stop: (bytes(CHUNK) for _ in range(start, stop, CHUNK))))
    assert b"".join(sent) == b"head" + bytes(3 * CHUNK) + b"ab"
    assert [len(chunk) for chunk in sent] == [CHUNK + 4, CHUNK, CHUNK, 2]
