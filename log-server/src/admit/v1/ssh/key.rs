//! Public keys of OpenSSH: lines of `authorized_keys`, and how each type of key verifies.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ParsedPublicKey,
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use der::asn1::UintRef;
use der::{Decode as _, Encode as _, Sequence};
use log_core::hash::sha256;

use super::super::super::key::{KeyKind, RsaPublicKey};
use super::super::super::signature::verify_ed25519;
use super::super::lax_base64;
use super::super::x509::KeyObject;
use super::wire::{Reader, Writer};
use super::{SshFault, SshSignature};

/// Longest key, in bytes, as the reference server has it.
const KEY_BYTES_MAX: usize = 65_536;

/// The elliptic curves: the key's type, the curve's name, and how its keys verify.
const CURVES: [(&str, &str, KeyKind, &dyn VerificationAlgorithm); 3] = [
    ("ecdsa-sha2-nistp256", "nistp256", KeyKind::EcdsaP256, &ECDSA_P256_SHA256_ASN1),
    ("ecdsa-sha2-nistp384", "nistp384", KeyKind::EcdsaP384, &ECDSA_P384_SHA384_ASN1),
    ("ecdsa-sha2-nistp521", "nistp521", KeyKind::EcdsaP521, &ECDSA_P521_SHA512_ASN1),
];
const RSA: &str = "ssh-rsa";
const ED25519: &str = "ssh-ed25519";
/// The types of keys in security tokens.
const TOKEN_P256: &str = "sk-ecdsa-sha2-nistp256@openssh.com";
const TOKEN_ED25519: &str = "sk-ssh-ed25519@openssh.com";

/// A public key.
pub(in super::super) struct SshKey {
    kind: &'static str,
    material: Material,
    /// What a security token was asked to sign for; it is part of the key.
    application: Option<Vec<u8>>,
}

enum Material {
    Ecdsa {
        point: Vec<u8>,
        curve: &'static str,
        algorithm: &'static dyn VerificationAlgorithm,
    },
    /// DER.
    Rsa(Vec<u8>),
    /// Whether it is a point is found out by who verifies with it.
    Ed25519([u8; 32]),
}

impl SshKey {
    /// The key in the first line that holds one. Options in front and comments behind are dropped.
    pub(in super::super) fn parse(text: &[u8]) -> Result<Self, SshFault> {
        if text.len() > KEY_BYTES_MAX {
            return Err(SshFault::KeyTooLong);
        }
        text.split(|byte| *byte == b'\n').find_map(key_of_line).ok_or(SshFault::NoKey)
    }

    /// `TYPE BASE64` and a line end.
    pub(in super::super) fn canonical(&self) -> Vec<u8> {
        format!("{} {}\n", self.kind, STANDARD.encode(self.to_wire())).into_bytes()
    }

    pub(super) fn from_wire(wire: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(wire);
        let name = reader.string()?;
        let known = CURVES.iter().map(|(kind, ..)| *kind);
        let mut known = known.chain([RSA, ED25519, TOKEN_P256, TOKEN_ED25519]);
        let kind = known.find(|kind| kind.as_bytes() == name)?;
        let material = match kind {
            ED25519 | TOKEN_ED25519 => Material::Ed25519(reader.string()?.try_into().ok()?),
            RSA => {
                let (exponent, modulus) = (reader.positive()?, reader.positive()?);
                let key = RsaPublicKey {
                    modulus: UintRef::new(modulus).ok()?,
                    exponent: UintRef::new(exponent).ok()?,
                };
                Material::Rsa(key.to_der().ok()?)
            }
            _ => {
                let curve = reader.string()?;
                let mut curves = CURVES.into_iter().filter(|(_, name, ..)| kind.contains(name));
                let (_, curve, _, algorithm) =
                    curves.find(|(_, name, ..)| name.as_bytes() == curve)?;
                let point = reader.string()?.to_vec();
                // Other encodings of a point are not keys of SSH.
                ParsedPublicKey::new(algorithm, &point).ok().filter(|_| point[0] == 4)?;
                Material::Ecdsa { point, curve, algorithm }
            }
        };
        let is_token = matches!(kind, TOKEN_P256 | TOKEN_ED25519);
        let application = if is_token { Some(reader.string()?.to_vec()) } else { None };
        reader.is_empty().then_some(Self { kind, material, application })
    }

    pub(super) fn to_wire(&self) -> Vec<u8> {
        let wire = match &self.material {
            Material::Ecdsa { point, curve, .. } => ecdsa_wire(self.kind, curve, point),
            Material::Rsa(der) => rsa_wire(der).unwrap_or_default(),
            Material::Ed25519(point) => ed25519_wire(self.kind, point),
        };
        match &self.application {
            Some(application) => Writer::new().bytes(&wire).string(application).finish(),
            None => wire,
        }
    }

