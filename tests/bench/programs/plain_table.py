"""Textual's own table at its simplest: 30 rows of plain text, a row cursor."""

from textual.app import App, ComposeResult
from textual.widgets import DataTable, Footer, Header


class Table(App[None]):
    def compose(self) -> ComposeResult:
        yield Header()
        yield DataTable(cursor_type="row")
        yield Footer()

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns("NAME", "ACCOUNT", "STATUS", "PROGRESS", "FAILED", "AGE", "LEFT")
        for number in range(30):
            table.add_row(
                f"nightly-eval-{number:02}", "openai", "● running", "6,214/10,000", "12", "2h", "~41m"
            )
        table.focus()


if __name__ == "__main__":
    Table().run()
