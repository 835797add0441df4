//! Compiles the runtime to WASM.

fn main() {
    #[cfg(feature = "std")]
    {
        // The builder writes a profile of its own; an overflow must trap there too.
        // A panic then comes to the node as an error of its own kind, so that a block that the runtime refuses can be told from
        // a host that fails.
        // The memory is the module's own: a linker that knows that it is new leaves zeros out of the file, of which the arena of the
        // allocator has 16 MiB.
        let builder = substrate_wasm_builder::WasmBuilder::new()
            .with_current_project()
            .export_heap_base()
            .append_to_rust_flags("-C overflow-checks=yes")
            .enable_feature("typed-panics");
        #[cfg(feature = "metadata-hash")]
        let builder = builder.enable_metadata_hash("WEIR", 12);
        builder.build();
    }
}
