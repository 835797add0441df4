//! Compiles the runtime to WASM.

fn main() {
    #[cfg(feature = "std")]
    {
        // The builder writes a profile of its own; an overflow must trap there too.
        // A panic then comes to the node as an error of its own kind, so that a block that the runtime refuses can be told from
        // a host that fails.
        let builder = substrate_wasm_builder::WasmBuilder::init_with_defaults()
            .append_to_rust_flags("-C overflow-checks=yes")
            .enable_feature("typed-panics");
        #[cfg(feature = "metadata-hash")]
        let builder = builder.enable_metadata_hash("WEIR", 12);
        builder.build();
    }
}
