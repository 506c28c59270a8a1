"""One table of options: pytest, the commands, the settings and the documents say the same of each.

After a change that is meant: `make golden`, then read the diff of
docs/configuration.md.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from tests.support.paths import ROOT
from tests.support.project import Project
from tests.support.units import write_unit
from tunegate.harness.cli.main import COMMANDS, app
from tunegate.harness.core.errors import Refused
from tunegate.harness.core.project import find_root
from tunegate.harness.models.model_options import RUNGS
from tunegate.harness.models.options.run import Options
from tunegate.harness.models.options.settings import configured_cases, read_settings, standing
from tunegate.harness.models.options.table import OPTIONS, TABLE, Option
from tunegate.harness.session.pytest_plugin.plugin import pytest_addoption

GROUP = typer.main.get_command(app)
BY_NAME = {name: GROUP.commands[name] for name in COMMANDS}
ALWAYS = {"help", "version", "install_completion", "show_completion"}


class Taken:
    """Takes options as pytest's parser does, and keeps what it was told."""

    def __init__(self) -> None:
        self.options: dict[str, dict[str, Any]] = {}

    def getgroup(self, *_: str) -> Taken:
        return self

    def addoption(self, name: str, **told: Any) -> None:
        self.options[name] = told


@pytest.fixture(scope="module")
def taken() -> dict[str, dict[str, Any]]:
    parser = Taken()
    pytest_addoption(parser)  # type: ignore[arg-type]
    return parser.options


def params() -> list[tuple[str, Any]]:
    """Every option of every command, with the command's name."""
    return [
        (name, each)
        for name, command in BY_NAME.items()
        for each in command.params
        if each.param_type_name == "option" and each.name not in ALWAYS
    ]


# --- one table


def test_pytest_takes_exactly_the_rows_that_are_for_suites(taken):
    assert list(taken) == [f"--tg-{option.name}" for option in TABLE if option.suites]
    assert all(told["dest"].startswith("tg_") for told in taken.values())


def test_pytest_says_what_the_row_says(taken):
    for option in (option for option in TABLE if option.suites):
        told = taken[f"--tg-{option.name}"]
        assert told["help"].startswith(option.help)
        assert told.get("metavar", "") == option.takes, option.name
        assert (told.get("action") == "store_true") == option.is_flag, option.name
        assert option.default is None or option.is_flag or f"(default: {option.default})" in told["help"]


@pytest.mark.parametrize("command", BY_NAME)
def test_a_command_says_what_the_row_says(command: str):
    for param in (param for name, param in params() if name == command):
        option = OPTIONS[param.opts[0].removeprefix("--")]
        assert param.opts == [f"--{option.name}"]
        assert param.help == option.by.get(command, option.help)
        assert (param.metavar or "") == option.takes_by.get(command, option.takes)
        assert bool(param.is_flag) == option.is_flag
        # without it a plan is for as many answers as were given, and all is recorded; what is served must be named
        unset = {("plan", "repeats"), ("record", "limit"), ("parity", "model")}
        default = None if (command, option.name) in unset else option.default
        assert (param.default if param.default is None else option.type(param.default)) == default


def test_a_command_refuses_less_than_the_row_takes(home):
    done = CliRunner().invoke(app, ["diagnose", "--sample", str(OPTIONS["sample"].least - 1)])

    assert done.exit_code == 2
    assert "--sample" in done.stderr


def test_no_row_is_for_nothing():
    used = {param.opts[0].removeprefix("--") for _, param in params()}

    elsewhere = {option.name for option in TABLE if option.suites} | {"checks"}  # a setting, and no option
    assert {option.name for option in TABLE} == used | elsewhere


def test_the_defaults_are_those_of_a_run():
    run, row = Options(Path()), OPTIONS

    for name in ("model", "cases", "baselines", "rung", "repeats", "inconclusive", "record", "sealed", "timing"):
        assert getattr(run, name) == row[name].default, name
    assert OPTIONS["rung"].choices == RUNGS


def test_every_command_has_an_example_that_it_takes():
    for row in COMMANDS.values():
        example = row.example
        program, name, *arguments = shlex.split(example.partition(" > ")[0])
        assert (program, name) == ("tunegate", row.name)
        BY_NAME[name].make_context(name, arguments)  # would refuse what it does not take
        shown = CliRunner().invoke(app, [name, "-h"])
        assert shown.exit_code == 0
        assert f"Example: {example}" in " ".join(shown.stdout.split())


