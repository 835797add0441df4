//! Ends the process at a named point, as a power cut would, for tests that start it again on what is left.

use std::sync::OnceLock;

/// Where a process can be made to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A block was executed; nothing of it was written.
    BeforeImport,
    /// A block was written, with its weight; nothing was finalized for it.
    AfterImport,
    /// What is to be finalized is known; nothing of that was written.
    BeforeFinality,
    /// Something was finalized; nobody was told.
    AfterFinality,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::BeforeImport, Self::AfterImport, Self::BeforeFinality, Self::AfterFinality];

    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeImport => "before-import",
            Self::AfterImport => "after-import",
            Self::BeforeFinality => "before-finality",
            Self::AfterFinality => "after-finality",
        }
    }
}

/// Where this process ends, and at which height at the earliest.
static END_AT: OnceLock<(Point, u64)> = OnceLock::new();

/// Makes this process end when it comes to a point at a height, or higher. Only the first call counts.
pub fn end_at(point: Point, height: u64) {
    let _ = END_AT.set((point, height));
}

/// Ends the process if this is the point where it is to end.
pub(crate) fn pass(point: Point, height: u64) {
    if END_AT.get().is_some_and(|(end, earliest)| *end == point && height >= *earliest) {
        // No destructors, no flushing.
        std::process::abort();
    }
}

/// Whether this node's miner dates each template as far ahead as may be.
pub(crate) fn dates_ahead() -> bool {
    false
}
