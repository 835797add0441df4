//! The identity key of an agent, and the key of its account.

use crate::Fatal;
use libp2p::{identity::Keypair, PeerId};
use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    str::FromStr,
};
use subxt_signer::{sr25519, SecretUri};

/// The Ed25519 key that signs an agent's reports, and is its peer.
#[derive(Clone)]
pub struct Identity {
    keypair: Keypair,
    public: [u8; 32],
}

impl Identity {
    /// Reads the key from a folder, or makes one there.
    ///
    /// # Errors
    ///
    /// When the folder cannot be used, or holds something else.
    pub fn load_or_make(folder: &Path) -> Result<Self, Fatal> {
        let path = folder.join("identity.key");
        let fail = |what: &str, error: &dyn std::fmt::Display| {
            Fatal(format!("the identity key {} cannot be {what}: {error}", path.display()))
        };
        fs::create_dir_all(folder)
            .map_err(|error| Fatal(format!("the folder {} cannot be made: {error}", folder.display())))?;
        let secret = match fs::read_to_string(&path) {
            Ok(text) => hex::decode(text.trim()).map_err(|error| fail("read", &error))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let secret: [u8; 32] = rand::random();
                fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)
                    .and_then(|mut file| file.write_all(hex::encode(secret).as_bytes()).and_then(|()| file.sync_all()))
                    .map_err(|error| fail("written", &error))?;
                secret.to_vec()
            },
            Err(error) => return Err(fail("read", &error)),
        };
        let keypair = Keypair::ed25519_from_bytes(secret).map_err(|error| fail("used", &error))?;
        Self::new(keypair).ok_or_else(|| Fatal(format!("{} is no Ed25519 key", path.display())))
    }

    /// A key that nobody keeps.
    ///
    /// # Errors
    ///
    /// Never, for a key of this kind; the library's interface leaves it open.
    pub fn for_once() -> Result<Self, Fatal> {
        Self::new(Keypair::generate_ed25519()).ok_or_else(|| Fatal("a new key is no Ed25519 key".into()))
    }

    fn new(keypair: Keypair) -> Option<Self> {
        let public = keypair.public().try_into_ed25519().ok()?.to_bytes();
        Some(Self { keypair, public })
    }

    /// The key pair, for libp2p.
    pub fn keypair(&self) -> Keypair {
        self.keypair.clone()
    }

    /// The public key, as the chain stores it.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// Signs.
    ///
    /// # Errors
    ///
    /// Never, for a key of this kind; the library's interface leaves it open.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], Fatal> {
        let signature = self.keypair.sign(message).map_err(|error| Fatal(error.to_string()))?;
        signature.try_into().map_err(|_| Fatal("an Ed25519 signature has 64 bytes".into()))
    }
}

/// The peer of a public key on chain; nothing if it is no point of the curve.
pub fn peer_of(public: &[u8; 32]) -> Option<PeerId> {
    let key = libp2p::identity::ed25519::PublicKey::try_from_bytes(public).ok()?;
    Some(libp2p::identity::PublicKey::from(key).to_peer_id())
}

/// The public key of a peer; nothing if it is of another kind than agents have.
pub fn key_of(peer: &PeerId) -> Option<[u8; 32]> {
    let key = libp2p::identity::PublicKey::try_decode_protobuf(peer.as_ref().digest()).ok()?;
    Some(key.try_into_ed25519().ok()?.to_bytes())
}

/// Whether a peer signed a message.
pub fn is_signed_by(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    libp2p::identity::ed25519::PublicKey::try_from_bytes(public).is_ok_and(|key| key.verify(message, signature))
}

/// The key of an account, from a secret URI or a file with one.
///
/// # Errors
///
/// One sentence, which never repeats the secret.
pub fn account_key(suri: Option<&str>, file: Option<&PathBuf>) -> Result<sr25519::Keypair, Fatal> {
    let text = match (suri, file) {
        (Some(suri), None) => suri.to_string(),
        (None, Some(file)) => fs::read_to_string(file)
            .map_err(|error| Fatal(format!("the key file {} cannot be read: {error}", file.display())))?,
        _ => return Err(Fatal("give the key of the account with either --key-file or --suri".into())),
    };
    let wrong = || Fatal("the key of the account is neither a secret phrase, a 0x seed nor a //derivation".into());
    let uri = SecretUri::from_str(text.trim()).map_err(|_| wrong())?;
    sr25519::Keypair::from_uri(&uri).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_is_read_again_and_nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let made = Identity::load_or_make(folder.path()).unwrap();
        let read = Identity::load_or_make(folder.path()).unwrap();
        assert_eq!(made.public(), read.public());
        let mode = fs::metadata(folder.path().join("identity.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }

    #[test]
    fn a_peer_tells_its_key_and_checks_its_signatures() {
        let identity = Identity::for_once().unwrap();
        let peer = peer_of(&identity.public()).unwrap();
        assert_eq!(key_of(&peer), Some(identity.public()));
        let signature = identity.sign(b"message").unwrap();
        assert!(is_signed_by(&identity.public(), b"message", &signature));
        assert!(!is_signed_by(&identity.public(), b"another", &signature));
    }

    #[test]
    fn a_damaged_key_is_refused_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("identity.key"), "zz").unwrap();
        let error = Identity::load_or_make(folder.path()).err().unwrap().to_string();
        assert!(error.contains("identity.key"), "{error}");
    }

    #[test]
    fn a_wrong_account_key_is_refused_without_repeating_it() {
        let error = account_key(Some("correct horse battery"), None).err().unwrap().to_string();
        assert!(!error.contains("horse"), "{error}");
    }
}
