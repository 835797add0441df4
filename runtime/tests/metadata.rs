//! The metadata that agents are compiled with.

use std::path::PathBuf;
use weir_runtime::Runtime;

/// Set it to write the file anew.
const BLESS: &str = "WEIR_BLESS";

#[test]
fn the_committed_metadata_is_the_runtimes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../node/agent/metadata.scale");
    let metadata: Vec<u8> = Runtime::metadata_at_version(15).expect("version 15 is supported").to_vec();
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, &metadata).unwrap();
    }
    let committed = std::fs::read(&path).unwrap_or_default();
    assert!(
        committed == metadata,
        "the runtime changed; run: {BLESS}=1 cargo test --release --workspace --test metadata"
    );
}

#[test]
fn metadata_of_versions_14_to_16_is_there() {
    for version in 14..=16 {
        assert!(Runtime::metadata_at_version(version).is_some(), "{version}");
    }
}
