//! The tables of a GTFS feed: comma-separated values as RFC 4180 has them, with each row's line.

use std::collections::BTreeMap;

use super::Problem;

/// One file.
#[derive(Debug)]
pub struct Sheet {
    pub file: &'static str,
    columns: BTreeMap<String, usize>,
    rows: Vec<(usize, Vec<String>)>,
}

/// One row of a file.
#[derive(Debug, Clone, Copy)]
pub struct Row<'s> {
    pub file: &'static str,
    /// From 1, the header's.
    pub line: usize,
    columns: &'s BTreeMap<String, usize>,
    values: &'s [String],
}

impl Sheet {
    /// A file that is not there has no rows.
    pub const fn absent(file: &'static str) -> Self {
        Self { file, columns: BTreeMap::new(), rows: Vec::new() }
    }

    pub fn parse(file: &'static str, text: &str, required: &[&str], problems: &mut Vec<Problem>) -> Self {
        let mut records = records(text.trim_start_matches('\u{feff}'));
        let (_, header) = if records.is_empty() { (1, Vec::new()) } else { records.remove(0) };
        let columns: BTreeMap<String, usize> = header.into_iter().map(|name| name.trim().to_owned()).zip(0..).collect();
        for column in required.iter().filter(|column| !columns.contains_key(**column)) {
            problems.push(Problem::new(file, 1, "missing_column", format!("there is no column {column}")));
        }
        for (line, values) in &records {
            if values.len() > columns.len() {
                let said = format!("{} values under {} columns", values.len(), columns.len());
                problems.push(Problem::new(file, *line, "row_length", said));
            }
        }
        Self { file, columns, rows: records }
    }

    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, values)| Row { file: self.file, line: *line, columns: &self.columns, values })
    }

    pub fn has(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }
}

impl<'s> Row<'s> {
    /// Empty if the column or the value is not there.
    pub fn get(&self, column: &str) -> &'s str {
        self.columns.get(column).and_then(|at| self.values.get(*at)).map_or("", |value| value.trim())
    }

    /// None if it is empty.
    pub fn some(&self, column: &str) -> Option<&'s str> {
        Some(self.get(column)).filter(|value| !value.is_empty())
    }

    pub fn problem(&self, rule: &'static str, said: impl Into<String>) -> Problem {
        Problem::new(self.file, self.line, rule, said.into())
    }
}

/// The records with the lines that they begin on; empty lines are none.
fn records(text: &str) -> Vec<(usize, Vec<String>)> {
    let (mut records, mut values, mut value) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut began, mut quoted) = (1, 1, false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => value.extend(letters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => values.push(std::mem::take(&mut value)),
            '\r' if !quoted => {}
            '\n' => {
                line += 1;
                if quoted {
                    value.push('\n');
                    continue;
                }
                if !values.is_empty() || !value.is_empty() {
                    values.push(std::mem::take(&mut value));
                    records.push((began, std::mem::take(&mut values)));
                }
                began = line;
            }
            letter => value.push(letter),
        }
    }
    if !values.is_empty() || !value.is_empty() {
        values.push(value);
        records.push((began, values));
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_commas_and_line_breaks_are_read_and_lines_counted() {
        let mut problems = Vec::new();
        let text = "\u{feff}id,name\r\n1,\"North, \"\"old\"\"\"\r\n\n2,\"two\nlines\"\n3\n4,x,y";
        let sheet = Sheet::parse("stops.txt", text, &["id", "kind"], &mut problems);
        let rows: Vec<_> = sheet.rows().map(|row| (row.line, row.get("id"), row.get("name"))).collect();
        assert_eq!(rows, [(2, "1", "North, \"old\""), (4, "2", "two\nlines"), (6, "3", ""), (7, "4", "x")]);
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "stops.txt line 1: missing_column: there is no column kind",
                "stops.txt line 7: row_length: 3 values under 2 columns",
            ]
        );
    }
}
