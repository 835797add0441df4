//! Blocks whose signatures were verified ahead: what import makes of them is what it makes of them without.

use sc_consensus::IncomingBlock;
use sp_blockchain::HeaderBackend;
use sp_keyring::Sr25519Keyring::{self, Alice, Bob, Charlie};
use sp_runtime::{
    generic::Era,
    traits::{BlakeTwo256, Hash as _, Header as _},
    OpaqueExtrinsic,
};
use weir_consensus::sync::{
    parallel::{Rayon, Sequential},
    signatures::VerifiedSignatures,
};
use weir_consensus_testing::{seal, Chain, Options, Sealed};
use weir_primitives::{consensus::read_header, Hash};
use weir_runtime::opaque::Block;

/// Where the signature and the signer stand in a signed extrinsic.
const SIGNER: std::ops::Range<usize> = 2..34;
const SIGNATURE: std::ops::Range<usize> = 35..99;

/// Blocks with some transfers each, one the child of the other.
fn blocks(count: usize, transfers: u32, era: impl Fn(&Chain, u64) -> (Era, Hash)) -> Vec<Sealed> {
    let maker = Chain::new();
    let (mut parent, mut nonce) = (maker.genesis(), 0);
    (0..count)
        .map(|index| {
            let (era, birth) = era(&maker, index as u64 + 1);
            let transfers = (0..transfers)
                .map(|_| {
                    nonce += 1;
                    maker.transfer_in(era, birth, Alice, nonce - 1, Bob)
                })
                .collect();
            let block = maker.block_of(parent, Alice, if index == 0 { 0 } else { 1_000 }, transfers);
            maker.import(&block).unwrap();
            parent = block.hash();
            block
        })
        .collect()
}

fn immortal(chain: &Chain, _: u64) -> (Era, Hash) {
    (Era::Immortal, chain.genesis())
}

/// The same block with another last extrinsic, sealed anew.
fn with_last(block: &Sealed, author: Sr25519Keyring, last: OpaqueExtrinsic, boost: u32) -> Sealed {
    let read = read_header(&block.header).unwrap();
    let (mut header, mut body) = (read.unsealed, block.body.clone());
    *body.last_mut().unwrap() = last;
    let encoded = body.iter().map(codec::Encode::encode).collect();
    let version = weir_runtime::VERSION.extrinsics_root_state_version();
    header.set_extrinsics_root(BlakeTwo256::ordered_trie_root(encoded, version));
    seal(&mut header, &read.pre_digest, author, boost);
    Sealed { header, body }
}

/// What import makes of some blocks, with their signatures verified ahead or not.
fn import(blocks: &[Sealed], signatures: VerifiedSignatures<Hash>) -> (Vec<String>, Chain) {
    let chain = Chain::with(Options { signatures, ..Options::default() });
    let incoming: Vec<IncomingBlock<Block>> = blocks.iter().map(|block| block.incoming(None)).collect();
    chain.extrinsic_verifier(Sequential).verify(&incoming.iter().collect::<Vec<_>>());
    (blocks.iter().map(|block| format!("{:?}", chain.import(block))).collect(), chain)
}

/// What import makes of some blocks, which must be the same in both ways.
fn import_both_ways(blocks: &[Sealed]) -> (Vec<String>, Chain) {
    let (without, chain) = import(blocks, VerifiedSignatures::disabled());
    assert_eq!((chain.signatures.found(), chain.signatures.missed()), (0, 0));
    let (with, chain) = import(blocks, VerifiedSignatures::default());
    assert_eq!(with, without);
    (with, chain)
}

fn is_imported(result: &str) -> bool {
    result.starts_with("Ok(ImportedUnknown")
}

#[test]
fn the_runtime_finds_every_signature_that_was_verified_ahead() {
    let blocks = blocks(3, 7, immortal);
    let (results, chain) = import_both_ways(&blocks);
    assert!(results.iter().all(|result| is_imported(result)), "{results:?}");
    assert_eq!((chain.signatures.found(), chain.signatures.missed()), (21, 0));
    assert_eq!(chain.best(), blocks[2].hash());
}

