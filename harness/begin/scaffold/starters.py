"""Made-up example rows for each suite, for users without a table, to be replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tunegate.harness.begin.scaffold.drafts import Columns
from tunegate.harness.begin.scaffold.table import Table, TableRow


def _starter(columns: Sequence[str], *rows: Sequence[str]) -> tuple[Table, Columns]:
    found = tuple(TableRow(line, dict(zip(columns, row, strict=True))) for line, row in enumerate(rows, start=1))
    return Table(Path("example"), tuple(columns), found), Columns(columns[0], tuple(columns[1:]))


#: By suite: a table, and the roles of its columns.
STARTERS: Mapping[str, tuple[Table, Columns]] = {
    "schema": _starter(
        ("message", "team", "urgent"),
        ("You charged my card twice for October.", "billing", "false"),
        ("There is water coming through the ceiling.", "repairs", "true"),
        ("Do you also fit solar panels?", "sales", "false"),
        ("My invoice shows the old address.", "billing", "false"),
        ("The lift has stopped between two floors and I am in it.", "repairs", "true"),
        ("What would a second parking space cost?", "sales", "false"),
        ("The hinge of the garden gate squeaks.", "repairs", "false"),
        ("The bailiff comes tomorrow for a bill that I paid in May!", "billing", "true"),
        ("I need an offer by noon or my boss signs with someone else.", "sales", "true"),
        ("Why is the deposit still not back, three months on?", "billing", "false"),
        ("A window on the fifth floor hangs by one screw, over the pavement.", "repairs", "true"),
    ),
    "vocabulary": _starter(
        ("message", "term"),
        ("My parcel is with the neighbours. Who do I call?", "delivery partner"),
        ("The van driver was rude to me.", "delivery partner"),
        ("I want my money back for the broken lamp.", "refund"),
        ("You sent two lamps, I ordered one. Take one back and pay me.", "refund"),
        ("How do I get money off my next order?", "loyalty points"),
        ("My points from last year are gone.", "loyalty points"),
        ("Is there a box at the station that I can fetch it from?", "parcel locker"),
        ("The code does not open the box with my parcel.", "parcel locker"),
        ("When do you pay back what I returned on Monday?", "refund"),
        ("Does the courier ring, or just drop things in the hall?", "delivery partner"),
    ),
    "retention": _starter(
        ("question", "answer", "also"),
        ("How many minutes has an hour?", "60", "sixty"),
        ("What do bees make from nectar?", "honey", "bee honey"),
        ("Which month follows June?", "July", "Jul"),
        ("What is the opposite of cold?", "hot", "warm"),
        ("What do you call a young dog?", "puppy", "pup"),
        ("How many legs has a spider?", "8", "eight"),
        ("Which planet do we live on?", "Earth", "the Earth"),
        ("What do you need an umbrella for?", "rain", "sun"),
        ("Which metal is drawn to a magnet?", "iron", "steel"),
        ("In which season do leaves fall?", "autumn", "fall"),
        ("What do you call frozen water?", "ice", "snow"),
        ("Which animal gives us wool?", "sheep", "the sheep"),
    ),
}
