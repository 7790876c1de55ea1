//! Rows for people: with borders on a terminal, as aligned columns in a pipe, or as Markdown. Cells are made
//! harmless here, so that no caller can forget it.

use comfy_table::{ColumnConstraint, ContentArrangement, Width, presets};

use super::text::one_line;

/// Rows under headings.
#[derive(Clone, Debug, Default)]
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// How a table is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With borders, its cells wrapped to the terminal's width.
    Bordered,
    /// Columns two spaces apart; nothing is wrapped or left out.
    Plain,
    /// A table of Markdown.
    Markdown,
}

impl Table {
    /// Without rows yet.
    pub fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Self {
        Table { headings: headings.into_iter().map(one_line).collect(), rows: Vec::new() }
    }

    /// One more row, a cell per heading.
    pub fn row<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        self.rows.push(cells.into_iter().map(one_line).collect());
    }

    /// Whether there is nothing under the headings.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table's lines, each with its line break.
    pub fn draw(&self, form: Form) -> String {
        let mut table = comfy_table::Table::new();
        match form {
            Form::Bordered => {
                table.load_style(presets::UTF8_FULL_CONDENSED);
                table.set_content_arrangement(ContentArrangement::Dynamic);
                if let Some(width) = terminal_width() {
                    table.set_width(width);
                }
            }
            Form::Plain => {
                table.load_style(presets::NOTHING);
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
            Form::Markdown => {
                table.load_style(presets::ASCII_MARKDOWN);
                table.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        let escaped = |cell: &String| match form {
            Form::Markdown => cell.replace('\\', "\\\\").replace('|', "\\|"),
            Form::Bordered | Form::Plain => cell.clone(),
        };
        table.set_header(self.headings.iter().map(escaped));
        for row in &self.rows {
            table.add_row(row.iter().map(escaped));
        }
        if form == Form::Plain {
            for column in table.column_iter_mut() {
                column.set_padding((0, 2));
            }
        }
        lines(&table)
    }

    /// At most `width` characters wide, a line per row, without headings: `shares` is each column's part of
    /// the width, and what does not fit is cut.
    pub fn draw_within(&self, width: u16, shares: &[ColumnWidth]) -> Vec<String> {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_truncation_indicator("…");
        for row in &self.rows {
            let mut cells = comfy_table::Row::from(row.iter());
            cells.max_height(1);
            table.add_row(cells);
        }
        let fixed: u16 = shares.iter().map(|share| share.fixed() + 1).sum();
        let flexible = u16::try_from(shares.iter().filter(|share| **share == ColumnWidth::Rest).count()).unwrap_or(1);
        let rest = width.saturating_sub(fixed) / flexible.max(1);
        for (column, share) in table.column_iter_mut().zip(shares) {
            let content = if *share == ColumnWidth::Rest { rest.max(1) } else { share.fixed() };
            column.set_padding((0, 1));
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(content + 1)));
        }
        lines(&table).lines().map(str::to_owned).collect()
    }
}

/// How wide a column of [`Table::draw_within`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnWidth {
    /// So many characters.
    Fixed(u16),
    /// What the others leave.
    Rest,
}

impl ColumnWidth {
    fn fixed(self) -> u16 {
        match self {
            ColumnWidth::Fixed(width) => width,
            ColumnWidth::Rest => 0,
        }
    }
}

/// The terminal's width in characters; none where standard output is no terminal.
pub fn terminal_width() -> Option<u16> {
    let table = comfy_table::Table::new();
    // One that does not say how wide it is says 0.
    table.is_tty().then(|| table.width()).flatten().map(|width| if width == 0 { 80 } else { width })
}

fn lines(table: &comfy_table::Table) -> String {
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["flow", "state"]);
        table.row(["a", "enabled"]);
        table.row(["b|c", "dis\u{1b}abled"]);
        table
    }

    #[test]
    fn plain_columns_are_aligned_and_markdown_is_escaped() {
        assert_eq!(table().draw(Form::Plain), "flow  state\na     enabled\nb|c   dis abled\n");
        let markdown = table().draw(Form::Markdown);
        assert!(markdown.contains("| b\\|c | dis abled |"), "{markdown}");
        assert!(markdown.contains("|------|"), "{markdown}");
    }

    #[test]
    fn a_bordered_table_has_a_border_and_every_cell() {
        let bordered = table().draw(Form::Bordered);
        assert!(bordered.starts_with('┌'), "{bordered}");
        assert!(bordered.contains("enabled"), "{bordered}");
    }

    #[test]
    fn a_narrow_table_keeps_a_line_per_row_within_its_width() {
        let mut table = Table::new(["state", "text"]);
        table.row(["sent", "日本語日本語日本語日本語 and a good deal more than fits"]);
        table.row(["sent", "short"]);
        let drawn = table.draw_within(24, &[ColumnWidth::Fixed(6), ColumnWidth::Rest]);
        assert_eq!(drawn.len(), 2, "{drawn:#?}");
        assert!(drawn.iter().all(|line| line.chars().count() <= 24), "{drawn:#?}");
        assert!(drawn[0].contains('…') && !drawn[0].contains("fits"), "{drawn:#?}");
        assert!(drawn[1].contains("short"), "{drawn:#?}");
    }
}