#[test]
fn as_many_are_found_with_all_processors_as_with_one() {
    let blocks = blocks(40, 3, immortal);
    let chain = Chain::new();
    let incoming: Vec<_> = blocks.iter().map(|block| block.incoming(None)).collect();
    let incoming: Vec<_> = incoming.iter().collect();
    assert_eq!(chain.extrinsic_verifier(Rayon::new(3).unwrap()).verify(&incoming), 120);
    assert!(blocks.iter().all(|block| chain.import(block).is_ok()));
    assert_eq!((chain.signatures.found(), chain.signatures.missed()), (120, 0));
}

#[test]
fn a_mortal_transaction_is_found_although_its_birth_still_waits_for_import() {
    let born = |chain: &Chain, number: u64| {
        let era = Era::mortal(4, number - 1);
        (era, chain.client.hash(era.birth(number) as u32).unwrap().unwrap())
    };
    let (results, chain) = import_both_ways(&blocks(12, 2, born));
    assert!(results.iter().all(|result| is_imported(result)), "{results:?}");
    assert_eq!((chain.signatures.found(), chain.signatures.missed()), (24, 0));
}

#[test]
fn a_block_with_a_wrong_signature_is_bad_whether_others_were_verified_ahead_or_not() {
    let honest = blocks(1, 5, immortal).remove(0);
    let boost = Chain::new().rules.boost;
    let last = honest.body.last().unwrap().inner().to_vec();
    let forge = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = last.clone();
        change(&mut bytes);
        with_last(&honest, Alice, OpaqueExtrinsic::from_blob(bytes), boost)
    };
    let forgeries = [
        forge(&|bytes| bytes[SIGNATURE.start] ^= 1),
        forge(&|bytes| bytes[SIGNATURE.end - 1] ^= 128),
        forge(&|bytes| bytes[SIGNER].copy_from_slice(Charlie.to_account_id().as_ref())),
        // Another amount.
        forge(&|bytes| *bytes.last_mut().unwrap() ^= 1),
        // The signature of another transaction of the same block.
        forge(&|bytes| bytes[SIGNATURE].copy_from_slice(&honest.body[1].inner()[SIGNATURE])),
    ];
    for bad in forgeries {
        let (results, chain) = import_both_ways(std::slice::from_ref(&bad));
        assert!(results[0].starts_with("Err(BadBlock"), "{results:?}");
        assert!(chain.bad_blocks.is_bad(&bad.hash()));
        assert_eq!(chain.best(), chain.genesis());
        // The honest block is not taken for it.
        assert!(chain.import(&honest).is_ok());
    }
}

#[test]
fn a_transaction_whose_signature_is_right_can_be_wrong_in_every_other_way() {
    let chain = Chain::new();
    let honest = blocks(1, 3, immortal).remove(0);
    let again = honest.body[1].clone();
    let from_the_future = chain.transfer(Alice, 9, Bob);
    let of_another_chain = chain.transfer_in(Era::mortal(4, 0), Hash::repeat_byte(1), Alice, 2, Bob);
    for last in [again, from_the_future, of_another_chain] {
        let (results, _) = import_both_ways(&[with_last(&honest, Alice, last, chain.rules.boost)]);
        assert!(results[0].starts_with("Err(BadBlock"), "{results:?}");
    }
}

#[test]
fn a_body_that_the_work_in_the_header_does_not_pay_for_is_not_verified() {
    let chain = Chain::new();
    let mut blocks = blocks(2, 5, immortal);
    let other = blocks[1].body.clone();
    blocks[0].body.extend(other);
    let verifier = chain.extrinsic_verifier(Sequential);
    assert_eq!(verifier.verify(&[&blocks[0].incoming(None)]), 0);
    assert_eq!(verifier.verify(&[&blocks[1].incoming(None)]), 5);
    // That body does not keep the honest one from being verified.
    blocks[0].body.truncate(6);
    assert_eq!(verifier.verify(&[&blocks[0].incoming(None)]), 5);
}

#[test]
fn the_signatures_of_a_block_that_comes_again_are_not_verified_again() {
    let chain = Chain::new();
    let block = blocks(1, 5, immortal).remove(0);
    let verifier = chain.extrinsic_verifier(Sequential);
    assert_eq!(verifier.verify(&[&block.incoming(None), &block.incoming(None)]), 5);
    assert!(chain.signatures.take(&block.hash()).is_some());
    assert_eq!(verifier.verify(&[&block.incoming(None)]), 0);
    assert!(chain.signatures.take(&block.hash()).is_none());
}
