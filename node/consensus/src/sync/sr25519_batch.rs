//! Many sr25519 signatures checked together, in about half the time that they take one by one.
//!
//! A batch passes exactly when each of its signatures passes alone, but for a chance of 2^-128: Ristretto has no cofactor, both
//! ways refuse encodings that are not canonical, and the factors that the signatures are weighed with in the sum are random.

use schnorrkel::{context::SigningTranscript, PublicKey, Signature};
use sp_core::sr25519;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The context that `sp_core` signs in.
const SIGNING_CONTEXT: &[u8] = b"substrate";

/// How many signatures are checked together while senders are honest.
const MOST_TOGETHER: usize = 128;
/// How many are checked together after a wrong one: a batch that fails is lost, and with these one wrong signature among 256
/// spoils an eighth of the work.
pub const TOGETHER: usize = 32;
/// After so many right ones in a row senders are honest again.
const RIGHT_AGAIN: usize = 512;
/// In so few, the wrong one is found faster one by one.
const SINGLY: usize = 4;
/// After so many wrong ones in a batch, the rest of it is checked one by one: what a sender of nothing but wrong signatures
/// makes us do is bounded by twice the time that they take one by one.
const MOST_SOUGHT: usize = 2;

/// How many were right in a row, of all that this process has checked together. It decides how many are checked together next,
/// and so how long that takes; never what comes out.
static RIGHT_IN_A_ROW: AtomicUsize = AtomicUsize::new(RIGHT_AGAIN);

/// A signature: over what, and by whom it should be.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// What was signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a sr25519::Signature,
    /// Whose it should be.
    pub signer: &'a sr25519::Public,
}

/// Whether each of some signatures is right, in their order. Wrong ones are found by bisection.
pub fn verify_each(signed: &[Signed<'_>]) -> Vec<bool> {
    let by_signer = by_signer(signed);
    let mut results = Vec::with_capacity(signed.len());
    let mut rest = by_signer.as_slice();
    while !rest.is_empty() {
        let are_honest = RIGHT_IN_A_ROW.load(Ordering::Relaxed) >= RIGHT_AGAIN;
        let together = if are_honest { MOST_TOGETHER } else { TOGETHER };
        let (signed, later) = rest.split_at(together.min(rest.len()));
        rest = later;

        let readable = read(signed.iter().map(|(_, signed)| *signed));
        let mut right = vec![false; readable.signatures.len()];
        readable.batch().find(&mut right);
        let mut right = right.into_iter();
        let mut verdict = |is_readable: &bool| *is_readable && right.next().unwrap_or(false);
        let verdicts: Vec<bool> = readable.which.iter().map(&mut verdict).collect();
        if verdicts.iter().all(|is_right| *is_right) {
            RIGHT_IN_A_ROW.fetch_add(signed.len(), Ordering::Relaxed);
        } else {
            RIGHT_IN_A_ROW.store(0, Ordering::Relaxed);
        }
        results.extend(signed.iter().map(|(index, _)| *index).zip(verdicts));
    }
    results.sort_unstable();
    results.into_iter().map(|(_, is_right)| is_right).collect()
}

/// Whether all of some signatures are right. Which one is not is not looked for.
pub fn verify_all(signed: &[Signed<'_>]) -> bool {
    let readable = read(by_signer(signed).into_iter().map(|(_, signed)| signed));
    readable.which.iter().all(|is_readable| *is_readable) && readable.batch().is_right()
}

/// Some signatures with their places, those of one signer next to each other: then its key is weighed once.
fn by_signer<'b>(signed: &[Signed<'b>]) -> Vec<(usize, Signed<'b>)> {
    let mut sorted: Vec<_> = signed.iter().copied().enumerate().collect();
    sorted.sort_by_key(|(_, signed)| signed.signer);
    sorted
}

/// Of some signatures those that are well-formed, with their keys; and which they are.
struct Readable<T> {
    which: Vec<bool>,
    transcripts: Vec<T>,
    signatures: Vec<Signature>,
    signers: Vec<PublicKey>,
}