@pytest.mark.parametrize("columns", [80, 100])
def test_help_fits_the_terminal_and_the_short_one_a_screen(columns: int):
    def helps(*line: str) -> str:
        return CliRunner().invoke(app, line, terminal_width=columns).stdout

    for command in ["", *BY_NAME]:
        short, long = (helps(*command.split(), flag) for flag in ("-h", "--help"))

        for shown in (short, long):
            assert max(map(len, shown.splitlines())) <= columns, command
            assert "..." not in shown.replace("]...", "").replace("}...", ""), command  # nothing is cut
        assert len(short.splitlines()) <= (51 if columns == 80 or not command else 40), command


def test_the_short_help_names_what_only_the_long_one_explains():
    short, long = (CliRunner().invoke(app, ["gate", flag]).stdout for flag in ("-h", "--help"))

    named = {f"--{option.name}" for option in TABLE}
    assert {each for each in named if f"{each} " in long} <= set(re.findall(r"--[a-z]+(?:-\s*[a-z]+)*", short))
    assert "Precision of a local model" in " ".join(long.split())
    assert "Precision" not in short


def test_what_stands_behind_two_dashes_asks_for_no_help(home):
    done = CliRunner().invoke(app, ["retire", "--reason", "We serve no chat.", "--", "-h"])

    assert "Usage:" not in done.stdout
    assert CliRunner().invoke(app, ["retire", "-h"]).stdout.startswith("Usage:")


def test_every_command_stands_in_one_group():
    assert sorted(name for names in GROUP.groups.values() for name in names) == sorted(GROUP.commands)
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert all(f"{group}:\n" in shown for group in GROUP.groups)


def test_a_text_that_differs_is_that_of_a_command_that_takes_the_option():
    taken = {(command, param.opts[0].removeprefix("--")) for command, param in params()}

    assert {(command, option.name) for option in TABLE for command in option.by} <= taken


def test_the_version():
    assert re.fullmatch(r"tunegate \d+\.\d+\.\d+\n", CliRunner().invoke(app, ["--version"]).stdout)


def test_completion_is_there(monkeypatch):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")  # else it asks which shell runs the tests
    script = CliRunner().invoke(app, ["--show-completion", "bash"], prog_name="tunegate")

    assert script.exit_code == 0
    assert "_TUNEGATE_COMPLETE" in script.stdout


def test_completion_knows_the_commands():
    asked = {"_TUNEGATE_COMPLETE": "complete_bash", "COMP_WORDS": "tunegate re", "COMP_CWORD": "1"}
    code = "import sys; sys.argv[0] = 'tunegate'; from tunegate.harness.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True)

    assert done.stdout.split() == ["record", "report", "release", "retire"]


# --- a host's own options


def test_a_host_keeps_its_own_model_record_and_out(project: Project):
    project.unit(["a"])
    (project.path / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    [parser.addoption(name) for name in ('--model', '--record', '--out')]"
    )
    (project.path / "test_host.py").write_text(
        "def test_host(pytestconfig):\n    assert pytestconfig.getoption('model') == 'theirs'"
    )
    outputs = {"desk/triage/a": '{"product": "boiler"}'}

    project.replay(outputs, "test_host.py", "--model=theirs", "--record=x", "--out=y").assert_outcomes(passed=2)


