//! The market: what a consumer signs, how a payment is split, and what a payment is worth where less was guaranteed than was promised.
//!
//! A consumer puts a deposit behind a channel to one provider, and signs for what it took with a key of that channel alone. What it signs
//! is cumulative: the receipt of the largest amount is all that anybody needs.

mod terms;

pub use terms::{Channel, Complaint, Complaints, Listing, Reach, Reputation, Serves, Terms};

use crate::{AccountId, Balance, BlockNumber, Hash};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_arithmetic::Perbill;
use sp_core::{ed25519, U256};

/// The number of a channel, which no other one ever has on its chain.
pub type ChannelId = u64;
/// The key that signs the receipts of a channel.
pub type SessionKey = ed25519::Public;
/// The signature of a receipt.
pub type ReceiptSignature = ed25519::Signature;
/// A country, by its two letters of ISO 3166-1.
pub type Region = [u8; 2];

/// What prices are for.
pub const BYTES_PER_GIB: u64 = 1 << 30;
/// The part of every payment that is burned.
pub const BURNED_SHARE: Perbill = Perbill::from_percent(10);
/// The part of every payment that goes to the treasury.
pub const FEE_SHARE: Perbill = Perbill::from_percent(1);
/// The most that the traffic of a payment can mint, as a part of what that payment burned: κ. Below one, so that nobody gains by paying himself.
pub const MINTED_OF_BURNED: Perbill = Perbill::from_percent(90);

/// What a consumer has taken and owes, since its channel was opened. The amount alone decides: the bytes are what the two sides reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Receipt {
    /// How many bytes the provider has moved for the consumer, both ways.
    pub bytes: u64,
    /// What is owed for them.
    pub amount: Balance,
}

/// What the key of a channel signs: `"weir:receipt:v1" ‖ genesis ‖ provider ‖ channel (8) ‖ bytes (8) ‖ amount (16)`, numbers little-endian.
///
/// The provider is named, since another fork of the chain can give the number of a channel to another one.
pub fn receipt_payload(genesis: Hash, provider: &AccountId, channel: ChannelId, receipt: &Receipt) -> Vec<u8> {
    let mut payload = b"weir:receipt:v1".to_vec();
    (genesis, provider, channel, receipt).encode_to(&mut payload);
    payload
}

/// What the key of a channel signs to show that it agrees to sign for a consumer: `"weir:channel:v1" ‖ genesis ‖ consumer`.
pub fn session_payload(genesis: Hash, consumer: &AccountId) -> Vec<u8> {
    let mut payload = b"weir:channel:v1".to_vec();
    (genesis, consumer).encode_to(&mut payload);
    payload
}

/// How many whole bytes an amount pays for.
pub fn bytes_for(amount: Balance, per_gib: Balance) -> u64 {
    let bytes = U256::from(amount).saturating_mul(BYTES_PER_GIB.into()).checked_div(per_gib.into());
    bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(u64::MAX)
}

/// What a number of bytes costs, rounded up: no bytes are free.
pub fn price_of(bytes: u64, per_gib: Balance) -> Balance {
    let parts = U256::from(bytes).saturating_mul(per_gib.into());
    let (whole, rest) = parts.div_mod(BYTES_PER_GIB.into());
    let rounded = if rest.is_zero() { whole } else { whole.saturating_add(U256::one()) };
    Balance::try_from(rounded).unwrap_or(Balance::MAX)
}

/// Where a payment goes: gross = burned + fee + net.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Split {
    /// What is burned.
    pub burned: Balance,
    /// What the treasury gets.
    pub fee: Balance,
    /// What the provider gets.
    pub net: Balance,
}

/// Splits a payment. What rounding leaves is burned or goes to the treasury, never to the provider: else a channel that is settled in many
/// small parts would burn less.
pub fn split(gross: Balance) -> Split {
    let burned = BURNED_SHARE.mul_ceil(gross);
    let fee = FEE_SHARE.mul_ceil(gross).min(gross.saturating_sub(burned));
    Split { burned, fee, net: gross.saturating_sub(burned).saturating_sub(fee) }
}

/// The most that traffic can mint for a payment of which so much was burned.
pub fn mintable(burned: Balance) -> Balance {
    MINTED_OF_BURNED.mul_floor(burned)
}