    /// Verifies a signature over what SSHSIG makes of a message.
    pub(super) fn verify(&self, signed: &[u8], signature: &SshSignature) -> Result<(), SshFault> {
        let verified = match &self.application {
            None => self.verify_plain(signed, signature),
            Some(application) => {
                let signed = token_message(signed, application, &signature.rest);
                signed.and_then(|signed| self.verify_plain(&signed, signature))
            }
        };
        verified.ok_or(match self.material {
            Material::Rsa(_) => SshFault::RsaUnverified,
            _ => SshFault::Unverified,
        })
    }

    fn verify_plain(&self, signed: &[u8], signature: &SshSignature) -> Option<()> {
        let has_own_format = signature.format == self.kind.as_bytes();
        match &self.material {
            Material::Ed25519(point) if has_own_format => {
                let key = ed25519_dalek::VerifyingKey::from_bytes(point).ok()?;
                verify_ed25519(&key, signed, &signature.blob).ok()
            }
            Material::Ecdsa { point, algorithm, .. } if has_own_format => {
                let mut reader = Reader::new(&signature.blob);
                let (r, s) = (reader.positive()?, reader.positive()?);
                let numbers = EcdsaSignature { r: UintRef::new(r).ok()?, s: UintRef::new(s).ok()? };
                let der = numbers.to_der().ok().filter(|_| reader.is_empty())?;
                algorithm.verify_sig(point, signed, &der).ok()
            }
            Material::Rsa(der) => {
                let algorithm: &dyn VerificationAlgorithm = match signature.format.as_slice() {
                    b"rsa-sha2-512" => &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
                    b"rsa-sha2-256" => &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
                    b"ssh-rsa" => &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
                    _ => return None,
                };
                let len = RsaPublicKey::from_der(der).ok()?.modulus.as_bytes().len();
                // Some signers drop leading zeros.
                let zeros = len.checked_sub(signature.blob.len())?;
                let padded = [&vec![0; zeros], signature.blob.as_slice()].concat();
                algorithm.verify_sig(der, signed, &padded).ok()
            }
            _ => None,
        }
    }
}

/// What a token signs: digests, and the flags and the counter that came with the signature.
fn token_message(signed: &[u8], application: &[u8], rest: &[u8]) -> Option<Vec<u8>> {
    const FLAGS_AND_COUNTER_BYTES: usize = 5;
    let hash = |bytes: &[u8]| digest(&SHA256, bytes);
    (rest.len() == FLAGS_AND_COUNTER_BYTES)
        .then(|| [hash(application).as_ref(), rest, hash(signed).as_ref()].concat())
}

/// RFC 3279 2.2.3.
#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

fn key_of_line(line: &[u8]) -> Option<SshKey> {
    let line = line.split(|byte| *byte == b'\r').next()?.trim_ascii();
    if line.first() == Some(&b'#') {
        return None;
    }
    // A line starts with the type of the key, or with options, which may be quoted.
    key_behind_word(line).or_else(|| key_behind_word(line.get(options_len(line)..)?.trim_ascii()))
}

/// The key after the first word. The word itself is not compared with the type of the key.
fn key_behind_word(text: &[u8]) -> Option<SshKey> {
    let mut words = text.split(|byte| matches!(byte, b' ' | b'\t'));
    words.next()?;
    let digits = words.find(|word| !word.is_empty())?;
    SshKey::from_wire(&lax_base64::decode(digits).ok()?)
}

/// How long the options are: up to the first white space that is not in quotes.
fn options_len(line: &[u8]) -> usize {
    let mut is_quoted = false;
    let mut before = 0;
    for (at, byte) in line.iter().copied().enumerate() {
        match byte {
            b' ' | b'\t' if !is_quoted => return at,
            b'"' if before != b'\\' => is_quoted = !is_quoted,
            _ => {}
        }
        before = byte;
    }
    line.len()
}

/// The fingerprint of a key as OpenSSH prints it; `None` if OpenSSH has no such keys.
pub(in super::super) fn fingerprint(key: &KeyObject, kind: KeyKind) -> Option<String> {
    let bytes = key.public_key_bytes()?;
    let wire = match kind {
        KeyKind::Ed25519 => ed25519_wire(ED25519, &bytes),
        KeyKind::Rsa => rsa_wire(&bytes)?,
        curve => {
            let (name, curve, ..) = CURVES.into_iter().find(|(_, _, kind, _)| *kind == curve)?;
            ecdsa_wire(name, curve, &bytes)
        }
    };
    Some(format!("SHA256:{}", STANDARD_NO_PAD.encode(sha256(&wire).as_bytes())))
}

fn ed25519_wire(kind: &str, point: &[u8]) -> Vec<u8> {
    Writer::new().string(kind.as_bytes()).string(point).finish()
}

fn ecdsa_wire(kind: &str, curve: &str, point: &[u8]) -> Vec<u8> {
    Writer::new().string(kind.as_bytes()).string(curve.as_bytes()).string(point).finish()
}

fn rsa_wire(der: &[u8]) -> Option<Vec<u8>> {
    let key = RsaPublicKey::from_der(der).ok()?;
    let (exponent, modulus) = (key.exponent.as_bytes(), key.modulus.as_bytes());
    Some(Writer::new().string(RSA.as_bytes()).positive(exponent).positive(modulus).finish())
}
