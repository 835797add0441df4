//! Which of several works to search.

use crate::protocol::Work;

/// The place of the work that is worth most: of those of the greatest height the one whose target is met the soonest, and of equal ones the
/// first.
///
/// Work below the greatest height is of a node that has not heard of the last block, and would be stale.
pub fn best(works: &[Option<Work>]) -> Option<usize> {
    let known = works.iter().enumerate().filter_map(|(place, work)| work.map(|work| (place, work)));
    known.max_by_key(|(place, work)| (work.height, work.target, std::cmp::Reverse(*place))).map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Hex32, VERSION};
    use proptest::prelude::*;

    fn work(height: u32, target: u8) -> Option<Work> {
        let (preimage, target, parent) = (Hex32([0; 32]), Hex32([target; 32]), Hex32([0; 32]));
        Some(Work { version: VERSION, preimage, target, height, parent })
    }

    #[test]
    fn the_easiest_of_the_highest_is_searched_and_the_first_of_equal_ones() {
        assert_eq!(best(&[]), None);
        assert_eq!(best(&[None, None]), None);
        assert_eq!(best(&[work(5, 9), work(6, 1)]), Some(1), "who lags behind gives stale work");
        assert_eq!(best(&[work(6, 1), None, work(6, 2)]), Some(2));
        assert_eq!(best(&[None, work(6, 2), work(6, 2)]), Some(1));
    }

    proptest! {
        #[test]
        fn no_other_work_of_the_same_height_is_easier(works in proptest::collection::vec(
            proptest::option::of((0u32..4, 0u8..4)), 0..8,
        )) {
            let works: Vec<_> = works.into_iter().map(|it| it.and_then(|(height, target)| work(height, target))).collect();
            let chosen = best(&works).and_then(|place| works[place]);
            prop_assert_eq!(chosen.is_some(), works.iter().any(Option::is_some));
            for other in works.iter().flatten() {
                let chosen = chosen.unwrap();
                prop_assert!((other.height, other.target) <= (chosen.height, chosen.target));
            }
        }
    }
}
