//! Figures: what a benchmark measured, one line each, and whether its goal was met.
//!
//! ```text
//! figure NAME VALUE UNIT [goal >= VALUE]
//! ```
//!
//! Goals are ratios or errors, never absolute times: a benchmark runs on whatever machine there is. What is compared is
//! measured in turns within one run, and the medians count.

use std::process::ExitCode;

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// No goal: it is there to be read.
    None,
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

/// Prints figures, and remembers the goals that were missed.
#[derive(Debug)]
pub struct Figures {
    is_check: bool,
    missed: Vec<String>,
}

impl Figures {
    /// From the command line: with `--check`, a missed goal is a failure.
    pub fn from_arguments() -> Self {
        Self { is_check: std::env::args().any(|argument| argument == "--check"), missed: Vec::new() }
    }

    /// Prints a figure.
    pub fn print(&mut self, name: &str, value: f64, unit: &str, goal: Goal) {
        let (goal, is_met) = match goal {
            Goal::None => (String::new(), true),
            Goal::AtLeast(least) => (format!(" goal >= {least}"), value >= least),
            Goal::AtMost(most) => (format!(" goal <= {most}"), value <= most),
        };
        println!("figure {name} {} {unit}{goal}", rounded(value));
        if !is_met {
            self.missed.push(name.to_string());
        }
    }

    /// What the process ends with.
    pub fn finish(self) -> ExitCode {
        if self.missed.is_empty() {
            return ExitCode::SUCCESS;
        }
        eprintln!("missed: {}", self.missed.join(", "));
        ExitCode::from(u8::from(self.is_check))
    }
}

/// With three digits that count, or as a whole number if it has more.
fn rounded(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let magnitude = value.abs().log10().floor().max(-6.0);
    let decimals = (2.0 - magnitude).clamp(0.0, 8.0);
    format!("{value:.*}", decimals as usize)
}

/// The parts of a benchmark that the command line names, in their order; all of them if it names none.
///
/// # Errors
///
/// Names what is none of them.
pub fn parts(names: &[&'static str]) -> Result<Vec<&'static str>, String> {
    chosen(names, std::env::args().skip(1))
}

fn chosen(names: &[&'static str], mut arguments: impl Iterator<Item = String>) -> Result<Vec<&'static str>, String> {
    let mut chosen = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Of another benchmark, with its value.
            "--runs" => drop(arguments.next()),
            option if option.starts_with("--") => (),
            part if names.contains(&part) => chosen.push(argument),
            part => return Err(format!("unknown part '{part}'; there are {}", names.join(", "))),
        }
    }
    let is_chosen = |name: &&str| chosen.is_empty() || chosen.iter().any(|part| part == name);
    Ok(names.iter().copied().filter(is_chosen).collect())
}

/// The median of some measurements; of an even number, the mean of the two in the middle.
///
/// # Panics
///
/// If there are none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_value_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn parts_come_in_their_order_and_an_unknown_one_is_refused() {
        let chosen = |arguments: &[&str]| chosen(&["a", "b", "c"], arguments.iter().map(ToString::to_string));
        assert_eq!(chosen(&["--check", "c", "a", "--runs", "5", "--bench"]), Ok(vec!["a", "c"]));
        assert_eq!(chosen(&["--bench"]), Ok(vec!["a", "b", "c"]));
        assert!(chosen(&["d"]).is_err());
    }

    #[test]
    fn three_digits_count() {
        assert_eq!(rounded(9.4567), "9.46");
        assert_eq!(rounded(0.012345), "0.0123");
        assert_eq!(rounded(12_345.6), "12346");
        assert_eq!(rounded(0.0), "0");
    }

    #[test]
    fn a_missed_goal_fails_a_check_and_nothing_else() {
        for (is_check, code) in [(true, ExitCode::FAILURE), (false, ExitCode::SUCCESS)] {
            let mut figures = Figures { is_check, missed: Vec::new() };
            figures.print("met", 2.0, "times", Goal::AtLeast(2.0));
            figures.print("missed", 2.1, "times", Goal::AtMost(2.0));
            assert_eq!(format!("{:?}", figures.finish()), format!("{code:?}"));
        }
    }
}
