"""Claims of the benchmarks: a bound of a share beside the measured share."""

import pytest

from benchmarks.harness import Claim


@pytest.mark.parametrize(
    ("claim", "standard_errors", "line"),
    [
        (Claim("alarms", 0, 0.02, 2, 100), 0, "claimed at most 2.0%   measured 2.0% (2 of 100)"),
        (Claim("alarms", 0, 0.02, 3, 100), 0, "claimed at most 2.0%   measured 3.0% (3 of 100)  DOES NOT HOLD"),
        (Claim("alarms", 0, 0.02, 4, 100), 2, "claimed at most 2.0%   measured 4.0% (4 of 100)"),  # error 0.014
        (Claim("seen", 0.95, 1, 94, 100), 0, "claimed at least 95%   measured 94.0% (94 of 100)  DOES NOT HOLD"),
        (Claim("drift", 0, 1, 9, 10), 0, "no claim               measured 90.0% (9 of 10)"),
    ],
)
def test_a_claim_holds_within_its_bound_and_the_errors_of_the_simulation(claim, standard_errors, line):
    assert claim.line(standard_errors) == f"  {claim.text:<62} {line}"
    assert claim.holds(standard_errors) is not line.endswith("HOLD")
