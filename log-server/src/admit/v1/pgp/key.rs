//! Key packets (RFC 9580, 5.5.2) of version 4, and what they verify.

use aws_lc_rs::digest::{Digest, SHA1_FOR_LEGACY_USE_ONLY, digest};
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Encode as _, Sequence};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::super::super::key::{KeyKind, RsaPublicKey, Use, VerifyingKey};
use super::super::super::signature::verify_ed25519;
use super::super::algorithm::{HashFunction, verification};
use super::PgpFault;
use super::packet::number;
use super::signature::Signature;

const ID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// How keys of the older kind call Ed25519: an object identifier without its header.
const ED25519_LEGACY: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];

/// First byte of an Ed25519 key of the older kind.
const NATIVE_POINT: u8 = 0x40;

/// The algorithms by their numbers (RFC 9580, 9.1).
mod algorithm {
    pub(super) const RSA: u8 = 1;
    pub(super) const RSA_SIGN_ONLY: u8 = 3;
    pub(super) const ECDSA: u8 = 19;
    pub(super) const EDDSA_LEGACY: u8 = 22;
    pub(super) const ED25519: u8 = 27;
}

/// The numbers of an ECDSA signature, as libraries want them.
#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// A key.
#[derive(Debug, Clone)]
pub(super) struct PublicKey<'a> {
    pub(super) body: &'a [u8],
    pub(super) id: u64,
    pub(super) created_s: u32,
    algorithm: u8,
    /// The members of the key.
    material: &'a [u8],
}

