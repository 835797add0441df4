//! Headers of blocks: what is read is the whole of it, and strict.
#![no_main]
use codec::{Decode, Encode};
use libfuzzer_sys::fuzz_target;
use sp_runtime::{generic, traits::BlakeTwo256};
use weir_primitives::consensus::read_header;

type Header = generic::Header<u32, BlakeTwo256>;

fuzz_target!(|bytes: &[u8]| {
    let Ok(header) = Header::decode(&mut &*bytes) else { return };
    let Ok(read) = read_header(&header) else { return };
    // Nothing is left out: taken apart and put together again it is the same.
    let mut again = read.unsealed.clone();
    again.digest.push(read.seal.to_item());
    assert_eq!(again.encode(), header.encode());
    assert!(again.digest.logs().contains(&read.pre_digest.to_item()));
    assert_eq!(read.pre_hash, sp_runtime::traits::Header::hash(&read.unsealed));
});
