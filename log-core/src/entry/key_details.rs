//! Sigstore's enum `PublicKeyDetails`: the submitter's label for a key and its algorithm.

use std::fmt;

use super::HashAlgorithm;

/// All names, by number less one (protobuf-specs, `sigstore_common.proto`).
const NAMES: [&str; 23] = [
    "PKCS1_RSA_PKCS1V5",
    "PKCS1_RSA_PSS",
    "PKIX_RSA_PKCS1V5",
    "PKIX_RSA_PSS",
    "PKIX_ECDSA_P256_SHA_256",
    "PKIX_ECDSA_P256_HMAC_SHA_256",
    "PKIX_ED25519",
    "PKIX_ED25519_PH",
    "PKIX_RSA_PKCS1V15_2048_SHA256",
    "PKIX_RSA_PKCS1V15_3072_SHA256",
    "PKIX_RSA_PKCS1V15_4096_SHA256",
    "PKIX_ECDSA_P384_SHA_384",
    "PKIX_ECDSA_P521_SHA_512",
    "LMS_SHA256",
    "LMOTS_SHA256",
    "PKIX_RSA_PSS_2048_SHA256",
    "PKIX_RSA_PSS_3072_SHA256",
    "PKIX_RSA_PSS_4096_SHA256",
    "PKIX_ECDSA_P384_SHA_256",
    "PKIX_ECDSA_P521_SHA_256",
    "ML_DSA_65",
    "ML_DSA_87",
    "ML_DSA_44",
];

/// One value of the enum, never the unspecified one. Displays as its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDetails(u8);

impl KeyDetails {
    /// ECDSA on P-256 over SHA-256.
    pub const PKIX_ECDSA_P256_SHA_256: Self = Self(5);
    /// Ed25519 over the message itself.
    pub const PKIX_ED25519: Self = Self(7);
    /// Ed25519ph: Ed25519 over the SHA-512 of the message.
    pub const PKIX_ED25519_PH: Self = Self(8);
    /// RSA of 2048 bits, PKCS#1 v1.5, SHA-256.
    pub const PKIX_RSA_PKCS1V15_2048_SHA256: Self = Self(9);
    /// RSA of 3072 bits, PKCS#1 v1.5, SHA-256.
    pub const PKIX_RSA_PKCS1V15_3072_SHA256: Self = Self(10);
    /// RSA of 4096 bits, PKCS#1 v1.5, SHA-256.
    pub const PKIX_RSA_PKCS1V15_4096_SHA256: Self = Self(11);
    /// ECDSA on P-384 over SHA-384.
    pub const PKIX_ECDSA_P384_SHA_384: Self = Self(12);
    /// ECDSA on P-521 over SHA-512.
    pub const PKIX_ECDSA_P521_SHA_512: Self = Self(13);

    /// The value with this enum name.
    pub fn from_name(name: &str) -> Option<Self> {
        let position = NAMES.iter().position(|known| *known == name)?;
        u8::try_from(position + 1).ok().map(Self)
    }

    /// The value with this protobuf number, 1 to 23.
    pub fn from_number(number: i32) -> Option<Self> {
        let number = u8::try_from(number).ok()?;
        (1..=NAMES.len()).contains(&usize::from(number)).then_some(Self(number))
    }

    /// The enum name, as in a canonical leaf.
    pub fn name(self) -> &'static str {
        NAMES[usize::from(self.0) - 1]
    }

    /// The protobuf number.
    pub fn number(self) -> i32 {
        i32::from(self.0)
    }

    /// The hash that the label implies for the signed digest; `None` for labels that have no
    /// digest (pure Ed25519) or that Rekor's algorithm registry does not know.
    pub const fn hash_algorithm(self) -> Option<HashAlgorithm> {
        match self.0 {
            5 | 9..=11 | 16..=20 => Some(HashAlgorithm::Sha2_256),
            12 => Some(HashAlgorithm::Sha2_384),
            8 | 13 => Some(HashAlgorithm::Sha2_512),
            _ => None,
        }
    }
}

impl fmt::Display for KeyDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for KeyDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDetails({})", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_name_and_back() {
        for number in 1..=23 {
            let details = KeyDetails::from_number(number).unwrap();
            assert_eq!(details.number(), number);
            assert_eq!(KeyDetails::from_name(details.name()), Some(details));
        }
        for outside in [i32::MIN, -1, 0, 24, 256, 261, i32::MAX] {
            assert_eq!(KeyDetails::from_number(outside), None);
        }
        for unknown in ["", "PUBLIC_KEY_DETAILS_UNSPECIFIED", "pkix_ed25519", "5"] {
            assert_eq!(KeyDetails::from_name(unknown), None);
        }
    }

    #[test]
    fn the_constants_are_what_they_are_called() {
        assert_eq!(KeyDetails::PKIX_ECDSA_P256_SHA_256.name(), "PKIX_ECDSA_P256_SHA_256");
        assert_eq!(KeyDetails::PKIX_ED25519.name(), "PKIX_ED25519");
        assert_eq!(KeyDetails::PKIX_ED25519_PH.name(), "PKIX_ED25519_PH");
        let rsa = KeyDetails::PKIX_RSA_PKCS1V15_2048_SHA256;
        assert_eq!(rsa.name(), "PKIX_RSA_PKCS1V15_2048_SHA256");
        let rsa = KeyDetails::PKIX_RSA_PKCS1V15_3072_SHA256;
        assert_eq!(rsa.name(), "PKIX_RSA_PKCS1V15_3072_SHA256");
        let rsa = KeyDetails::PKIX_RSA_PKCS1V15_4096_SHA256;
        assert_eq!(rsa.name(), "PKIX_RSA_PKCS1V15_4096_SHA256");
        assert_eq!(KeyDetails::PKIX_ECDSA_P384_SHA_384.name(), "PKIX_ECDSA_P384_SHA_384");
        assert_eq!(KeyDetails::PKIX_ECDSA_P521_SHA_512.name(), "PKIX_ECDSA_P521_SHA_512");
    }

    #[test]
    fn the_hash_follows_from_the_label() {
        for number in 1..=23 {
            let details = KeyDetails::from_number(number).unwrap();
            let name = details.name();
            let expected = match name {
                "PKIX_ECDSA_P256_HMAC_SHA_256" | "LMS_SHA256" | "LMOTS_SHA256" => None,
                "PKIX_ED25519_PH" => Some(HashAlgorithm::Sha2_512),
                _ if name.ends_with("256") => Some(HashAlgorithm::Sha2_256),
                _ if name.ends_with("384") => Some(HashAlgorithm::Sha2_384),
                _ if name.ends_with("512") => Some(HashAlgorithm::Sha2_512),
                _ => None,
            };
            assert_eq!(details.hash_algorithm(), expected, "{name}");
        }
    }
}
