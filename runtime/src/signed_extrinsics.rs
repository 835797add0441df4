//! What the signature of a transaction covers, read from its bytes by a node that verifies signatures ahead of execution.
//!
//! The runtime itself does not use this. It must read a transaction as [`UncheckedExtrinsic`](crate::UncheckedExtrinsic) does
//! when the runtime checks it; what it reads otherwise is not verified ahead, and nothing else changes.

use crate::{AccountId, Address, Hash, RuntimeCall, Signature, TxExtension};
use alloc::vec::Vec;
use codec::{Decode, Encode};
use sp_runtime::{generic::Era, traits::TransactionExtension};

/// The first byte of a signed transaction: version 4 of the format, with a signature.
const SIGNED: u8 = 0b1000_0000 | 4;
/// A longer payload is signed by its hash.
const LONGEST_PAYLOAD_BYTES: usize = 256;

/// What a transaction is signed for beside what it contains, as it is when the block of the transaction is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// The height of the block.
    pub number: u64,
    /// The hash of the genesis block.
    pub genesis: Hash,
    /// The version of the runtime.
    pub spec_version: u32,
    /// The version of the format of transactions.
    pub transaction_version: u32,
}

/// The payload that was signed, the signature, and whose it should be. `ancestor` says the hash of the ancestor of the block at a
/// height.
///
/// Nothing if the transaction is not a signed one, or names its signer or what it is signed for in a way that only the state
/// explains.
pub fn read(
    extrinsic: &[u8],
    surroundings: &Surroundings,
    ancestor: impl FnOnce(u64) -> Option<Hash>,
) -> Option<(Vec<u8>, Signature, AccountId)> {
    let (first, mut rest) = extrinsic.split_first()?;
    if *first != SIGNED {
        return None;
    }
    let Address::Id(signer) = Address::decode(&mut rest).ok()? else { return None };
    let signature = Signature::decode(&mut rest).ok()?;
    let extension = TxExtension::decode(&mut rest).ok()?;
    let call = rest;

    let (.., era, _, _, _, metadata, _) = &extension;
    // With the hash of the metadata in it, which only the runtime that was built with it knows.
    if *metadata != frame_metadata_hash_extension::CheckMetadataHash::new(false) {
        return None;
    }
    let birth = match era.0 {
        Era::Immortal => surroundings.genesis,
        era => ancestor(era.birth(surroundings.number))?,
    };
    let Surroundings { genesis, spec_version, transaction_version, .. } = *surroundings;
    let implicit: <TxExtension as TransactionExtension<RuntimeCall>>::Implicit =
        ((), (), spec_version, transaction_version, genesis, birth, (), (), (), None, ());

    let mut payload = call.to_vec();
    extension.encode_to(&mut payload);
    implicit.encode_to(&mut payload);
    if payload.len() > LONGEST_PAYLOAD_BYTES {
        payload = sp_io::hashing::blake2_256(&payload).to_vec();
    }
    Some((payload, signature, signer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SignedPayload, UncheckedExtrinsic};
    use sp_core::{sr25519, Pair};
    use sp_runtime::traits::Verify;

    const NUMBER: u64 = 1_000;

    fn surroundings() -> Surroundings {
        Surroundings { number: NUMBER, genesis: Hash::repeat_byte(1), spec_version: 7, transaction_version: 3 }
    }

    /// The hash of an ancestor, which says its height.
    fn ancestor(number: u64) -> Option<Hash> {
        (number < NUMBER).then(|| Hash::from_low_u64_be(number))
    }

    fn extension(era: Era, is_metadata_signed: bool) -> TxExtension {
        (
            frame_system::AuthorizeCall::new(),
            frame_system::CheckNonZeroSender::new(),
            frame_system::CheckSpecVersion::new(),
            frame_system::CheckTxVersion::new(),
            frame_system::CheckGenesis::new(),
            frame_system::CheckEra::from(era),
            frame_system::CheckNonce::from(5),
            frame_system::CheckWeight::new(),
            pallet_transaction_payment::ChargeTransactionPayment::from(1_000_000),
            frame_metadata_hash_extension::CheckMetadataHash::new(is_metadata_signed),
            frame_system::WeightReclaim::new(),
        )
    }

    /// A remark that is signed as a wallet signs it.
    fn signed(remark: Vec<u8>, era: Era, birth: Hash) -> UncheckedExtrinsic {
        let Surroundings { genesis, spec_version, transaction_version, .. } = surroundings();
        let pair = sr25519::Pair::from_seed(&[1; 32]);
        let call = RuntimeCall::System(frame_system::Call::remark { remark });
        let implicit = ((), (), spec_version, transaction_version, genesis, birth, (), (), (), None, ());
        let payload = SignedPayload::from_raw(call.clone(), extension(era, false), implicit);
        let signature = payload.using_encoded(|payload| pair.sign(payload));
        let signer = AccountId::from(pair.public());
        UncheckedExtrinsic::new_signed(call, signer.into(), signature.into(), extension(era, false))
    }

    /// The bytes of an extrinsic without the length in front.
    fn bytes(extrinsic: &UncheckedExtrinsic) -> Vec<u8> {
        Vec::<u8>::decode(&mut &extrinsic.encode()[..]).unwrap()
    }

    fn is_read_and_right(extrinsic: &UncheckedExtrinsic) -> bool {
        let read = read(&bytes(extrinsic), &surroundings(), ancestor);
        read.is_some_and(|(payload, signature, signer)| signature.verify(&payload[..], &signer))
    }

    #[test]
    fn what_is_read_is_what_a_wallet_signs_whatever_the_length() {
        for length in (0..400).step_by(7) {
            assert!(is_read_and_right(&signed(vec![0; length], Era::Immortal, surroundings().genesis)));
        }
    }

    #[test]
    fn a_mortal_transaction_is_signed_for_the_block_of_its_birth() {
        for (period, made_at) in [(4, NUMBER - 1), (64, NUMBER - 30), (64, NUMBER - 63), (256, NUMBER - 1)] {
            let era = Era::mortal(period, made_at);
            let birth = Hash::from_low_u64_be(era.birth(NUMBER));
            assert!(is_read_and_right(&signed(vec![1], era, birth)));
            assert!(!is_read_and_right(&signed(vec![1], era, Hash::repeat_byte(9))));
        }
        // Born in the block that it is in, whose hash nobody knows.
        let era = Era::mortal(64, NUMBER);
        assert!(read(&bytes(&signed(vec![1], era, Hash::zero())), &surroundings(), ancestor).is_none());
    }

    #[test]
    fn what_only_the_runtime_can_read_is_left_to_it() {
        let is_nothing = |bytes: &[u8]| read(bytes, &surroundings(), ancestor).is_none();
        let honest = signed(vec![1], Era::Immortal, surroundings().genesis);
        let call = honest.function.clone();
        let (address, signature, _) = honest.preamble.clone().to_signed().unwrap();

        let bare = UncheckedExtrinsic::new_bare(call.clone());
        let general = UncheckedExtrinsic::new_transaction(call.clone(), extension(Era::Immortal, false));
        let with_metadata =
            UncheckedExtrinsic::new_signed(call.clone(), address, signature.clone(), extension(Era::Immortal, true));
        let by_index =
            UncheckedExtrinsic::new_signed(call, Address::Index(()), signature, extension(Era::Immortal, false));
        for extrinsic in [bare, general, with_metadata, by_index] {
            assert!(is_nothing(&bytes(&extrinsic)));
        }
        let bytes = bytes(&honest);
        let call_begins = bytes.len() - honest.function.encoded_size();
        for length in 0..call_begins {
            assert!(is_nothing(&bytes[..length]));
        }
    }
}