impl<'a> PublicKey<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, PgpFault> {
        let [version, c0, c1, c2, c3, algorithm, material @ ..] = body else {
            return Err(PgpFault::MalformedKey);
        };
        let Ok(len) = u16::try_from(body.len()) else { return Err(PgpFault::MalformedKey) };
        if *version != 4 {
            return Err(PgpFault::Unsupported("public key version"));
        }
        let hashed = [&[0x99], &len.to_be_bytes()[..], body].concat();
        let fingerprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, &hashed);
        let id = fingerprint.as_ref().last_chunk().ok_or(PgpFault::MalformedKey)?;
        Ok(Self {
            body,
            id: u64::from_be_bytes(*id),
            created_s: u32::from_be_bytes([*c0, *c1, *c2, *c3]),
            algorithm: *algorithm,
            material,
        })
    }

    /// What of it is hashed in signatures about it.
    pub(super) fn hashed_prefix(&self) -> [u8; 3] {
        let len = u16::try_from(self.body.len()).expect("invariant: parsed with such a length");
        let [high, low] = len.to_be_bytes();
        [0x99, high, low]
    }

    /// Whether signatures of it can be checked.
    pub(super) fn can_verify(&self) -> Result<(), PgpFault> {
        self.with_key(|_, _| Ok(()))
    }

    /// Checks a signature of this key over a digest.
    pub(super) fn verify(
        &self,
        signature: &Signature<'_>,
        (hash, digest): &(HashFunction, Digest),
    ) -> Result<(), PgpFault> {
        if signature.key_algorithm != self.algorithm {
            return Err(PgpFault::OtherAlgorithm);
        }
        self.with_key(|key, bytes| match key {
            VerifyingKey::Ed25519(key) => {
                let signature = self.ed25519_signature(signature.numbers)?;
                verify_ed25519(key, digest.as_ref(), &signature)
                    .map_err(|_| PgpFault::Unverified("EdDSA"))
            }
            VerifyingKey::Ecdsa(kind, _) => {
                let verified = ecdsa_signature(signature.numbers).and_then(|signature| {
                    verification(*kind, *hash)?.verify_digest_sig(bytes, digest, &signature).ok()
                });
                verified.ok_or(PgpFault::Unverified("ECDSA"))
            }
            VerifyingKey::Rsa(_) => {
                let verified = number(signature.numbers).and_then(|(signature, rest)| {
                    let signature = padded(signature, self.modulus_len()?)?;
                    let algorithm = verification(KeyKind::Rsa, *hash)?;
                    rest.is_empty().then_some(())?;
                    algorithm.verify_digest_sig(bytes, digest, &signature).ok()
                });
                verified.ok_or(PgpFault::Unverified("RSA"))
            }
        })
    }

    /// Hands out the key, ready to verify, and its bytes as libraries want them.
    fn with_key<T>(
        &self,
        f: impl FnOnce(&VerifyingKey, &[u8]) -> Result<T, PgpFault>,
    ) -> Result<T, PgpFault> {
        let rsa;
        let (oid, parameters, bytes) = match self.algorithm {
            algorithm::RSA | algorithm::RSA_SIGN_ONLY => {
                rsa = rsa_public_key(self.material).ok_or(PgpFault::MalformedKey)?;
                (RSA_ENCRYPTION, Some(AnyRef::NULL), rsa.as_slice())
            }
            algorithm::ECDSA => {
                let (curve, point) =
                    curve_and_point(self.material).ok_or(PgpFault::MalformedKey)?;
                let curve = AnyRef::new(der::Tag::ObjectIdentifier, curve);
                (ID_EC_PUBLIC_KEY, Some(curve.map_err(|_| PgpFault::MalformedKey)?), point)
            }
            algorithm::EDDSA_LEGACY => {
                let (curve, point) =
                    curve_and_point(self.material).ok_or(PgpFault::MalformedKey)?;
                if curve != ED25519_LEGACY {
                    return Err(PgpFault::Unsupported("EdDSA curve"));
                }
                let point = point.strip_prefix(&[NATIVE_POINT]).ok_or(PgpFault::MalformedKey)?;
                (ID_ED25519, None, point)
            }
            algorithm::ED25519 => (ID_ED25519, None, self.material),
            _ => return Err(PgpFault::Unsupported("public key algorithm")),
        };
        let info = SubjectPublicKeyInfoRef {
            algorithm: AlgorithmIdentifierRef { oid, parameters },
            subject_public_key: BitStringRef::from_bytes(bytes)
                .map_err(|_| PgpFault::MalformedKey)?,
        };
        let key = VerifyingKey::from_info(&info, Use::Sha256Message);
        f(&key.map_err(|_| PgpFault::Unsupported("public key"))?, bytes)
    }

    fn modulus_len(&self) -> Option<usize> {
        number(self.material).map(|(modulus, _)| modulus.len())
    }

    /// Two numbers in the older kind of packet, 64 bytes in the newer.
    fn ed25519_signature(&self, numbers: &[u8]) -> Result<Vec<u8>, PgpFault> {
        if self.algorithm == algorithm::ED25519 {
            return Ok(numbers.to_vec());
        }
        let pair = two_numbers(numbers).and_then(|(r, s)| Some((padded(r, 32)?, padded(s, 32)?)));
        pair.map(|(r, s)| [r, s].concat()).ok_or(PgpFault::MalformedSignature)
    }
}

/// With zeros in front, which are not written.
fn padded(number: &[u8], len: usize) -> Option<Vec<u8>> {
    let zeros = len.checked_sub(number.len())?;
    Some([&vec![0; zeros], number].concat())
}

fn two_numbers(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = number(bytes)?;
    let (second, rest) = number(rest)?;
    rest.is_empty().then_some((first, second))
}

fn rsa_public_key(material: &[u8]) -> Option<Vec<u8>> {
    let (modulus, exponent) = two_numbers(material)?;
    let key = RsaPublicKey {
        modulus: UintRef::new(modulus).ok()?,
        exponent: UintRef::new(exponent).ok()?,
    };
    key.to_der().ok()
}

fn ecdsa_signature(numbers: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = two_numbers(numbers)?;
    EcdsaSignature { r: UintRef::new(r).ok()?, s: UintRef::new(s).ok()? }.to_der().ok()
}

fn curve_and_point(material: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = material.split_first()?;
    let (curve, rest) = rest.split_at_checked(usize::from(*len))?;
    let (point, rest) = number(rest)?;
    rest.is_empty().then_some((curve, point))
}
