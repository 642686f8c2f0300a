//! Private keys of submitters: making, reading and using them.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use log_core::entry::HashAlgorithm;
use zeroize::Zeroizing;

use crate::artefact::Artefact;
use crate::pem::{PemError, pem_block, to_pem};
use crate::public_key::{PublicKey, PublicKeyError, ed25519_spki};

/// The algorithms that keys are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256, which every client understands.
    P256,
    /// ECDSA on P-384 with SHA-384.
    P384,
    /// ECDSA on P-521 with SHA-512.
    P521,
    /// Ed25519, used as Ed25519ph.
    Ed25519,
}

/// A private key that signs artefacts.
pub struct Signer {
    secret: Secret,
    public_key: PublicKey,
}

impl Signer {
    /// Makes a key and returns it as PKCS#8 PEM. The text is wiped when dropped.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Zeroizing<String>, SignerError> {
        let ecdsa = |parameters| {
            let key = EcdsaKeyPair::generate(parameters).map_err(|_| SignerError::Library)?;
            key.to_pkcs8v1().map_err(|_| SignerError::Library)
        };
        let pkcs8 = match algorithm {
            KeyAlgorithm::P256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)?,
            KeyAlgorithm::P384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING)?,
            KeyAlgorithm::P521 => ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING)?,
            KeyAlgorithm::Ed25519 => Ed25519KeyPair::generate()
                .and_then(|key| key.to_pkcs8v1())
                .map_err(|_| SignerError::Library)?,
        };
        Ok(Zeroizing::new(to_pem("PRIVATE KEY", pkcs8.as_ref())))
    }

    /// Reads an unencrypted PKCS#8 PEM of an ECDSA, Ed25519 or RSA key.
    pub fn from_pem(pem: &str) -> Result<Self, SignerError> {
        if pem.contains("ENCRYPTED ") {
            return Err(SignerError::Encrypted);
        }
        let pkcs8 = Zeroizing::new(pem_block(pem, "PRIVATE KEY")?);
        Self::from_pkcs8_der(&pkcs8)
    }

    /// Reads a PKCS#8 `PrivateKeyInfo`.
    pub fn from_pkcs8_der(pkcs8: &[u8]) -> Result<Self, SignerError> {
        for (algorithm, hash) in ECDSA {
            if let Ok(key) = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8) {
                let spki = key.public_key().as_der().map_err(|_| SignerError::Library)?;
                return Self::new(Secret::Ecdsa(key, *hash), spki.as_ref());
            }
        }
        if let Ok(key) = ed25519_dalek::SigningKey::from_pkcs8_der(pkcs8) {
            let spki = ed25519_spki(key.verifying_key().as_bytes());
            return Self::new(Secret::Ed25519(Box::new(key)), &spki);
        }
        let key = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| SignerError::Unsupported)?;
        let spki: PublicKeyX509Der<'_> =
            key.public_key().as_der().map_err(|_| SignerError::Library)?;
        let spki = spki.as_ref().to_vec();
        Self::new(Secret::Rsa(Box::new(key)), &spki)
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Signs the artefact over its digest; Ed25519 keys make an Ed25519ph signature.
    pub fn sign(&self, artefact: &Artefact) -> Result<Vec<u8>, SignerError> {
        match &self.secret {
            Secret::Ecdsa(key, hash) => {
                let signature = key.sign_digest(artefact.digest(*hash));
                Ok(signature.map_err(|_| SignerError::Library)?.as_ref().to_vec())
            }
            Secret::Ed25519(key) => {
                let signature = key.sign_prehashed(artefact.ed25519_prehash(), None);
                Ok(signature.map_err(|_| SignerError::Library)?.to_bytes().to_vec())
            }
            Secret::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let digest = artefact.digest(HashAlgorithm::Sha2_256);
                key.sign_digest(&RSA_PKCS1_SHA256, digest, &mut signature)
                    .map_err(|_| SignerError::Library)?;
                Ok(signature)
            }
        }
    }

    /// Signs a message as envelopes and older entries have it: Ed25519 without prehash, all other
    /// keys over the message's digest.
    pub fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        match &self.secret {
            Secret::Ed25519(key) => {
                Ok(ed25519_dalek::Signer::sign(key.as_ref(), message).to_bytes().to_vec())
            }
            Secret::Ecdsa(..) | Secret::Rsa(_) => self.sign(&Artefact::of(message)),
        }
    }

    fn new(secret: Secret, spki_der: &[u8]) -> Result<Self, SignerError> {
        Ok(Self { secret, public_key: PublicKey::from_spki_der(spki_der)? })
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

/// Why there is no usable private key, or no signature.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// There is no `PRIVATE KEY` block, or it is broken.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The key is encrypted.
    #[error("the private key is encrypted; decrypt it first (openssl pkey)")]
    Encrypted,
    /// The key is of a kind that no log accepts.
    #[error("not a PKCS#8 private key of ECDSA P-256, P-384, P-521, Ed25519 or RSA")]
    Unsupported,
    /// The public half is unusable.
    #[error(transparent)]
    PublicKey(#[from] PublicKeyError),
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Library,
}

enum Secret {
    Ecdsa(EcdsaKeyPair, HashAlgorithm),
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Rsa(Box<RsaKeyPair>),
}

const ECDSA: &[(&EcdsaSigningAlgorithm, HashAlgorithm)] = &[
    (&ECDSA_P256_SHA256_ASN1_SIGNING, HashAlgorithm::Sha2_256),
    (&ECDSA_P384_SHA384_ASN1_SIGNING, HashAlgorithm::Sha2_384),
    (&ECDSA_P521_SHA512_ASN1_SIGNING, HashAlgorithm::Sha2_512),
];

#[cfg(test)]
mod tests {
    use super::*;

    const ALGORITHMS: [KeyAlgorithm; 4] =
        [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::P521, KeyAlgorithm::Ed25519];

    #[test]
    fn made_keys_sign_what_their_public_half_verifies() {
        let artefact = Artefact::of(b"file");
        for algorithm in ALGORITHMS {
            let signer = Signer::from_pem(&Signer::generate(algorithm).unwrap()).unwrap();
            let mut signature = signer.sign(&artefact).unwrap();
            let key = signer.public_key();
            assert_eq!(key.verify(&artefact, &signature), Ok(()), "{algorithm:?}");
            assert!(key.verify(&Artefact::of(b"other"), &signature).is_err(), "{algorithm:?}");
            let last = signature.len() - 1;
            signature[last] ^= 1;
            assert!(key.verify(&artefact, &signature).is_err(), "{algorithm:?}");
            assert!(key.key_details().is_some());
        }
    }

    #[test]
    fn rsa_keys_are_read_and_used() {
        let key = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().unwrap();
        let signer = Signer::from_pkcs8_der(pkcs8.as_ref()).unwrap();
        let artefact = Artefact::of(b"file");
        let signature = signer.sign(&artefact).unwrap();
        assert_eq!(signer.public_key().verify(&artefact, &signature), Ok(()));
        let label = signer.public_key().key_details().unwrap();
        assert_eq!(label.name(), "PKIX_RSA_PKCS1V15_2048_SHA256");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(matches!(Signer::from_pem(""), Err(SignerError::Pem(_))));
        let garbage = to_pem("PRIVATE KEY", &[0x30, 0x80, 1, 2]);
        assert!(matches!(Signer::from_pem(&garbage), Err(SignerError::Unsupported)));
        let encrypted = to_pem("ENCRYPTED PRIVATE KEY", &[0x30, 0]);
        assert!(matches!(Signer::from_pem(&encrypted), Err(SignerError::Encrypted)));
    }

    #[test]
    fn a_signer_does_not_print_its_secret() {
        let signer = Signer::from_pem(&Signer::generate(KeyAlgorithm::Ed25519).unwrap()).unwrap();
        assert!(!format!("{signer:?}").contains("secret"));
    }
}
