//! Which keys may be used with which hash function.
//!
//! The policy looks at the actual key and at the hash function that the label `keyDetails` implies,
//! not at whether label and key fit: a 2048-bit RSA key labelled as 4096-bit is admitted, as the
//! reference server does. A label with another hash function than the key needs is refused.

use std::fmt;

use log_core::entry::{HashAlgorithm, KeyDetails};

use super::key::KeyKind;
use super::refusal::Reason;

/// What a label says about hashing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implied {
    /// The message is hashed first.
    Hash(HashAlgorithm),
    /// The message itself is signed (pure Ed25519).
    NoHash,
}

impl fmt::Display for Implied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hash(algorithm) => f.write_str(algorithm.name()),
            Self::NoHash => f.write_str("no prehash"),
        }
    }
}

/// A `keyDetails` that the protocol supports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label {
    pub(super) details: KeyDetails,
    implied: Implied,
}

impl Label {
    pub(super) fn parse(number: i32) -> Result<Self, Reason> {
        let unsupported = Reason::UnsupportedKeyDetails(number);
        let details = KeyDetails::from_number(number).ok_or(unsupported.clone())?;
        let implied = match details.hash_algorithm() {
            Some(algorithm) => Implied::Hash(algorithm),
            None if details == KeyDetails::PKIX_ED25519 => Implied::NoHash,
            None => return Err(unsupported),
        };
        Ok(Self { details, implied })
    }

    /// The hash function of a digest that this key signed: what `hashedrekord` needs.
    pub(super) fn permit_digest(self, key: KeyKind) -> Result<HashAlgorithm, Reason> {
        let hash = hash_of(key);
        if self.implied == Implied::Hash(hash) { Ok(hash) } else { Err(self.refuse(key)) }
    }

    /// The same for a signed message: what `dsse` needs. Ed25519 keys sign the message itself
    /// there, whichever of their two labels they come with.
    pub(super) fn permit_message(self, key: KeyKind) -> Result<(), Reason> {
        let pure_ed25519 = key == KeyKind::Ed25519 && self.implied == Implied::NoHash;
        if pure_ed25519 || self.implied == Implied::Hash(hash_of(key)) {
            Ok(())
        } else {
            Err(self.refuse(key))
        }
    }

    fn refuse(self, key: KeyKind) -> Reason {
        Reason::AlgorithmNotAllowed { key, label: self.details, implied: self.implied }
    }
}

/// The one hash function that each kind of key may be used with.
pub(super) const fn hash_of(key: KeyKind) -> HashAlgorithm {
    match key {
        KeyKind::EcdsaP256 | KeyKind::Rsa => HashAlgorithm::Sha2_256,
        KeyKind::EcdsaP384 => HashAlgorithm::Sha2_384,
        KeyKind::EcdsaP521 | KeyKind::Ed25519 => HashAlgorithm::Sha2_512,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [KeyKind; 5] = [
        KeyKind::EcdsaP256,
        KeyKind::EcdsaP384,
        KeyKind::EcdsaP521,
        KeyKind::Rsa,
        KeyKind::Ed25519,
    ];

    /// All pairs that the reference server takes for a digest, from its table of supported labels.
    #[test]
    fn every_label_admits_exactly_the_keys_of_its_hash_function() {
        let supported = [5, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18, 19, 20];
        for number in -1..=25 {
            let Ok(label) = Label::parse(number) else {
                assert!(!supported.contains(&number), "{number}");
                continue;
            };
            assert!(supported.contains(&number), "{number}");
            let keys: &[KeyKind] = match number {
                7 => &[],
                12 => &[KeyKind::EcdsaP384],
                8 | 13 => &[KeyKind::EcdsaP521, KeyKind::Ed25519],
                _ => &[KeyKind::EcdsaP256, KeyKind::Rsa],
            };
            for key in KEYS {
                let permitted = label.permit_digest(key).is_ok();
                assert_eq!(permitted, keys.contains(&key), "{key} labelled {number}");
                let pure = number == 7 && key == KeyKind::Ed25519;
                let message = label.permit_message(key).is_ok();
                assert_eq!(message, permitted || pure, "{key} labelled {number}");
            }
        }
    }

    #[test]
    fn a_refusal_names_key_label_and_hash_function() {
        let refused = Label::parse(12).unwrap().permit_digest(KeyKind::EcdsaP256).unwrap_err();
        let text = "ECDSA P-256 key with keyDetails PKIX_ECDSA_P384_SHA_384 (SHA2_384)";
        assert_eq!(refused.to_string(), format!("{text} is not allowed"));
    }
}
