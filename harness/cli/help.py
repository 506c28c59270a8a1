"""The help of the commands: one screen for `-h`, the full text for `--help`, both in sections."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import cleandoc
from typing import Any, ClassVar

from typer.core import TyperCommand, TyperGroup

from tunegate.harness.core.printing import Printer
from tunegate.harness.models.options.table import OUTPUT

WIDTH = 100  # maximum columns
SHORT, LONG = "-h", "--help"
HELP = "Show the help: -h on one screen, --help in full"
OWN = ("Arguments", "Options")  # sections that the short help shows in full


class SectionedCommand(TyperCommand):
    """A command whose options are grouped in the sections of their rows."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse a command line; `-h` prints the short help and exits."""
        if SHORT in args[: args.index("--") if "--" in args else None]:
            Printer(soft_wrap=True).print(self._on_one_screen(ctx))
            ctx.exit()
        return super().parse_args(ctx, args)

    def _on_one_screen(self, ctx: Any) -> str:
        """Return the usage, the first paragraph, a clause per own option, and the names of all other options."""
        formatter = ctx.make_formatter()
        self.format_usage(ctx, formatter)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(cleandoc(self.help or "").split("\n\n")[0])
        others = []
        for section, records in self._sections(ctx).items():
            if section in OWN:
                with formatter.section(section):
                    formatter.write_dl([(name, _clause(text)) for name, text in records])
            else:
                others.append((f"{section}:", ", ".join(name.split(" ")[0] for name, _ in records)))
        if others:
            with formatter.section(f"More, see {LONG}"):
                formatter.write_dl(others)
        self.format_epilog(ctx, formatter)
        return str(formatter.getvalue()).rstrip()

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write every option in its section."""
        for section, records in self._sections(ctx).items():
            with formatter.section(section):
                formatter.write_dl(records)

    def _sections(self, ctx: Any) -> Mapping[str, list[tuple[str, str]]]:
        """Return the names and help texts of options and arguments, by section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for each in self.get_params(ctx):
            is_argument = each.param_type_name == "argument"
            section = OWN[0] if is_argument else getattr(each, "rich_help_panel", None) or OWN[1]
            record = (f"{SHORT}, {LONG}", HELP) if each.name == "help" else each.get_help_record(ctx)
            if record:
                sections.setdefault(section, []).append(record)
        return dict(sorted(sections.items(), key=lambda each: each[0] == OUTPUT))  # output options last


def _clause(text: str) -> str:
    """Return the first clause of a help text, with its default."""
    said, bracket, default = text.partition("  [")
    return said.partition("; ")[0] + bracket + default


class GroupedCommands(TyperGroup):
    """Commands in groups, as `groups` names them with their lines; each command belongs to one group."""

    groups: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments before a command; this help always fits one screen."""
        return super().parse_args(ctx, [LONG if each == SHORT else each for each in args[:1]] + args[1:])

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options but those of shell completion, which docs/configuration.md has: a screen holds no more."""
        shown = [each for each in self.get_params(ctx) if each.name and not each.name.endswith("_completion")]
        with formatter.section(OWN[1]):
            formatter.write_dl([found for each in shown if (found := each.get_help_record(ctx))])
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  (so typer calls it)
        """Write each group with its commands."""
        width = max(len(name) for lines in self.groups.values() for name in lines)
        for group, lines in self.groups.items():
            with formatter.section(group):
                formatter.write_dl([(name.ljust(width), line) for name, line in lines.items()])