fn read<'a>(signed: impl Iterator<Item = Signed<'a>>) -> Readable<impl SigningTranscript + Clone> {
    let context = schnorrkel::signing_context(SIGNING_CONTEXT);
    let mut readable = Readable { which: vec![], transcripts: vec![], signatures: vec![], signers: vec![] };
    let mut last: Option<(&sr25519::Public, Option<PublicKey>)> = None;
    for signed in signed {
        let signer = match last {
            Some((bytes, key)) if bytes == signed.signer => key,
            _ => PublicKey::from_bytes(signed.signer.as_ref()).ok(),
        };
        last = Some((signed.signer, signer));
        let signature = Signature::from_bytes(signed.signature.as_ref()).ok();
        readable.which.push(signer.is_some() && signature.is_some());
        if let (Some(signer), Some(signature)) = (signer, signature) {
            readable.transcripts.push(context.bytes(signed.message));
            readable.signatures.push(signature);
            readable.signers.push(signer);
        }
    }
    readable
}

impl<T: SigningTranscript + Clone> Readable<T> {
    fn batch(&self) -> Batch<'_, T> {
        Batch { transcripts: &self.transcripts, signatures: &self.signatures, signers: &self.signers }
    }
}

/// Signatures that are checked together. The three slices are equally long.
struct Batch<'a, T> {
    transcripts: &'a [T],
    signatures: &'a [Signature],
    signers: &'a [PublicKey],
}

