//! The context-free stage over whole batches.

use proptest::prelude::*;
use sp_keyring::Sr25519Keyring::{self, Alice, Bob, Charlie};
use sp_runtime::traits::Header as _;
use std::sync::OnceLock;
use weir_consensus::{
    header::rules::{self, HeaderRules},
    sync::parallel::{Rayon, Sequential, Strategy},
    Rejection,
};
use weir_consensus_testing::{sign, Chain, Sealed};
use weir_primitives::consensus::{read_header, Seal, SealedHeader};
use weir_runtime::opaque::Header;

/// What is done to a header.
#[derive(Clone, Copy, Debug)]
enum Forgery {
    None,
    NoSeal,
    LittleWork,
    OtherAuthorsSignature,
    BrokenSignature,
    BelowFloor,
}

/// An honest block of each of three authors.
fn honest() -> &'static (HeaderRules, Vec<(Sr25519Keyring, Sealed)>) {
    static HONEST: OnceLock<(HeaderRules, Vec<(Sr25519Keyring, Sealed)>)> = OnceLock::new();
    HONEST.get_or_init(|| {
        let chain = Chain::new();
        let blocks = [Alice, Bob, Charlie].map(|author| (author, chain.block(chain.genesis(), author, 0)));
        (HeaderRules::from(&chain.rules), blocks.into())
    })
}

/// Finds a nonce that is, or is not, enough for a header with this signature.
fn seal(header: &Header, signature: sp_core::sr25519::Signature, enough: bool, rules: HeaderRules) -> Header {
    let claims = weir_primitives::consensus::pre_digest_of(header.digest()).unwrap();
    let nonce = (0u64..)
        .find(|nonce| {
            let seal = Seal { signature, nonce: *nonce };
            weir_consensus_testing::meets(header.hash(), &seal, &claims, rules.boost) == enough
        })
        .unwrap();
    let mut sealed = header.clone();
    sealed.digest_mut().push(Seal { signature, nonce }.to_item());
    sealed
}

fn forge(author: Sr25519Keyring, block: &Sealed, forgery: Forgery, rules: HeaderRules) -> Header {
    let SealedHeader { unsealed, .. } = read_header(&block.header).unwrap();
    let honest = sign(unsealed.hash(), author);
    match forgery {
        Forgery::None => block.header.clone(),
        Forgery::NoSeal => unsealed,
        Forgery::LittleWork => seal(&unsealed, honest, false, rules),
        Forgery::OtherAuthorsSignature => seal(&unsealed, sign(unsealed.hash(), Sr25519Keyring::Eve), true, rules),
        Forgery::BrokenSignature => seal(&unsealed, sp_core::sr25519::Signature::from_raw([0xff; 64]), true, rules),
        Forgery::BelowFloor => {
            let mut cheap = unsealed.clone();
            let mut claims = weir_primitives::consensus::pre_digest_of(cheap.digest()).unwrap();
            claims.base = rules.floor.0 - 1u32;
            cheap.digest_mut().logs = vec![claims.to_item()];
            seal(&cheap, sign(cheap.hash(), author), true, rules)
        },
    }
}

fn rejections<S: Strategy>(strategy: &S, headers: &[Header]) -> Vec<Option<Rejection>> {
    rules::context_free_all(strategy, headers, honest().0).into_iter().map(Result::err).collect()
}

fn any_forgery() -> impl proptest::strategy::Strategy<Value = Forgery> {
    prop_oneof![
        6 => Just(Forgery::None),
        1 => Just(Forgery::NoSeal),
        1 => Just(Forgery::LittleWork),
        1 => Just(Forgery::OtherAuthorsSignature),
        1 => Just(Forgery::BrokenSignature),
        1 => Just(Forgery::BelowFloor),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn both_strategies_give_every_header_the_result_that_it_gets_alone(
        choices in proptest::collection::vec((0usize..3, any_forgery()), 0..150),
    ) {
        static POOL: OnceLock<Rayon> = OnceLock::new();
        let (rules, blocks) = honest();
        let headers: Vec<Header> = choices
            .iter()
            .map(|(author, forgery)| forge(blocks[*author].0, &blocks[*author].1, *forgery, *rules))
            .collect();
        let alone: Vec<_> = headers.iter().map(|header| rules::context_free(header, *rules).err()).collect();
        prop_assert_eq!(&rejections(&Sequential, &headers), &alone);
        prop_assert_eq!(&rejections(POOL.get_or_init(|| Rayon::new(3).unwrap()), &headers), &alone);
    }
}

#[test]
fn each_forgery_is_rejected_for_what_it_is() {
    let (rules, blocks) = honest();
    let reason = |forgery| rules::context_free(&forge(blocks[0].0, &blocks[0].1, forgery, *rules), *rules).err();
    assert_eq!(reason(Forgery::None), None);
    assert!(matches!(reason(Forgery::NoSeal), Some(Rejection::Digest(_))));
    assert!(matches!(reason(Forgery::LittleWork), Some(Rejection::Work { .. })));
    assert_eq!(reason(Forgery::OtherAuthorsSignature), Some(Rejection::Signature));
    assert_eq!(reason(Forgery::BrokenSignature), Some(Rejection::Signature));
    assert!(matches!(reason(Forgery::BelowFloor), Some(Rejection::BelowFloor { .. })));
}