/// What is paid of an amount that is due, where so much bandwidth is guaranteed of what was promised. The rest goes back to the consumer.
pub fn paid_of(due: Balance, guaranteed_bits_per_second: u64, promised_bits_per_second: u64) -> Balance {
    if guaranteed_bits_per_second >= promised_bits_per_second {
        return due;
    }
    let paid = U256::from(due)
        .saturating_mul(guaranteed_bits_per_second.into())
        .checked_div(promised_bits_per_second.into())
        .and_then(|paid| Balance::try_from(paid).ok());
    paid.unwrap_or(due)
}

/// How many of the bytes that a provider was paid for count, where so many have counted in the epoch before, and this is what its
/// guaranteed bandwidth can carry in the whole of it.
pub fn bytes_that_count(
    bytes: u64,
    counted: u64,
    bits_per_second: u64,
    blocks: BlockNumber,
    block_time_ms: u64,
) -> u64 {
    let room = U256::from(bits_per_second)
        .saturating_mul(blocks.into())
        .saturating_mul(block_time_ms.into())
        .checked_div(8_000u32.into())
        .unwrap_or_default();
    let room = u64::try_from(room).unwrap_or(u64::MAX);
    bytes.min(room.saturating_sub(counted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_signed_bytes_are_those_of_the_specification() {
        let receipt = Receipt { bytes: 0x0102, amount: 0x0304 };
        let payload = receipt_payload(Hash::repeat_byte(9), &AccountId::new([6; 32]), 7, &receipt);
        let numbers = [&[7, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 4, 3][..], &[0; 14]].concat();
        assert_eq!(payload, [b"weir:receipt:v1".as_slice(), &[9; 32], &[6; 32], &numbers].concat());
        assert_eq!(payload.len(), 15 + 32 + 32 + 8 + 8 + 16);
        let payload = session_payload(Hash::repeat_byte(9), &AccountId::new([6; 32]));
        assert_eq!(payload, [b"weir:channel:v1".as_slice(), &[9; 32], &[6; 32]].concat());
    }

    #[test]
    fn a_gib_costs_its_price_and_a_byte_at_least_one_planck() {
        assert_eq!(price_of(BYTES_PER_GIB, 12_345), 12_345);
        assert_eq!(price_of(1, 1), 1);
        assert_eq!(price_of(0, Balance::MAX), 0);
        assert_eq!(price_of(u64::MAX, Balance::MAX), Balance::MAX);
    }

    proptest! {
        #[test]
        fn what_bytes_cost_pays_for_them_and_for_less_than_a_planck_more(bytes in 0u64..1 << 50, per_gib in 1u128..1 << 60) {
            let paid_for = bytes_for(price_of(bytes, per_gib), per_gib);
            prop_assert!(paid_for >= bytes && price_of(paid_for, per_gib) == price_of(bytes, per_gib));
        }

        #[test]
        fn a_payment_is_its_parts(gross: Balance) {
            let Split { burned, fee, net } = split(gross);
            prop_assert_eq!(burned.checked_add(fee).and_then(|sum| sum.checked_add(net)), Some(gross));
        }

        /// Who buys from himself, in however many parts, has less afterwards, though the whole of what his burn can mint is minted.
        #[test]
        fn who_pays_himself_loses_a_tenth_of_the_burn_and_the_fee_however_he_cuts_it(
            parts in proptest::collection::vec(1u128..1 << 90, 1..40),
        ) {
            let whole: Balance = parts.iter().sum();
            let back: Balance = parts.iter().map(|part| { let it = split(*part); it.net + mintable(it.burned) }).sum();
            let loss = whole - back;
            prop_assert!(loss >= BURNED_SHARE.mul_floor(whole) / 10 + FEE_SHARE.mul_floor(whole), "{whole} gives {back}");
        }

        #[test]
        fn what_is_paid_grows_with_what_is_guaranteed_and_is_never_more_than_what_is_due(
            due: Balance, one: u64, other: u64, promised: u64,
        ) {
            let (less, more) = (one.min(other), one.max(other));
            prop_assert!(paid_of(due, less, promised) <= paid_of(due, more, promised));
            prop_assert!(paid_of(due, more, promised) <= due);
            prop_assert_eq!(paid_of(due, promised, promised), due);
        }

        #[test]
        fn however_bytes_are_reported_no_more_count_than_the_line_can_carry(
            parts in proptest::collection::vec(any::<u64>(), 1..20), bits in 0u64..1 << 50, blocks in 1u32..10_000,
        ) {
            let mut counted = 0;
            for bytes in parts {
                counted += bytes_that_count(bytes, counted, bits, blocks, 6_000);
            }
            prop_assert!(u128::from(counted) <= u128::from(bits) * u128::from(blocks) * 6 / 8);
        }
    }
}
