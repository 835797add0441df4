//! The pages of `docs/reference/`: parameters, metrics, RPC methods and command lines, as the code has them, so that no other
//! page has to repeat them.
//!
//! `scripts/reference` writes them; a test fails when a committed page is no longer what the code says.

mod command_lines;
mod metrics;
mod parameters;
mod rpc;
mod source;

use crate::Result;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A page of the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The name of the page's file.
    file: &'static str,
    /// The whole text of the page.
    text: String,
}

impl Page {
    fn new(file: &'static str, title: &str, introduction: &str, body: &str) -> Self {
        let text = format!(
            "<!-- Written by scripts/reference. Changes by hand are lost. -->\n\n# {title}\n\n{introduction}\n\n{}\n",
            body.trim_end()
        );
        Self { file, text }
    }

    /// Where the page is, from the root of the repository.
    pub fn name(&self) -> String {
        format!("docs/reference/{}", self.file)
    }

    /// Whether the file of the page is missing or has another text.
    pub fn is_stale(&self) -> bool {
        fs::read_to_string(self.path()).map_or(true, |committed| committed != self.text)
    }

    /// Writes the page to its file.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self) -> Result<()> {
        let path = self.path();
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        Ok(fs::write(path, &self.text)?)
    }

    fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(self.name())
    }
}

/// All pages, from the sources that this program was compiled with and from the binaries beside it.
///
/// # Errors
///
/// When a binary was not built or does not answer, or something has no place on its page.
pub async fn pages() -> Result<Vec<Page>> {
    Ok(vec![parameters::page()?, metrics::page()?, rpc::page().await?, command_lines::page()?])
}

/// A table of Markdown.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: Vec<String>| {
        let cells: Vec<String> = cells.into_iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(head.iter().map(ToString::to_string).collect());
    text += &line(vec!["---".into(); head.len()]);
    text.extend(rows.into_iter().map(line));
    text
}
