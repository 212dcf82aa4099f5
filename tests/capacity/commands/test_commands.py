import json

import pytest
from click.testing import CliRunner

from capacity.commands import usl as usl_module
from capacity.commands.audit import audit
from capacity.commands.plan import plan
from capacity.commands.usl import usl
from core.errors import EnvironmentFault, UsageError
from tests.capacity.result_rows import row

SPECSDM91 = "n,x\n1,64.9\n18,995.9\n36,1652.4\n72,1853.2\n108,1828.9\n144,1775.0\n216,1702.2\n"


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="input.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write_file


def run(command, *arguments):
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def test_usl_gives_the_published_coefficients_as_json(write):
    result = json.loads(run(usl, write(SPECSDM91), "--unweighted", "--json", "--lang", "en").output)
    assert (result["sigma"], result["kappa"], result["lambda"]) == pytest.approx((0.02773, 1.044e-4, 90.0), rel=1e-3)
    assert (result["n_peak"], result["limit"]) == pytest.approx((96.51956, 3245.589), rel=1e-6)
    assert result["x_peak"] == pytest.approx(1884, rel=1e-3)
    assert result["intervals"]["x_peak"][0] < result["x_peak"] < result["intervals"]["x_peak"][1]
    assert (result["schema"], result["refused"], result["caution"]["code"]) == (1, None, "loose_fit")
    assert result["caution"]["residual_ratio"] == pytest.approx(0.387, abs=1e-3)
    assert result["caution"]["text"] == "residual of 38.7 % at n = 1: the USL describes these data only roughly"


def test_usl_gives_null_where_there_is_no_peak(write):
    result = json.loads(run(usl, write("n,x\n1,2\n2,4\n4,8\n8,16\n"), "--json").output)
    assert (result["kappa"], result["n_peak"], result["x_peak"], result["limit"]) == (0.0, None, None, None)
    assert result["refused"] is None


def test_usl_reads_any_order_comments_and_columns(write):
    text = "\ufeffx, se ,N\n# warm-up dropped\n6.299213,0.03,4\n\n2,0.01,1\n8.376963,0.04,8\n3.738318,0.02,2\n"
    result = json.loads(run(usl, write(text), "--json").output)
    assert result["sigma"] == pytest.approx(0.05, abs=1e-6)
    assert result["intervals"]["sigma"][0] < 0.05 < result["intervals"]["sigma"][1]


def test_usl_pools_the_errors_of_a_few_runs(write):
    known = "n,x,se\n1,2,0.02\n2,3.738318,0.04\n4,6.299213,0.06\n8,8.376963,0.08\n"
    of_three = known.replace("se\n", "se,runs\n").replace("2\n", "2,3\n").replace("4\n", "4,3\n")
    of_three = of_three.replace("6\n", "6,3\n").replace("8\n", "8,3\n")
    exact, pooled = (json.loads(run(usl, write(text), "--json").output) for text in (known, of_three))
    assert pooled["sigma"] == pytest.approx(0.05, abs=1e-6)
    assert pooled["intervals"]["sigma"] != exact["intervals"]["sigma"]
    with pytest.raises(UsageError, match="runs must be a whole number"):
        run(usl, write(of_three.replace(",3\n", ",2.5\n")))


def test_usl_with_three_levels_prints_the_points_and_the_bound(write):
    result = run(usl, write("n,x\n1,2\n2,3.9\n4,4.0\n"))
    assert "sin ley: niveles de concurrencia: 3; hacen falta 4" in result.output
    assert "X(n) ≤ 2·n hasta n = 2.0; después, 4" in result.output
    assert "X(1) = 2 · X(2) = 3.9 · X(4) = 4" in result.output
    assert not any(symbol in result.output.split("\n", 1)[1] for symbol in ("σ", "κ", "λ", "máximo "))
    values = json.loads(run(usl, write("n,x\n1,2\n2,3.9\n4,4.0\n"), "--json").output)
    assert (values["sigma"], values["kappa"], values["lambda"], values["intervals"]) == (None, None, None, None)
    assert values["bound"] == {"per_slot": 2.0, "ceiling": 4.0, "knee": 2.0}


def test_usl_prints_a_peak_with_its_neighbours(write):
    output = run(usl, write("n,x\n1,2\n2,3.738318\n4,6.299213\n8,8.376963\n"), "--lang", "en").output
    assert "n = 9 (9.747)  90 % [9.747, 9.747] · X(9) = 8.491 · X(10) = 8.511" in output
    assert "8.513  90 % [8.513, 8.513]" in output


