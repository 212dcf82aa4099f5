from dataclasses import replace

from core.size_mix import parse_sizes
from injector.run_inputs import RunInputs, Source

MIX = parse_sizes("50MB:3+100MB:1")
SMALL = Source("a", 50_000_000, "aa", 10.0, "generated 50MB")
LARGE = Source("b", 100_000_000, "bb", 20.0, "generated 100MB")
INPUTS = RunInputs((SMALL, LARGE), [0, 0, 1, 0], MIX)


def test_each_video_has_the_file_of_its_place_in_the_order():
    assert [INPUTS.of_video(sequence).key for sequence in range(4)] == ["a", "a", "b", "a"]


def test_a_mix_is_recorded_under_its_label_with_its_means_and_its_files():
    assert (INPUTS.label, INPUTS.mean_bytes, INPUTS.mean_seconds) == ("50MB:3+100MB:1", 62_500_000, 12.5)
    assert INPUTS.origin == "generated 50MB:3+100MB:1"
    assert [(each["weight"], each["sha256"]) for each in INPUTS.as_json()["mix"]] == [(3, "aa"), (1, "bb")]


def test_another_file_or_another_weight_is_another_input():
    other_file = RunInputs((SMALL, replace(LARGE, sha256="cc")), [0, 0, 1, 0], MIX)
    other_weight = RunInputs((SMALL, LARGE), [0, 1], parse_sizes("50MB:1+100MB:1"))
    assert len({INPUTS.sha256, other_file.sha256, other_weight.sha256, "aa", "bb"}) == 5
    assert len(INPUTS.sha256) == 64


def test_one_file_is_recorded_as_it_always_was():
    inputs = RunInputs((SMALL,), [0, 0])
    assert (inputs.label, inputs.sha256, inputs.mean_seconds) == ("50MB", "aa", 10.0)
    assert (inputs.origin, inputs.as_json()) == ("generated 50MB", {})
