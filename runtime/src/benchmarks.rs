//! Which pallets are measured.

frame_benchmarking::define_benchmarks!(
    [pallet_balances, Balances]
    [pallet_difficulty, Difficulty]
    [pallet_multisig, Multisig]
    [pallet_proxy, Proxy]
    [pallet_sudo, Sudo]
    [pallet_timestamp, Timestamp]
    [pallet_token, Token]
    [pallet_utility, Utility]
);
