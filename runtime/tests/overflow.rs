//! Arithmetic that overflows must trap in the WASM too, whose build profile is not the workspace's.

use codec::Encode;
use sp_core::traits::{CallContext, CodeExecutor, RuntimeCode, WrappedRuntimeCode};
use sp_state_machine::BasicExternalities;
use weir_runtime::WASM_BINARY;

/// Asks the WASM for the inherents of a block whose parent has a timestamp. The stock timestamp pallet adds to that
/// without a check of its own.
fn inherents_after(timestamp: u64) -> Result<Vec<u8>, String> {
    let wasm = WASM_BINARY.expect("tests need the WASM runtime");
    let mut state = BasicExternalities::default();
    let key = [sp_io::hashing::twox_128(b"Timestamp"), sp_io::hashing::twox_128(b"Now")].concat();
    state.insert(key, timestamp.encode());
    let mut data = sp_inherents::InherentData::new();
    data.put_data(*b"timstap0", &1_000u64).unwrap();

    let code = WrappedRuntimeCode(wasm.into());
    let runtime = RuntimeCode { code_fetcher: &code, hash: b"weir".to_vec(), heap_pages: None };
    let executor = sc_executor::WasmExecutor::<sp_io::SubstrateHostFunctions>::builder().build();
    executor
        .call(&mut state, &runtime, "BlockBuilder_inherent_extrinsics", &data.encode(), CallContext::Offchain)
        .0
        .map_err(|error| error.to_string())
}

#[test]
fn an_overflow_in_the_wasm_traps_instead_of_wrapping() {
    assert!(inherents_after(0).is_ok());
    let trapped = inherents_after(u64::MAX).unwrap_err();
    assert!(trapped.contains("overflow") || trapped.contains("unreachable"), "{trapped}");
}
