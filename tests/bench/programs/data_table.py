"""What one would write with Textual's own table: 30 rows of the same columns, widths and colours."""

from rich.text import Text
from textual.app import App, ComposeResult
from textual.widgets import DataTable, Footer, Header

COLUMNS = (
    ("NAME", 33),
    ("ACCOUNT", 7),
    ("STATUS", 13),
    ("PROGRESS", 30),
    ("FAILED", 6),
    ("AGE", 4),
    ("LEFT", 4),
)


class Table(App[None]):
    def compose(self) -> ComposeResult:
        yield Header()
        yield DataTable(cursor_type="row")
        yield Footer()

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        for name, width in COLUMNS:
            table.add_column(name, width=width)
        for number in range(30):
            progress = Text.assemble(("━" * 9, "green"), ("━" * 7, "grey37"), " 6,214/10,000")
            table.add_row(
                Text(f"nightly-eval-{number:02}", "bold"),
                Text("openai", "grey58"),
                Text("● running", "green"),
                progress,
                Text("12", "red", justify="right"),
                Text("2h", "grey58", justify="right"),
                Text("~41m", "grey58", justify="right"),
            )
        table.focus()


if __name__ == "__main__":
    Table().run()
