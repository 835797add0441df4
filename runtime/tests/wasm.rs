//! What only the WASM can show, whose build profile and memory are its own.

use codec::{Decode, Encode};
use sp_core::traits::{CallContext, CodeExecutor, RuntimeCode, WrappedRuntimeCode};
use sp_runtime::ApplyExtrinsicResult;
use sp_state_machine::BasicExternalities;
use weir_runtime::{RuntimeCall, UncheckedExtrinsic, WASM_BINARY};

fn call(state: &mut BasicExternalities, function: &str, input: &[u8]) -> Result<Vec<u8>, String> {
    let wasm = WASM_BINARY.expect("tests need the WASM runtime");
    let code = WrappedRuntimeCode(wasm.into());
    let runtime = RuntimeCode { code_fetcher: &code, hash: b"weir".to_vec(), heap_pages: None };
    let executor = sc_executor::WasmExecutor::<sp_io::SubstrateHostFunctions>::builder().build();
    executor.call(state, &runtime, function, input, CallContext::Offchain).0.map_err(|error| error.to_string())
}

/// Asks for the inherents of a block whose parent has a timestamp. The stock timestamp pallet adds to that without a check of
/// its own.
fn inherents_after(timestamp: u64) -> Result<Vec<u8>, String> {
    let mut state = BasicExternalities::default();
    let key = [sp_io::hashing::twox_128(b"Timestamp"), sp_io::hashing::twox_128(b"Now")].concat();
    state.insert(key, timestamp.encode());
    let mut data = sp_inherents::InherentData::new();
    data.put_data(*b"timstap0", &1_000u64).unwrap();
    call(&mut state, "BlockBuilder_inherent_extrinsics", &data.encode())
}

#[test]
fn an_overflow_in_the_wasm_traps_instead_of_wrapping() {
    assert!(inherents_after(0).is_ok());
    let trapped = inherents_after(u64::MAX).unwrap_err();
    assert!(trapped.contains("overflow") || trapped.contains("unreachable"), "{trapped}");
}

#[test]
fn what_does_not_fit_the_arena_of_the_wasm_comes_from_the_node() {
    // What is decoded is encoded again, so that a transaction is there twice.
    let answer = |bytes: usize| {
        let remark = RuntimeCall::System(frame_system::Call::remark { remark: vec![7; bytes] });
        let mut state = BasicExternalities::default();
        let answer =
            call(&mut state, "BlockBuilder_apply_extrinsic", &UncheckedExtrinsic::new_bare(remark).encode()).unwrap();
        ApplyExtrinsicResult::decode(&mut &answer[..]).unwrap()
    };
    // Refused for what they are, whatever they take.
    let small = answer(1);
    assert!(small.is_err());
    assert_eq!(answer(12 << 20), small);
}

/// The arena is no part of the file that each node decompresses.
#[test]
fn the_wasm_is_small_though_its_memory_is_large() {
    let wasm = WASM_BINARY.expect("tests need the WASM runtime");
    let code = sp_maybe_compressed_blob::decompress(wasm, 64 << 20).unwrap();
    assert!(code.len() < 6 << 20, "{} bytes", code.len());
}
