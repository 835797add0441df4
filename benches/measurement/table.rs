//! Tables that are read while they are made, and pasted into the docs as they are.

/// A table in Markdown, printed row by row.
pub struct Table {
    columns: Vec<String>,
    is_begun: bool,
}

impl Table {
    /// With the names of its columns.
    pub fn new(columns: Vec<String>) -> Self {
        Self { columns, is_begun: false }
    }

    /// Prints a row, and before the first one the names.
    pub fn print_row(&mut self, row: Vec<String>) {
        if !self.is_begun {
            println!("| {} |", self.columns.join(" | "));
            println!("|{}", " --- |".repeat(self.columns.len()));
            self.is_begun = true;
        }
        println!("| {} |", row.join(" | "));
    }
}
