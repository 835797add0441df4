//! What the executor puts in the place of the SDK's host functions that verify signatures.

#![allow(dead_code, reason = "the macro makes functions for callers in Rust too")]

use super::{key, BlockSignatures, Scheme};
use sp_core::{ed25519, sr25519};
use sp_externalities::ExternalitiesExt;
use sp_runtime_interface::{
    pass_by::{PassFatPointerAndRead, PassPointerAndRead},
    runtime_interface,
};

/// The host functions of the SDK, of which those that verify signatures look at what was verified ahead first.
pub type HostFunctions = sp_wasm_interface::ExtendedHostFunctions<sp_io::SubstrateHostFunctions, crypto::HostFunctions>;

/// Whether a signature was verified ahead for the block that is executed by the current call of the runtime.
fn is_verified(scheme: Scheme, message: &[u8], signature: &[u8; 64], signer: &[u8; 32]) -> bool {
    sp_externalities::with_externalities(|mut externalities| {
        externalities
            .extension::<BlockSignatures>()
            .is_some_and(|block| block.contains(&key(scheme, message, signature, signer)))
    })
    .unwrap_or(false)
}

/// The name of the trait is part of the names of the functions.
#[runtime_interface]
pub trait Crypto {
    /// As the SDK's. The old version, which accepts old signatures too, is never answered from what was verified ahead; it
    /// stands here because versions have to be consecutive.
    #[version(1, register_only)]
    fn sr25519_verify(
        sig: PassPointerAndRead<&sr25519::Signature, 64>,
        msg: PassFatPointerAndRead<&[u8]>,
        pub_key: PassPointerAndRead<&sr25519::Public, 32>,
    ) -> bool {
        sr25519::Pair::verify_deprecated(sig, msg, pub_key)
    }

    /// As the SDK's.
    #[version(2)]
    fn sr25519_verify(
        sig: PassPointerAndRead<&sr25519::Signature, 64>,
        msg: PassFatPointerAndRead<&[u8]>,
        pub_key: PassPointerAndRead<&sr25519::Public, 32>,
    ) -> bool {
        is_verified(Scheme::Sr25519, msg, &sig.0, &pub_key.0) || sp_io::crypto::sr25519_verify(sig, msg, pub_key)
    }

    /// As the SDK's.
    fn ed25519_verify(
        sig: PassPointerAndRead<&ed25519::Signature, 64>,
        msg: PassFatPointerAndRead<&[u8]>,
        pub_key: PassPointerAndRead<&ed25519::Public, 32>,
    ) -> bool {
        // This extension asks for a stricter verification than the one that was done ahead.
        let is_strict = sp_externalities::with_externalities(|mut externalities| {
            externalities.extension::<sp_io::UseDalekExt>().is_some()
        });
        !is_strict.unwrap_or(false) && is_verified(Scheme::Ed25519, msg, &sig.0, &pub_key.0)
            || sp_io::crypto::ed25519_verify(sig, msg, pub_key)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{verify, Key, SignedMessage, VerifiedSignatures},
        *,
    };
    use proptest::prelude::*;
    use sp_core::Pair as _;
    use sp_io::TestExternalities;
    use sp_runtime::MultiSignature;
    use sp_wasm_interface::HostFunctions as _;
    use std::collections::BTreeMap;

