//! Points where a test can make a node fail or misbehave. Without the feature `fail-points`, which nothing that ships is
//! built with, there is no way to set one, and passing one does nothing.

/// Where a process can be made to end, as a power cut would end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A block was executed; nothing of it was written.
    BeforeImport,
    /// A block was written, with its weight; nobody was told.
    AfterImport,
    /// What is to be finalized is known; nothing of that was written.
    BeforeFinality,
    /// Something was finalized; the best block was not moved for it.
    AfterFinality,
}

#[cfg(feature = "fail-points")]
pub use on::{dates_ahead, set, FailPoint};

#[cfg(feature = "fail-points")]
pub(crate) use on::pass;

#[cfg(not(feature = "fail-points"))]
pub use off::dates_ahead;

#[cfg(not(feature = "fail-points"))]
pub(crate) use off::pass;

#[cfg(not(feature = "fail-points"))]
mod off {
    use super::Point;

    /// Ends the process if this is the point where it is to end: never.
    #[inline(always)]
    pub(crate) const fn pass(_: Point, _: u64) {}

    /// Whether the miner dates each block as far ahead as the rules let it: never.
    #[inline(always)]
    pub const fn dates_ahead() -> bool {
        false
    }
}

#[cfg(feature = "fail-points")]
mod on {
    use super::Point;
    use std::{
        str::FromStr,
        sync::{
            atomic::{AtomicBool, Ordering},
            OnceLock,
        },
    };

    const POINTS: [(&str, Point); 4] = [
        ("before-import", Point::BeforeImport),
        ("after-import", Point::AfterImport),
        ("before-finality", Point::BeforeFinality),
        ("after-finality", Point::AfterFinality),
    ];
    const DATE_AHEAD: &str = "date-ahead";

    static END_AT: OnceLock<(Point, u64)> = OnceLock::new();
    static DATES_AHEAD: AtomicBool = AtomicBool::new(false);

    /// What a test makes this process do.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum FailPoint {
        /// End, without warning, at a point, as soon as it comes there at a height or above.
        EndAt(Point, u64),
        /// Date each block that it mines as far ahead as the rules let it.
        DateAhead,
    }

    impl FromStr for FailPoint {
        type Err = String;

        fn from_str(text: &str) -> Result<Self, String> {
            if text == DATE_AHEAD {
                return Ok(Self::DateAhead);
            }
            let points = POINTS.map(|(name, _)| name).join(", ");
            let (name, height) = text
                .split_once('@')
                .ok_or_else(|| format!("expected {DATE_AHEAD}, or POINT@HEIGHT with one of the points {points}"))?;
            let (_, point) = POINTS
                .into_iter()
                .find(|(known, _)| *known == name)
                .ok_or_else(|| format!("the point must be one of {points}"))?;
            Ok(Self::EndAt(point, height.parse().map_err(|_| "the height must be a number")?))
        }
    }

    /// Sets a fail point of this process. Of points where it ends, only the first one counts.
    pub fn set(fail_point: FailPoint) {
        match fail_point {
            FailPoint::EndAt(point, height) => {
                let _ = END_AT.set((point, height));
            },
            FailPoint::DateAhead => DATES_AHEAD.store(true, Ordering::Relaxed),
        }
    }

    /// Ends the process if this is the point where it is to end.
    pub(crate) fn pass(point: Point, height: u64) {
        if END_AT.get().is_some_and(|(end, earliest)| *end == point && height >= *earliest) {
            // No destructors, no flushing.
            std::process::abort();
        }
    }

    /// Whether the miner dates each block as far ahead as the rules let it.
    pub fn dates_ahead() -> bool {
        DATES_AHEAD.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_fail_point_is_read_from_its_name_alone() {
            assert_eq!("date-ahead".parse(), Ok(FailPoint::DateAhead));
            for (name, point) in POINTS {
                assert_eq!(format!("{name}@12").parse(), Ok(FailPoint::EndAt(point, 12)));
            }
            for wrong in ["", "before-import", "before-import@", "before-import@-1", "sometime@3", "date-ahead@3"] {
                assert!(wrong.parse::<FailPoint>().is_err(), "{wrong}");
            }
        }
    }
}
