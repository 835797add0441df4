//! What node and miner say to each other, version 1: see `docs/mining.md`.

use serde::{de, Deserialize, Deserializer, Serialize, Serializer};

/// The version of the protocol.
pub const VERSION: u32 = 1;
/// The method that asks for work.
pub const GET_WORK: &str = "weir_getWork";
/// The method that asks to be told of work.
pub const SUBSCRIBE_WORK: &str = "weir_subscribeWork";
/// The method that ends that.
pub const UNSUBSCRIBE_WORK: &str = "weir_unsubscribeWork";
/// The method that hands in a nonce.
pub const SUBMIT_WORK: &str = "weir_submitWork";

/// 32 bytes, as `0x` and 64 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex32(pub [u8; 32]);

impl Serialize for Hex32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("0x{}", hex::encode(self.0)))
    }
}

impl<'de> Deserialize<'de> for Hex32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").ok_or_else(|| de::Error::custom("hexadecimal digits begin with 0x"))?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// A block that wants a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// The version of the protocol.
    pub version: u32,
    /// What the nonce is appended to. It names the work as well.
    pub preimage: Hex32,
    /// The greatest hash that will do, as a big-endian number.
    pub target: Hex32,
    /// The height of the block.
    pub height: u32,
    /// The block that it is a child of.
    pub parent: Hex32,
}

/// What a node says of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "status")]
pub enum Answer {
    /// The block was imported.
    #[serde(rename_all = "camelCase")]
    Accepted {
        /// Its hash.
        block: Hex32,
        /// Whether it is the node's best block now.
        is_best: bool,
    },
    /// The work is of a block that nobody needs any more: there is another best block.
    Stale,
    /// A nonce for the work was there before.
    Duplicate,
    /// The node does not know the work, or has forgotten it.
    Unknown,
    /// The hash is above the target.
    AboveTarget,
    /// The node could not import its own block. Its log says why.
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `docs/mining.md` shows.
    const WORK: &str = r#"{"version":1,"preimage":"0x0101010101010101010101010101010101010101010101010101010101010101","target":"0x00000fffffffffffffffffffffffffffffffffffffffffffffffffffffffffff","height":1234,"parent":"0x0202020202020202020202020202020202020202020202020202020202020202"}"#;

    #[test]
    fn work_and_answers_are_written_as_the_page_of_the_protocol_has_them() {
        let mut target = [0xff; 32];
        target[..3].copy_from_slice(&[0, 0, 0x0f]);
        let work =
            Work { version: 1, preimage: Hex32([1; 32]), target: Hex32(target), height: 1_234, parent: Hex32([2; 32]) };
        assert_eq!(serde_json::to_string(&work).unwrap(), WORK);
        assert_eq!(serde_json::from_str::<Work>(WORK).unwrap(), work);
        let accepted = Answer::Accepted { block: Hex32([3; 32]), is_best: true };
        let text = format!(r#"{{"status":"accepted","block":"0x{}","isBest":true}}"#, "03".repeat(32));
        assert_eq!(serde_json::to_string(&accepted).unwrap(), text);
        assert_eq!(serde_json::to_string(&Answer::AboveTarget).unwrap(), r#"{"status":"aboveTarget"}"#);
    }

    #[test]
    fn what_is_no_32_bytes_is_refused() {
        for text in ["\"01\"", "\"0x01\"", "\"0xzz\"", "1", "\"\""] {
            assert!(serde_json::from_str::<Hex32>(text).is_err(), "{text}");
        }
        let long = format!("\"0x{}\"", "00".repeat(33));
        assert!(serde_json::from_str::<Hex32>(&long).is_err());
    }

    #[test]
    fn work_that_a_later_version_has_more_in_can_be_read_for_its_version() {
        let later = WORK.replace("\"version\":1", "\"version\":2,\"more\":true");
        assert_eq!(serde_json::from_str::<Work>(&later).unwrap().version, 2);
    }
}