    /// What is verified: the arguments of a host function.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Arguments {
        scheme: Scheme,
        message: Vec<u8>,
        signature: [u8; 64],
        signer: [u8; 32],
    }

    impl Arguments {
        fn honest(scheme: Scheme, seed: u8, message: Vec<u8>) -> Self {
            let (signature, signer) = match scheme {
                Scheme::Sr25519 => {
                    let pair = sr25519::Pair::from_seed(&[seed; 32]);
                    (pair.sign(&message).0, pair.public().0)
                },
                Scheme::Ed25519 => {
                    let pair = ed25519::Pair::from_seed(&[seed; 32]);
                    (pair.sign(&message).0, pair.public().0)
                },
            };
            Self { scheme, message, signature, signer }
        }

        fn key(&self) -> Key {
            key(self.scheme, &self.message, &self.signature, &self.signer)
        }

        fn signed(&self) -> SignedMessage {
            let signature = match self.scheme {
                Scheme::Sr25519 => MultiSignature::Sr25519(self.signature.into()),
                Scheme::Ed25519 => MultiSignature::Ed25519(self.signature.into()),
            };
            SignedMessage::new(self.message.clone(), signature, &self.signer.into()).unwrap()
        }

        /// By the SDK's host function.
        fn plain(&self) -> bool {
            let (message, signer) = (&self.message, self.signer);
            match self.scheme {
                Scheme::Sr25519 => sp_io::crypto::sr25519_verify(&self.signature.into(), message, &signer.into()),
                Scheme::Ed25519 => sp_io::crypto::ed25519_verify(&self.signature.into(), message, &signer.into()),
            }
        }

        /// By ours, in a call that has these.
        fn with(&self, kept: Option<BlockSignatures>) -> bool {
            let mut externalities = TestExternalities::default();
            if let Some(kept) = kept {
                externalities.register_extension(kept);
            }
            let (message, signer) = (&self.message, self.signer);
            externalities.execute_with(|| match self.scheme {
                Scheme::Sr25519 => crypto::sr25519_verify(&self.signature.into(), message, &signer.into()),
                Scheme::Ed25519 => crypto::ed25519_verify(&self.signature.into(), message, &signer.into()),
            })
        }
    }

    /// What is kept of a block with these signatures.
    fn kept_of(store: &VerifiedSignatures<u32>, block: u32, signed: &[Arguments]) -> Option<BlockSignatures> {
        let messages: Vec<_> = signed.iter().map(|arguments| (0, arguments.signed())).collect();
        let keys = verify(&messages).into_iter().flatten().map(|(_, key)| key).collect();
        store.insert(block, keys);
        store.take(&block)
    }

    /// What is done to arguments.
    #[derive(Clone, Copy, Debug)]
    enum Lie {
        None,
        FlippedBitOfSignature(usize),
        FlippedBitOfSigner(usize),
        LongerMessage,
        ShorterMessage,
        OtherScheme,
        OtherSigner,
    }

    fn tell(mut arguments: Arguments, lie: Lie) -> Arguments {
        match lie {
            Lie::None => (),
            Lie::FlippedBitOfSignature(bit) => arguments.signature[bit / 8 % 64] ^= 1 << (bit % 8),
            Lie::FlippedBitOfSigner(bit) => arguments.signer[bit / 8 % 32] ^= 1 << (bit % 8),
            Lie::LongerMessage => arguments.message.push(0),
            Lie::ShorterMessage => arguments.message.truncate(arguments.message.len().saturating_sub(1)),
            Lie::OtherScheme => {
                arguments.scheme = match arguments.scheme {
                    Scheme::Sr25519 => Scheme::Ed25519,
                    Scheme::Ed25519 => Scheme::Sr25519,
                }
            },
            Lie::OtherSigner => arguments.signer = Arguments::honest(arguments.scheme, 99, vec![]).signer,
        }
        arguments
    }

    fn any_arguments() -> impl proptest::strategy::Strategy<Value = Arguments> {
        let schemes = prop_oneof![Just(Scheme::Sr25519), Just(Scheme::Ed25519)];
        (schemes, 1u8..4, proptest::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(scheme, seed, message)| Arguments::honest(scheme, seed, message))
    }

    fn any_lie() -> impl proptest::strategy::Strategy<Value = Lie> {
        prop_oneof![
            4 => Just(Lie::None),
            1 => (0usize..512).prop_map(Lie::FlippedBitOfSignature),
            1 => (0usize..256).prop_map(Lie::FlippedBitOfSigner),
            1 => Just(Lie::LongerMessage),
            1 => Just(Lie::ShorterMessage),
            1 => Just(Lie::OtherScheme),
            1 => Just(Lie::OtherSigner),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn a_host_function_answers_the_same_with_and_without_what_was_verified_ahead(
            block in proptest::collection::vec((any_arguments(), any_lie()), 1..6),
            asked in any_lie(),
        ) {
            let block: Vec<_> = block.into_iter().map(|(arguments, lie)| tell(arguments, lie)).collect();
            let store = VerifiedSignatures::default();
            for arguments in &block {
                let asked = tell(arguments.clone(), asked);
                let with = asked.with(kept_of(&store, 0, &block));
                prop_assert_eq!(with, asked.plain());
                prop_assert_eq!(with, asked.with(None));
            }
        }

        #[test]
        fn what_is_kept_for_one_signature_is_never_found_for_another(
            one in any_arguments(),
            other in any_arguments(),
            lie in any_lie(),
        ) {
            for other in [other, tell(one.clone(), lie)] {
                prop_assert_eq!(one.key() == other.key(), one == other);
            }
        }
    }

    #[test]
    fn bytes_that_move_from_one_argument_to_the_next_make_another_key() {
        let signature: [u8; 64] = core::array::from_fn(|index| index as u8);
        let longer = key(Scheme::Sr25519, &[7, 8, 9], &signature, &[1; 32]);
        // The same bytes behind each other, with the last of the message in front of the signature.
        let mut moved = [0; 64];
        moved[0] = 9;
        moved[1..].copy_from_slice(&signature[..63]);
        let mut signer = [1; 32];
        signer[0] = signature[63];
        assert_ne!(key(Scheme::Sr25519, &[7, 8], &moved, &signer), longer);
    }

    #[test]
    fn a_right_signature_is_found_and_a_wrong_one_is_never_kept() {
        for scheme in [Scheme::Sr25519, Scheme::Ed25519] {
            let store = VerifiedSignatures::default();
            let right = Arguments::honest(scheme, 1, b"right".to_vec());
            let wrong = tell(right.clone(), Lie::LongerMessage);
            assert!(right.with(kept_of(&store, 0, std::slice::from_ref(&right))));
            assert_eq!((store.found(), store.missed()), (1, 0));
            assert!(kept_of(&store, 1, std::slice::from_ref(&wrong)).is_none());
            assert!(!wrong.with(kept_of(&store, 2, &[right])));
            assert_eq!((store.found(), store.missed()), (1, 1));
        }
    }

    #[test]
    fn what_a_liar_puts_under_the_hash_of_a_block_does_not_change_what_its_execution_finds() {
        let store = VerifiedSignatures::default();
        let other = Arguments::honest(Scheme::Sr25519, 1, b"other".to_vec());
        let forged = tell(Arguments::honest(Scheme::Sr25519, 2, b"mine".to_vec()), Lie::FlippedBitOfSignature(3));
        let kept = kept_of(&store, 7, &[other]);
        assert!(!forged.with(kept));
    }

    #[test]
    fn every_host_function_of_ours_replaces_one_of_the_sdk_and_none_is_lost() {
        let names = |functions: Vec<&'static dyn sp_wasm_interface::Function>| -> BTreeMap<String, _> {
            functions.into_iter().map(|function| (function.name().to_string(), function.signature())).collect()
        };
        let sdk = names(sp_io::SubstrateHostFunctions::host_functions());
        let ours = names(crypto::HostFunctions::host_functions());
        assert_eq!(ours.len(), 3);
        for name in ["ext_crypto_sr25519_verify_version_2", "ext_crypto_ed25519_verify_version_1"] {
            assert!(ours.contains_key(name));
        }
        for (name, signature) in &ours {
            assert_eq!(sdk.get(name), Some(signature), "{name}");
        }
        assert_eq!(names(HostFunctions::host_functions()).len(), sdk.len());
        assert_eq!(HostFunctions::host_functions().len(), sp_io::SubstrateHostFunctions::host_functions().len());
    }
}
