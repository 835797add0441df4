//! Endpoints, as they come from the chain: what decodes is written back as it was.
#![no_main]
use libfuzzer_sys::fuzz_target;
use weir_primitives::measurement::endpoint;

fuzz_target!(|bytes: &[u8]| {
    if let Some((address, service)) = endpoint::decode(bytes) {
        assert_eq!(endpoint::encode(address, service), bytes);
        assert!(address.port() != 0 && !address.ip().is_unspecified());
    }
});
