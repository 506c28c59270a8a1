"""The help of the commands: `-h` on one screen, `--help` in full, both in sections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import cleandoc
from typing import Any, ClassVar

from typer.core import TyperCommand, TyperGroup

from tunegate.harness.core.printing import Printer
from tunegate.harness.options.table import OUTPUT

WIDTH = 100  # columns at most
SHORT, LONG = "-h", "--help"
HELP = "Show the help: -h on one screen, --help all of it"
OWN = ("Arguments", "Options")  # sections that the short help shows whole


class SectionedCommand(TyperCommand):
    """A command whose options stand in the sections that their rows name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read a command line; `-h` prints the help on one screen and ends it."""
        if SHORT in args[: args.index("--") if "--" in args else None]:
            Printer(soft_wrap=True).print(self._on_one_screen(ctx), markup=False, highlight=False)
            ctx.exit()
        return super().parse_args(ctx, args)

    def _on_one_screen(self, ctx: Any) -> str:
        """Usage, what it does in a paragraph, its own options in a clause each, and the names of all others."""
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
        """Write every option, in its section."""
        for section, records in self._sections(ctx).items():
            with formatter.section(section):
                formatter.write_dl(records)

    def _sections(self, ctx: Any) -> Mapping[str, list[tuple[str, str]]]:
        """What each option or argument is called and says, by section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for each in self.get_params(ctx):
            is_argument = each.param_type_name == "argument"
            section = OWN[0] if is_argument else getattr(each, "rich_help_panel", None) or OWN[1]
            record = (f"{SHORT}, {LONG}", HELP) if each.name == "help" else each.get_help_record(ctx)
            if record:
                sections.setdefault(section, []).append(record)
        return dict(sorted(sections.items(), key=lambda each: each[0] == OUTPUT))  # that last


def _clause(text: str) -> str:
    """The first clause of a help text, with its default."""
    said, bracket, default = text.partition("  [")
    return said.partition("; ")[0] + bracket + default


class GroupedCommands(TyperGroup):
    """The commands in groups, as `groups` names them; each command belongs to one."""

    groups: ClassVar[Mapping[str, Iterable[str]]] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what stands before a command; its help fits one screen as it is."""
        return super().parse_args(ctx, [LONG if each == SHORT else each for each in args[:1]] + args[1:])

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  (so typer calls it)
        """Write each group with its commands."""
        width = max(map(len, self.commands))
        for group, names in self.groups.items():
            with formatter.section(group):
                rows = [(name.ljust(width), self.commands[name].get_short_help_str(WIDTH)) for name in names]
                formatter.write_dl(rows)