@pytest.mark.parametrize(
    "text",
    [
        "n;x\n1;2,0\n2;3,738318\n4;6,299213\n8;8,376963\n",
        "n\tx\n1\t2.0\n2\t3.738318\n4\t6.299213\n8\t8.376963\n",
        "\ufeffn,x\r\n1,2.0\r\n2,3.738318\r\n4,6.299213\r\n8,8.376963\r\n",
    ],
)
def test_a_spreadsheets_semicolons_tabs_and_line_ends_are_read(write, text):
    result = json.loads(run(usl, write(text), "--json").output)
    assert (result["sigma"], result["kappa"]) == pytest.approx((0.05, 0.01), abs=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n,x\n1,1e308\n", "line 2 (1e308); x must be"),
        ("n,x\n1,1e-300\n", "line 2 (1e-300); x must be"),
        ("n,x\n1,1_000\n", "line 2 (1_000); x must be"),
        ("n,x\n1,inf\n", "line 2 (inf); x must be"),
        ('n,x\n1,"2\n', "not a CSV file"),
        ("", "it has no header"),
        ("n,x\n", "it has no data"),
        ("n,y\n1,2\n", "line 1: header (n,y); missing x"),
        ("n,x,z\n1,2,3\n", "unknown or repeated z"),
        ("n,x\n1,2\n2,abc\n", "line 3 (abc); x must be a number over 0"),
        ("n,x\n1,2\n2,-1\n", "line 3 (-1); x must be a number over 0"),
        ("n,x\n0,2\n", "line 2 (0); n must be a number of 1 or more"),
        ("n,x\n1,2,5\n", "line 2 (1,2,5); 3 cells under 2 columns"),
        ("n,x,se\n1,2,0.1\n2,3,\n", "line 3 (); se must be a number over 0"),
        ("n,x\n1,nan\n", "line 2 (nan); x must be"),
    ],
)
def test_the_error_for_an_invalid_csv_names_the_line(write, text, message):
    with pytest.raises(UsageError) as caught:
        run(usl, write(text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_a_fault_of_the_environment(tmp_path):
    with pytest.raises(EnvironmentFault, match="cannot read the file"):
        run(usl, str(tmp_path / "absent.csv"))


def test_usl_takes_points_from_one_place_only(write):
    with pytest.raises(UsageError, match="FILE or --runs"):
        run(usl)
    with pytest.raises(UsageError, match="FILE or --runs"):
        run(usl, write(SPECSDM91), "--runs", "a,b")


def with_capacity(run_id, slots, x_sat):
    return row(run_id, slots=slots, x_sat_per_minute=x_sat, x_sat_interval=None)


def test_usl_fits_the_capacity_of_recorded_runs(monkeypatch):
    rows = [with_capacity("a", 1, 2.0), with_capacity("b", 2, 3.738318), with_capacity("c", 4, 6.299213),
            with_capacity("d", 8, 8.376963)]  # fmt: skip
    monkeypatch.setattr(usl_module, "load_rows", lambda _settings, run_ids: [rows["abcd".index(i)] for i in run_ids])
    result = json.loads(run(usl, "--runs", "a,b,c,d", "--json").output)
    assert (result["sigma"], result["kappa"]) == pytest.approx((0.05, 0.01), rel=1e-4)


def test_usl_takes_the_errors_from_runs_of_the_same_slots():
    capacities = {1: (2.0, 2.04), 2: (3.7, 3.78), 4: (6.3,), 8: (8.4, 8.36)}
    rows = [with_capacity(f"{slots}-{x}", slots, x) for slots, each in capacities.items() for x in each]
    levels = usl_module.levels_of_runs(rows).levels
    assert levels.n.tolist() == [1, 2, 4, 8]
    assert levels.x[0] == pytest.approx((2.0 * 2.04) ** 0.5)
    assert levels.se_dof == 3
    assert levels.se[2] / levels.x[2] == pytest.approx(2**0.5 * levels.se[0] / levels.x[0])  # one run, not two


def test_runs_without_a_capacity_cannot_be_fitted(monkeypatch):
    monkeypatch.setattr(usl_module, "load_rows", lambda _settings, run_ids: [with_capacity("a", 1, None)])
    with pytest.raises(UsageError, match="none of the runs has an X_sat"):
        run(usl, "--runs", "a")


@pytest.mark.parametrize("command", [usl, audit])
def test_help_shows_defaults_environment_and_real_examples(command):
    output = run(command, "--help").output
    assert "[env: AFORO_LANG, default es]" in " ".join(output.split())
    assert f"python -m capacity {command.name} " in output


def test_the_defaults_of_plan_are_settings_and_an_invalid_one_is_named(monkeypatch):
    arguments = ("--demand", "30/min", "--service", "30s", "--json")
    workers = json.loads(run(plan, *arguments).output)["workers"]
    monkeypatch.setenv("AFORO_PLAN_SPARE_WORKERS", "3")
    assert json.loads(run(plan, *arguments).output)["workers"] == workers + 2
    monkeypatch.setenv("AFORO_PLAN_SPARE_WORKERS", "many")
    with pytest.raises(UsageError, match="AFORO_PLAN_SPARE_WORKERS"):
        run(plan, *arguments)
