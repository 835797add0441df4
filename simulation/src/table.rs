//! A table of numbers: printed for people, written as CSV for programs.

use std::{fmt::Write, fs, io, path::Path};

/// Rows under names.
pub struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Writes it as CSV.
    pub fn write(&self, folder: &Path, name: &str) -> io::Result<()> {
        let mut csv = self.columns.join(",") + "\n";
        for row in &self.rows {
            csv += &(row.join(",") + "\n");
        }
        fs::write(folder.join(format!("{name}.csv")), csv)
    }

    /// Writes it as CSV, and prints it.
    pub fn save(&self, folder: &Path, name: &str) -> io::Result<()> {
        self.write(folder, name)?;
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].len()).chain([self.columns[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.columns.len()).map(width).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            cells.zip(&widths).fold(String::new(), |mut line, (cell, width)| {
                let _ = write!(line, "{cell:>width$}  ");
                line
            })
        };
        println!("\n{name}\n{}", line(&mut self.columns.iter().copied()));
        for row in &self.rows {
            println!("{}", line(&mut row.iter().map(String::as_str)));
        }
        Ok(())
    }
}

/// With a number of decimals.
pub fn decimals(value: f64, places: usize) -> String {
    format!("{value:.places$}")
}
