//! Messages of control streams: what decodes is written back as it was, and nothing longer than allowed is read.
#![no_main]
use codec::Encode;
use libfuzzer_sys::fuzz_target;
use weir_probe::message::{self, ToChallenger, ToProver};

fuzz_target!(|bytes: &[u8]| {
    if let Some((prefix, _)) = bytes.split_first_chunk::<4>() {
        if let Ok(length) = message::length(*prefix, message::MAX_TO_PROVER_BYTES) {
            assert!(length <= message::MAX_TO_PROVER_BYTES);
        }
    }
    if let Ok(said) = message::decode::<ToChallenger>(bytes) {
        assert_eq!(said.encode(), bytes);
        if let ToChallenger::Invite(message::Subject::ByHand { terms, .. }) = said {
            let _ = terms.budget_bytes();
        }
    }
    if let Ok(said) = message::decode::<ToProver>(bytes) {
        assert_eq!(said.encode(), bytes);
    }
});