# --- settings


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A project whose fixtures lie elsewhere."""
    write_unit(tmp_path / "mine", ["a"])
    (tmp_path / "pyproject.toml").write_text('[tool.tunegate]\ncases = "mine"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_command_reads_the_settings(home):
    done = CliRunner().invoke(app, ["plan"])

    assert done.exit_code == 0, done.stderr
    assert "desk/triage" in done.stdout


def test_the_command_line_beats_the_settings(home):
    done = CliRunner().invoke(app, ["plan", "--cases", "fixtures"])

    assert (done.exit_code, done.stderr[:42]) == (4, "fixtures: expected a folder of fixtures, f")


def test_the_settings_count_from_their_own_folder(home, monkeypatch):
    (home / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(home / "deep" / "er")

    assert "desk/triage" in CliRunner().invoke(app, ["lint"]).stdout
    assert find_root(Path.cwd()) == home


def test_without_settings_the_project_is_where_one_stands(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[tool.other]\n")
    (tmp_path / "inner").mkdir()

    assert find_root(tmp_path / "inner") == tmp_path / "inner"


@pytest.mark.parametrize(
    ("text", "cases"),
    [
        ("[tool.tunegate]\n", "fixtures"),
        ('[tool.tunegate]\ncases = "evals"\n', "evals"),
        ("[tool.tunegate]\ncases = 3\n", "fixtures"),
        ("[tool]\ntunegate = 3\n", "fixtures"),
        ("[tool.other]\n", None),
        ("[tool.tunegate\n", "fixtures"),
        ("", None),
    ],
)
def test_the_folder_of_fixtures_is_found_without_refusing_anything(tmp_path, text: str, cases: str | None):
    (tmp_path / "pyproject.toml").write_text(text)

    assert configured_cases(tmp_path) == (tmp_path / cases if cases else None)
    assert configured_cases(tmp_path / "none") is None


def test_a_setting_decides_how_lint_ends(home):
    assert CliRunner().invoke(app, ["lint"]).exit_code == 0  # with warnings: one case is few
    (home / "pyproject.toml").write_text('[tool.tunegate]\ncases = "mine"\nstrict = true\n')

    assert CliRunner().invoke(app, ["lint"]).exit_code == 4


@pytest.mark.parametrize("model", ["replay:out/base.jsonl", "replay:base=out/base.jsonl"])
def test_the_outputs_of_a_standing_model_lie_in_the_project_wherever_one_stands(tmp_path, monkeypatch, model):
    (tmp_path / "pyproject.toml").write_text(f'[tool.tunegate]\nmodel = "{model}"\n')
    (tmp_path / "inside").mkdir()

    monkeypatch.chdir(tmp_path)
    assert standing(Path())["model"] == standing(tmp_path)["model"] == model
    monkeypatch.chdir(tmp_path / "inside")
    assert standing(tmp_path)["model"] == model.replace("out/", "../out/")


def test_settings_of_a_run(project: Project):
    project.unit(["a"])
    file = project.path / "pyproject.toml"
    file.write_text(file.read_text() + '\n[tool.tunegate]\nrung = "steps"\nmodel = "replay:outputs.jsonl"\n')
    outputs = {"desk/triage/a": '{"product": "boiler"}'}

    # nothing shows that it was asked on that rung
    assert "with --rung steps, found none on 1 line (a)" in project.replay(outputs).stderr.str()
    assert project.replay(outputs, "--tg-rung=as-is").ret == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sample = 3", "sample: expected a whole number from 10, found 3"),
        ("repeats = true", "repeats: expected a whole number from 1, found True"),
        ('strict = "yes"', "strict: expected true or false, found 'yes'"),
        (
            'rung = "up"',
            "rung: expected as-is, constrained, few-shot, few-shot-constrained, context or steps, found 'up'",
        ),
        ('device = "cuda:x"', "device: expected auto, cpu, cuda, cuda:N or mps, found 'cuda:x'"),
        (
            "record = true",
            "expected one of model, device, dtype, attention, quantization, chat-template, tool-format, "
            "tokenizer, in-flight, ",
        ),
        ("cases = 1", "cases: expected text in quotes, found 1"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(home, text: str, told: str):
    (home / "pyproject.toml").write_text(f"[tool.tunegate]\n{text}\n")
    done = CliRunner().invoke(app, ["lint"])

    assert (done.exit_code, done.stdout) == (4, "")
    assert f"pyproject.toml: [tool.tunegate] {told}" in done.stderr
    assert CliRunner().invoke(app, ["lint", "-h"]).exit_code == 0


@pytest.mark.parametrize("text", ["[tool.tunegate", "tool.tunegate = 3"])
def test_what_is_no_table_is_refused(tmp_path, text: str):
    (tmp_path / "pyproject.toml").write_text(text)

    with pytest.raises(Refused, match=r"pyproject\.toml: expected (TOML|a table \[tool\.tunegate\]), found"):
        read_settings(find_root(tmp_path))


def test_a_device_that_cannot_be_is_refused_by_commands_and_by_pytest(home, project: Project):
    done = CliRunner().invoke(app, ["record", "--device", "gpu"])
    assert (done.exit_code, done.stderr) == (4, "--device: expected auto, cpu, cuda, cuda:N or mps, found gpu\n")
    project.unit(["a"])
    result = project.run("--tg-device=gpu")
    assert result.ret == 4
    assert "--tg-device: expected auto, cpu, cuda, cuda:N or mps, found gpu" in result.stderr.str()


def test_settings_stand_beside_defaults(home):
    stands = standing(home)

    assert stands["cases"] == home / "mine"
    assert (stands["baselines"], stands["model"], stands["sample"]) == (home / "baselines", "smollm2", 40)


# --- what a script and a quiet terminal get


def test_lint_prints_json_and_nothing_else(home):
    done = CliRunner().invoke(app, ["lint", "--json"])
    found = json.loads(done.stdout)

    assert (done.exit_code, done.stderr, found["mistakes"]) == (0, "", [])
    assert found["units"] == [{"unit": "desk/triage", "suite": "schema", "cases": 1}]
    assert found["warnings"][0].keys() == {"file", "line", "text"}


def test_lint_prints_mistakes_as_json(home):
    write_unit(home / "mine", ["a", "a"])
    done = CliRunner().invoke(app, ["lint", "--json"])

    [mistake] = json.loads(done.stdout)["mistakes"]
    assert (done.exit_code, mistake["file"], mistake["found"]) == (
        4,
        "mine/desk/triage.yaml",
        "'a' again (first on line 1)",
    )


def test_lint_is_quiet_about_what_is_right(home):
    loud, quiet = (CliRunner().invoke(app, ["lint", *more]).stdout.splitlines() for more in ([], ["--quiet"]))

    assert loud[0] == "desk/triage: 1 schema case"
    assert quiet
    assert set(quiet) == {line for line in loud if "warning:" in line and line[:4] == "mine"}


def test_plan_prints_json(home):
    done = CliRunner().invoke(app, ["plan", "--json"])
    [planned] = json.loads(done.stdout)

    assert (planned["unit"], planned["n"], planned["margin"]) == ("desk/triage", 1, 0.05)
    assert planned["needed"] > 100


def test_report_prints_the_verdict_and_what_each_case_asked(project: Project):
    project.unit(["a"])
    project.replay({"desk/triage/a": '{"product": "boiler"}'}, "--tg-out=record.json")
    done = CliRunner().invoke(app, ["report", "record.json", "--json"])

    found = json.loads(done.stdout)
    assert found["verdict"] == "Scored: 1 case of 1 unit, without a comparison."
    [case] = found["candidates"][0]["cases"]
    assert (case["state"], case["now"], case["context"]["expect"]) == (
        "passed", '{"product": "boiler"}', {"product": "boiler"},
    )  # fmt: skip


def test_no_color_is_honoured(home, monkeypatch):
    for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)

    assert "\x1b[3" not in CliRunner().invoke(app, ["plan"], color=True).stdout  # bold may stay, colours not


def test_a_setting_with_a_dash_holds_for_the_commands(home, tiny_model):
    (home / "pyproject.toml").write_text('[tool.tunegate]\nchat-template = "none.jinja"\n')
    write_unit(home / "fixtures", ["a"])
    done = CliRunner().invoke(app, ["prompts", "--render", str(tiny_model)])

    assert done.exit_code == 4
    assert done.stderr.splitlines()[-1] == "none.jinja: expected a chat template, found nothing there"


# --- what the documents say


#: The commands that run a model on the cases.
MODEL_COMMANDS = ("pytest", "`record`", "`diagnose`", "`compare`", "`gate`", "`distil`")


def settings_table() -> str:
    rows = [
        (
            f"`{option.name}`",
            _meaning(option),
            _expected(option),
            _default(option),
            ", ".join(_places(option)) or "none",
        )
        for option in TABLE
        if option.stands
    ]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(["| key | meaning | value | default | option of |", "|---|---|---|---|---|", *lines])


def _meaning(option: Option) -> str:
    texts = [option.help, *(f"`{command}`: {text}" for command, text in option.by.items())]
    return "; ".join(texts).replace("|", "\\|")


def _places(option: Option) -> list[str]:
    commands = [f"`{name}`" for name, param in params() if param.opts[0] == f"--{option.name}"]
    places = [*(["pytest"] if option.suites else []), *commands]
    if len(places) > len(BY_NAME) / 2:
        return ["most commands"]
    rest = [place for place in places if place not in MODEL_COMMANDS]
    return ["*model commands*", *rest] if set(MODEL_COMMANDS) <= set(places) else places


def _expected(option: Option) -> str:
    if option.choices:
        return ", ".join(f'`"{choice}"`' for choice in option.choices)
    if option.pattern:
        return option.pattern[1]
    return {bool: "`true` or `false`", int: f"{option.least} or more", Path: "path"}.get(option.type, "text")


def _default(option: Option) -> str:
    if option.default is None:
        return ""
    shown = option.default if isinstance(option.default, int) else str(option.default)
    return f"`{json.dumps(shown)}`"


def options_table() -> str:
    rows = []
    for option in TABLE:
        takes = f" {option.takes}".replace("|", "\\|") if option.takes else ""
        if not option.stands:
            rows.append(f"| `--{option.name}{takes}` | {_meaning(option)} | {', '.join(_places(option))} |")
    return "\n".join(["| option | meaning | of |", "|---|---|---|", *rows])


@pytest.mark.golden
@pytest.mark.parametrize(("name", "table"), [("settings", settings_table()), ("options", options_table())])
def test_the_documents_table_is_the_table(name: str, table: str):
    page = ROOT / "docs" / "configuration.md"
    begin, end = f"<!-- {name}:begin -->\n", f"\n<!-- {name}:end -->"
    before, _, rest = page.read_text().partition(begin)
    found, _, after = rest.partition(end)
    if os.environ.get("TUNEGATE_GOLDEN") == "write":
        page.write_text(f"{before}{begin}{table}{end}{after}")
        found = table
    assert found == table


PAGES = [
    *ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("skills/*/*.md"), *ROOT.glob("benchmarks/**/*.md"),
    *ROOT.glob(".github/**/*.yml"),
]  # fmt: skip
OPTION = re.compile(r"(?<![\w/-])--[a-z][a-z-]*")
CALL = re.compile(rf"\btunegate (?P<command>{'|'.join(BY_NAME)})\b(?P<rest>[^`#\n]*)")


#: The prefix; options of pytest, a diff, pip, the demo, a benchmark, servers; accelerate's, cut off at an underscore.
OTHERS = {
    "--tg-", "--lf", "--junitxml", "--pyargs", "--co", "--git", "--no-deps", "--full", "--vllm", "--seeds",
    "--served-model-name", "--enable-lora", "--lora-modules", "--alias", "--parallel",
    "--tensor-parallel-size", "--max-model-len", "--api-key", "--hf-token", "--config",
    "--log", "--multi", "--num", "--machine", "--main", "--cpu", "--repeat",
}  # fmt: skip


def test_a_document_gives_a_command_no_option_that_it_does_not_have():
    for page in PAGES:
        for call in CALL.finditer(page.read_text()):
            has = {f"--{param.opts[0].removeprefix('--')}" for name, param in params() if name == call["command"]}
            unknown = set(OPTION.findall(call["rest"].partition("pytest ")[0])) - has - {"--help"}
            assert not unknown, f"{page.name}: {call[0]}"


def test_a_document_names_no_option_that_nothing_has(taken):
    ours = {f"--{option.name}" for option in TABLE} | {f"--{name.replace('_', '-')}" for name in ALWAYS} | set(taken)
    for page in PAGES:
        found = set(OPTION.findall(page.read_text())) - ours - OTHERS
        if not page.is_relative_to(ROOT / "docs") and page.parent != ROOT:
            found = {each for each in found if each.startswith("--tg-")}
        assert found == set(), page


def test_pytest_is_given_no_option_by_its_old_name():
    old = {f"--{option.name}" for option in TABLE if option.suites}
    calls = [line for page in PAGES for line in re.findall(r"pytest (?:suites|fixtures)/[^`#\n]*", page.read_text())]

    assert calls
    assert [line for line in calls if old & set(OPTION.findall(line))] == []
