import pytest

from core.errors import UsageError
from core.models import RunRow
from core.settings import Settings
from injector.__main__ import LONGEST_NOTE, checked_request, main


def parse(**options):
    arguments = [
        f"--{name.replace('_', '-')}={value}" for name, value in {"size": "5MB", **options}.items() if value is not None
    ]
    parameters = main.make_context("injector", arguments).params
    del parameters["monitor"], parameters["check"]
    return checked_request(Settings.from_env({}), **parameters)


def test_a_sustained_run_without_rate_has_the_scenarios_ten_per_minute():
    assert parse(mode="sustained").rate_per_minute == 10.0


def test_a_shape_gives_the_arrivals_and_the_mean_rate():
    ramp = parse(mode="sustained", shape="ramp:6-18", count="120")
    assert (ramp.rate_per_minute, len(ramp.arrivals), ramp.shape, ramp.seed) == (12.0, 120, "ramp:6-18", None)
    poisson = parse(mode="sustained", shape="poisson", rate="20", count="40")
    assert (poisson.rate_per_minute, len(poisson.arrivals), poisson.seed) == (20.0, 40, 1)
    assert poisson.schedule.window_seconds == 120.0


def test_a_mix_has_its_exact_shares_in_an_order_of_its_seed():
    first, other = (parse(size="50MB:3+100MB:1", count="24", seed=seed) for seed in (None, "2"))
    assert (first.order().count(0), first.order().count(1), first.seed) == (18, 6, 1)
    assert first.order() != other.order()
    poisson = parse(mode="sustained", size="5MB:3+9MB:1", count="8", shape="poisson", seed="7")
    assert (poisson.seed, len(poisson.arrivals), sorted(poisson.order())) == (7, 8, [0] * 6 + [1] * 2)


def test_a_trace_gives_the_number_of_videos_and_their_mean_rate(tmp_path):
    (tmp_path / "t.csv").write_text("seconds\n0\n10\n20\n60\n")
    replayed = parse(mode="sustained", trace=tmp_path / "t.csv")
    assert (replayed.count, replayed.rate_per_minute, replayed.arrivals) == (4, 3.0, (0.0, 10.0, 20.0, 60.0))


@pytest.mark.parametrize("count", ["0", "-5", "1.5", "1e6", "abc", "1000000000000", "", "٣"])
def test_a_count_must_be_a_positive_whole_number(count):
    with pytest.raises(UsageError, match="COUNT"):
        parse(count=count)


@pytest.mark.parametrize("rate", ["0", "NaN", "inf", "-1", "0.0001", "ten"])
def test_an_impossible_rate_is_refused(rate):
    with pytest.raises(UsageError, match="RATE"):
        parse(mode="sustained", rate=rate)


@pytest.mark.parametrize("run_id", ["../../x", "a/b", "-rf", "ñ", "x" * 300, "a\0b", "A"])
def test_an_invalid_run_id_is_refused(run_id):
    with pytest.raises(UsageError, match="run id"):
        parse(run_id=run_id)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mode": "bursts"}, "MODE"),
        ({"profile": "4k"}, "PROFILE"),
        ({"rate": "10"}, "^RATE .10.; a burst sends all at once"),
        ({"shape": "poisson"}, "^SHAPE .*a burst sends all at once"),
        ({"mode": "sustained", "shape": "ramp:5-30", "rate": "9"}, "^RATE .9.; SHAPE gives the rates"),
        ({"mode": "sustained", "shape": "ramp:5-30", "seed": "3"}, "^SEED .3.; only SHAPE=poisson and a mix"),
        ({"mode": "sustained", "shape": "saw"}, "^SHAPE .saw.; there is no such shape"),
        ({"mode": "sustained", "trace": "no.csv"}, "^TRACE .no.csv.; there is no such file"),
        ({"mode": "sustained", "trace": "no.csv", "count": "9"}, "^COUNT .9.; the trace gives the arrivals"),
        ({"file": "/no/such.mp4", "size": None}, "there is no such file"),
        ({"file": "a" * 300, "size": None}, r"^FILE \(a+…a+\); it cannot be read: File name too long"),
        ({"file": "README.md", "size": "5MB"}, r"^SIZE \(5MB\); FILE is given too"),
        ({"file": "README.md", "size": "garbage"}, r"^SIZE \(garbage\); it is not a number"),
        ({"size": "9" * 400 + "MB"}, "SIZE"),
        ({"size": "5MB:3+9MB:1", "count": "9"}, "^COUNT .9.; the weights .* need a multiple of 4; give 8 or 12"),
        ({"size": "5MB:3+9MB:1", "file": "README.md", "count": "8"}, "^SIZE .5MB:3[+]9MB:1.; FILE is given too"),
        ({"seed": "3"}, "^SEED .3.; only SHAPE=poisson and a mix of sizes are random"),
        ({"size": "５０MB"}, "SIZE"),
        ({"mode": "sustained", "rate": "1_0"}, "RATE"),
        ({"file": "s3://bucket/key"}, "the storage is the filesystem"),
    ],
)
def test_contradictory_options_are_refused_before_the_run_starts(changes, why):
    with pytest.raises(UsageError, match=why):
        parse(**changes)


def test_a_note_longer_than_its_column_is_refused():
    assert RunRow.__table__.c.note.type.length == LONGEST_NOTE
    assert parse(note="ñ" * LONGEST_NOTE).note == "ñ" * LONGEST_NOTE
    with pytest.raises(UsageError, match=r"^note \(ñ+…ñ+\); it is too long; give at most 256 characters$"):
        parse(note="ñ" * (LONGEST_NOTE + 1))
