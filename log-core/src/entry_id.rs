//! Tree ids and entry ids of Rekor v1: which tree of a host, and which leaf of that tree.

use std::fmt;
use std::str::FromStr;

use crate::checkpoint::Origin;
use crate::hash::Hash;

/// Hexadecimal digits of a tree id in an entry id.
const TREE_DIGITS: usize = 16;
/// What stands between the host and the tree id in an origin.
const ORIGIN_SEPARATOR: &str = " - ";

/// The number of a tree: 1 to 2^63 - 1, as clients read it into a signed integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeId(u64);

/// Text that is no tree id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tree id is a decimal number from 1 to 2^63 - 1, without leading zeros")]
pub struct BadTreeId;

/// The name of an entry: its tree and its leaf hash. Printed as 80 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryId {
    /// The tree that holds the entry.
    pub tree: TreeId,
    /// The RFC 6962 leaf hash of its canonical body.
    pub leaf_hash: Hash,
}

impl TreeId {
    /// Takes a number; `None` for 0 and for 2^63 and above.
    #[must_use]
    pub fn new(id: u64) -> Option<Self> {
        (id != 0 && i64::try_from(id).is_ok()).then_some(Self(id))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The tree id at the end of an origin of the form `HOST - TREEID`.
    #[must_use]
    pub fn of_origin(origin: &Origin) -> Option<Self> {
        Self::host_and_tree(origin).map(|(_, tree)| tree)
    }

    /// Both parts of an origin of the form `HOST - TREEID`. The host is also the name of the log's
    /// keys: an origin with spaces cannot be one.
    #[must_use]
    pub fn host_and_tree(origin: &Origin) -> Option<(&str, Self)> {
        let (host, tree) = origin.as_str().rsplit_once(ORIGIN_SEPARATOR)?;
        (!host.is_empty()).then_some((host, tree.parse().ok()?))
    }

    /// The origin of this tree on a host.
    #[must_use]
    pub fn origin_text(self, host: &str) -> String {
        format!("{host}{ORIGIN_SEPARATOR}{self}")
    }
}

impl fmt::Display for TreeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TreeId {
    type Err = BadTreeId;

    fn from_str(text: &str) -> Result<Self, BadTreeId> {
        // One number has one form: no sign, no leading zero.
        let has_one_form = !text.starts_with(['+', '0']);
        let id = text.parse().ok().filter(|_| has_one_form).and_then(Self::new);
        id.ok_or(BadTreeId)
    }
}

impl EntryId {
    /// Reads 80 hex digits of any case; `None` for any other text, and for a tree id out of range.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (tree, leaf_hash) = text.split_at_checked(TREE_DIGITS)?;
        // `from_str_radix` would take a sign.
        if !tree.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let tree = TreeId::new(u64::from_str_radix(tree, 16).ok()?)?;
        Some(Self { tree, leaf_hash: Hash::from_hex(&leaf_hash.to_ascii_lowercase())? })
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{}", self.tree.0, self.leaf_hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_ids_are_positive_and_fit_a_signed_integer() {
        for good in ["1", "2605736670972794746", "9223372036854775807"] {
            assert_eq!(good.parse::<TreeId>().map(|id| id.to_string()), Ok(good.into()));
        }
        for bad in ["", "0", "-1", "+1", "01", " 1", "1 ", "9223372036854775808", "x", "\u{661}"] {
            assert_eq!(bad.parse::<TreeId>(), Err(BadTreeId), "{bad:?}");
        }
    }

    #[test]
    fn an_origin_names_host_and_tree() {
        let origin = |text: &str| Origin::parse(text).expect("an origin");
        let good = origin("rekor.example - 17");
        let tree = TreeId::new(17).expect("in range");
        assert_eq!(TreeId::host_and_tree(&good), Some(("rekor.example", tree)));
        assert_eq!(tree.origin_text("rekor.example"), good.as_str());
        for bad in ["rekor.example", " - 17", "rekor.example -17", "a - 0", "a - 017", "a - b"] {
            assert_eq!(TreeId::of_origin(&origin(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn entry_ids_have_one_form_and_any_case_is_read() {
        let id = EntryId {
            tree: TreeId::new(0x1093_4b2c_d1e5_f607).expect("in range"),
            leaf_hash: Hash::from_bytes([0xab; 32]),
        };
        let text = format!("10934b2cd1e5f607{}", "ab".repeat(32));
        assert_eq!(id.to_string(), text);
        assert_eq!(EntryId::parse(&text), Some(id));
        assert_eq!(EntryId::parse(&text.to_uppercase()), Some(id));
        let hash = "ab".repeat(32);
        let bad = [
            String::new(),
            text[1..].into(),
            format!("{text}0"),
            format!("0000000000000000{hash}"),
            format!("8000000000000000{hash}"),
            format!("+000000000000001{hash}"),
            format!("000000000000000g{hash}"),
            format!("000000000000000\u{e9}{hash}"),
            format!("0000000000000001{}", "xy".repeat(32)),
        ];
        for bad in bad {
            assert_eq!(EntryId::parse(&bad), None, "{bad:?}");
        }
    }
}
