//! Rates as people write them.

use std::str::FromStr;

/// A rate in bits per second: `50mbit`, `1.5Gbit/s`, `800 kbit` or plain bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bits per second.
    pub bits_per_second: u64,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = || format!("'{text}' is no rate; write for example 50mbit, 1.5gbit or 800kbit");
        let lower = text.to_ascii_lowercase();
        let lower = lower.trim().trim_end_matches("/s").trim_end_matches("ps");
        let split = lower.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(lower.len());
        let (number, unit) = lower.split_at(split);
        let factor = match unit.trim() {
            "" | "bit" | "b" => 1.0,
            "kbit" | "kb" | "k" => 1e3,
            "mbit" | "mb" | "m" => 1e6,
            "gbit" | "gb" | "g" => 1e9,
            _ => return Err(help()),
        };
        let bits = number.parse::<f64>().map_err(|_| help())? * factor;
        if bits.is_finite() && (1.0..=1e15).contains(&bits) {
            Ok(Self { bits_per_second: bits as u64 })
        } else {
            Err(help())
        }
    }
}

/// A rate as people read it.
pub fn show(bits_per_second: u64) -> String {
    let value = bits_per_second as f64;
    match bits_per_second {
        0..1_000_000 => format!("{:.1} kbit/s", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} Mbit/s", value / 1e6),
        _ => format!("{:.2} Gbit/s", value / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        let bits = |text: &str| text.parse::<Rate>().unwrap().bits_per_second;
        assert_eq!(bits("50mbit"), 50_000_000);
        assert_eq!(bits("1.5 Gbit/s"), 1_500_000_000);
        assert_eq!(bits("800kbps"), 800_000);
        assert_eq!(bits("1000"), 1_000);
    }

    #[test]
    fn what_is_no_rate_is_refused_with_an_example() {
        for text in ["", "fast", "0mbit", "-5mbit", "5 parsecs", "1e99gbit", "1..2mbit"] {
            assert!(text.parse::<Rate>().unwrap_err().contains("50mbit"), "{text}");
        }
    }
}
