//! Amounts of WEIR, as people write them.

use std::str::FromStr;
use weir_primitives::{Balance, PLANCK_PER_WEIR};

/// The digits behind the point that a planck is.
const PLACES: usize = PLANCK_PER_WEIR.ilog10() as usize;

/// An amount in planck, read from a number of WEIR: `100`, `0.25`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(pub Balance);

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no amount of WEIR, such as 100 or 0.25");
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        if part.len() > PLACES {
            return Err(format!("'{text}' is finer than a planck, which is {PLACES} digits behind the point"));
        }
        let digits = |text: &str| -> Option<Balance> {
            (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
        };
        let whole = digits(whole).ok_or_else(wrong)?;
        let part = digits(&format!("{part:0<PLACES$}")).filter(|_| !part.is_empty()).ok_or_else(wrong)?;
        let planck = whole.checked_mul(PLANCK_PER_WEIR).and_then(|planck| planck.checked_add(part));
        planck.map(Self).ok_or_else(|| format!("'{text}' WEIR are more than there can be"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_to_the_planck_and_anything_else_is_refused() {
        assert_eq!("100".parse(), Ok(Amount(100 * PLANCK_PER_WEIR)));
        assert_eq!("0.25".parse(), Ok(Amount(PLANCK_PER_WEIR / 4)));
        assert_eq!(format!("1.{}1", "0".repeat(PLACES - 1)).parse(), Ok(Amount(PLANCK_PER_WEIR + 1)));
        for wrong in ["", ".", "1.", ".5", "-1", "1e3", "1,5", "1 000", "1.2.3", "+1"] {
            assert!(wrong.parse::<Amount>().is_err(), "{wrong}");
        }
        assert!(format!("1.{}1", "0".repeat(PLACES)).parse::<Amount>().is_err());
        assert!(u128::MAX.to_string().parse::<Amount>().is_err());
    }
}