impl<T: SigningTranscript + Clone> Batch<'_, T> {
    /// Whether all are right.
    fn is_right(&self) -> bool {
        self.signatures.is_empty()
            || schnorrkel::verify_batch(self.transcripts.iter().cloned(), self.signatures, self.signers, true).is_ok()
    }

    /// Writes down which are right.
    fn find(&self, right: &mut [bool]) {
        if self.signatures.len() <= TOGETHER {
            return self.search(right, false, &mut 0);
        }
        if self.is_right() {
            return right.fill(true);
        }
        let (mut rest, mut rest_right) = (self.split_at(0).1, right);
        while !rest.signatures.is_empty() {
            let size = TOGETHER.min(rest.signatures.len());
            let (piece, later) = rest.split_at(size);
            let (piece_right, later_right) = rest_right.split_at_mut(size);
            piece.search(piece_right, false, &mut 0);
            (rest, rest_right) = (later, later_right);
        }
    }

    /// Writes down which are right. `is_one_wrong` says that not all of them are; `found` counts the wrong ones.
    fn search(&self, right: &mut [bool], is_one_wrong: bool, found: &mut usize) {
        if self.signatures.len() <= SINGLY || *found >= MOST_SOUGHT {
            return self.check_singly(right, found);
        }
        if !is_one_wrong && self.is_right() {
            return right.fill(true);
        }
        let middle = self.signatures.len() / 2;
        let (left, right_half) = self.split_at(middle);
        let (left_results, right_results) = right.split_at_mut(middle);
        left.search(left_results, false, found);
        // If all on the left are right, a wrong one is on the right.
        right_half.search(right_results, left_results.iter().all(|is_right| *is_right), found);
    }

    fn check_singly(&self, right: &mut [bool], found: &mut usize) {
        let signed = self.transcripts.iter().zip(self.signatures).zip(self.signers);
        for (((transcript, signature), signer), right) in signed.zip(right) {
            *right = signer.verify(transcript.clone(), signature).is_ok();
            *found = found.saturating_add(usize::from(!*right));
        }
    }

    fn split_at(&self, middle: usize) -> (Self, Self) {
        let (transcripts, signatures, signers) =
            (self.transcripts.split_at(middle), self.signatures.split_at(middle), self.signers.split_at(middle));
        (
            Self { transcripts: transcripts.0, signatures: signatures.0, signers: signers.0 },
            Self { transcripts: transcripts.1, signatures: signatures.1, signers: signers.1 },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sp_core::Pair;

    /// What is done to a signature.
    #[derive(Clone, Copy, Debug)]
    enum Forgery {
        None,
        OtherMessage,
        OtherSigner,
        FlippedBit(usize),
        NoPoint,
        ScalarTooLarge,
    }

    struct Owned {
        message: Vec<u8>,
        signature: sr25519::Signature,
        signer: sr25519::Public,
    }

    fn signed(index: usize, forgery: Forgery) -> Owned {
        let pair = |index: usize| sr25519::Pair::from_seed(&[(index % 3) as u8 + 1; 32]);
        let message = format!("message {index}").into_bytes();
        let signature = pair(index).sign(&message);
        let mut signed = Owned { signature, signer: pair(index).public(), message };
        match forgery {
            Forgery::None => (),
            Forgery::OtherMessage => signed.message.push(0),
            Forgery::OtherSigner => signed.signer = pair(index + 1).public(),
            Forgery::FlippedBit(bit) => signed.signature.0[bit / 8 % 64] ^= 1 << (bit % 8),
            Forgery::NoPoint => signed.signature.0[..32].fill(0xff),
            Forgery::ScalarTooLarge => signed.signature.0[32..].fill(0xff),
        }
        signed
    }

    fn borrowed(owned: &[Owned]) -> Vec<Signed<'_>> {
        owned.iter().map(|Owned { message, signature, signer }| Signed { message, signature, signer }).collect()
    }

    fn alone(signed: &Signed<'_>) -> bool {
        sr25519::Pair::verify(signed.signature, signed.message, signed.signer)
    }

    fn any_forgery() -> impl Strategy<Value = Forgery> {
        prop_oneof![
            20 => Just(Forgery::None),
            1 => Just(Forgery::OtherMessage),
            1 => Just(Forgery::OtherSigner),
            1 => (0usize..512).prop_map(Forgery::FlippedBit),
            1 => Just(Forgery::NoPoint),
            1 => Just(Forgery::ScalarTooLarge),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn each_signature_in_a_batch_gets_the_result_that_it_gets_alone(
            forgeries in proptest::collection::vec(any_forgery(), 0..80),
        ) {
            let owned: Vec<_> = forgeries.iter().enumerate().map(|(index, forgery)| signed(index, *forgery)).collect();
            let signed = borrowed(&owned);
            let each: Vec<bool> = signed.iter().map(alone).collect();
            prop_assert_eq!(verify_all(&signed), each.iter().all(|is_right| *is_right));
            prop_assert_eq!(verify_each(&signed), each);
        }
    }

    #[test]
    fn one_wrong_signature_is_found_wherever_it_stands() {
        for together in [TOGETHER, MOST_TOGETHER] {
            for wrong in 0..together {
                let forgery = |index| if index == wrong { Forgery::OtherMessage } else { Forgery::None };
                let owned: Vec<_> = (0..together).map(|index| signed(index, forgery(index))).collect();
                let expected: Vec<bool> = (0..together).map(|index| index != wrong).collect();
                RIGHT_IN_A_ROW.store(RIGHT_AGAIN, Ordering::Relaxed);
                assert_eq!(verify_each(&borrowed(&owned)), expected);
            }
        }
    }

    #[test]
    fn nothing_but_wrong_signatures_are_all_found() {
        let owned: Vec<_> = (0..MOST_TOGETHER + 3).map(|index| signed(index, Forgery::OtherSigner)).collect();
        assert_eq!(verify_each(&borrowed(&owned)), vec![false; MOST_TOGETHER + 3]);
    }

    #[test]
    fn errors_that_cancel_out_in_a_plain_sum_do_not_pass() {
        // The scalars of two signatures by one signer, one raised and one lowered by the same amount.
        let mut owned = [signed(0, Forgery::None), signed(3, Forgery::None)];
        owned[0].signature.0[32] = owned[0].signature.0[32].wrapping_add(1);
        owned[1].signature.0[32] = owned[1].signature.0[32].wrapping_sub(1);
        assert!(!verify_all(&borrowed(&owned)));
        assert_eq!(verify_each(&borrowed(&owned)), vec![false, false]);
    }
}
