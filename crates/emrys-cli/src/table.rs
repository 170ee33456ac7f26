//! Tables for people.

/// Rows under headings, as aligned text or as Markdown.
pub(crate) struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: impl IntoIterator<Item = impl Into<String>>) -> Table {
        Table {
            headings: headings.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, with a cell for each heading.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Leaves out columns without any entry.
    pub(crate) fn without_empty_columns(mut self) -> Table {
        let filled: Vec<bool> = (0..self.headings.len())
            .map(|column| self.rows.iter().any(|row| !row[column].is_empty()))
            .collect();
        let keep = |cells: &mut Vec<String>| {
            let mut column = filled.iter();
            cells.retain(|_| column.next().copied().unwrap_or(true));
        };
        keep(&mut self.headings);
        self.rows.iter_mut().for_each(keep);
        self
    }

    /// Aligned columns, each line beginning with `indent`.
    pub(crate) fn text(&self, indent: &str) -> String {
        let all = || std::iter::once(&self.headings).chain(&self.rows);
        let widths: Vec<usize> = (0..self.headings.len())
            .map(|column| {
                let lengths = all().map(|row| printable(&row[column]).chars().count());
                lengths.max().unwrap_or(0)
            })
            .collect();
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let mut lines: Vec<&Vec<String>> = all().collect();
        lines.insert(1, &rule);
        lines
            .into_iter()
            .map(|row| {
                let cells: Vec<String> = row
                    .iter()
                    .zip(&widths)
                    .map(|(cell, width)| format!("{:width$}", printable(cell)))
                    .collect();
                let line = format!("{indent}{}", cells.join("  "));
                format!("{}\n", line.trim_end())
            })
            .collect()
    }

    /// A table of Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells
                .iter()
                .map(|c| printable(c).replace('|', "\\|"))
                .collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule: Vec<String> = self.headings.iter().map(|_| "---".to_owned()).collect();
        let rows = self.rows.iter().map(|row| line(row));
        [line(&self.headings), line(&rule)]
            .into_iter()
            .chain(rows)
            .collect()
    }
}

/// Control characters escaped, so that a value cannot break the table.
fn printable(cell: &str) -> String {
    let mut shown = String::with_capacity(cell.len());
    for char in cell.chars() {
        match char.is_control() {
            true => shown.extend(char.escape_default()),
            false => shown.push(char),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["name", "empty", "size"]);
        table.row(["a|b", "", "1"]);
        table.row(["größe\n", "", "20"]);
        table.without_empty_columns()
    }

    #[test]
    fn cells_are_aligned_and_cannot_break_lines() {
        insta::assert_snapshot!(table().text("  "), @r"
          name     size
          -------  ----
          a|b      1
          größe\n  20
        ");
    }

    #[test]
    fn markdown_escapes_its_own_signs() {
        insta::assert_snapshot!(table().markdown(), @r"
        | name | size |
        | --- | --- |
        | a\|b | 1 |
        | größe\n | 20 |
        ");
    }
}
