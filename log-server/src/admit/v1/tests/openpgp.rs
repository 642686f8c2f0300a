//! Makes OpenPGP keys and signatures for tests: Ed25519 in its older form.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ed25519_dalek::{Signer as _, SigningKey};

use super::now;

/// Kinds of signatures and numbers of packets and subpackets, as in RFC 9580.
pub(super) const POSITIVE: u8 = 0x13;
pub(super) const SIGNATURE: u8 = 2;
pub(super) const PUBLIC_KEY: u8 = 6;
pub(super) const USER_ID: u8 = 13;
pub(super) const PUBLIC_SUBKEY: u8 = 14;

pub(super) const EXPIRES: u8 = 3;
pub(super) const KEY_EXPIRES: u8 = 9;
pub(super) const ISSUER: u8 = 16;
pub(super) const FLAGS: u8 = 27;

/// A packet with a header of the older format, and more bytes for its length than it needs.
pub(super) fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    // The older format has no place for the tags above 15.
    let header = if tag < 16 { vec![0x80 | tag << 2 | 2] } else { vec![0xc0 | tag, 0xff] };
    [&header[..], &len, body].concat()
}

pub(super) fn subpacket(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[u8::try_from(value.len() + 1).unwrap(), kind], value].concat()
}

/// A number with its length in bits.
pub(super) fn number(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[zeros..];
    let top = bytes.first().map_or(0, |top| top.leading_zeros() as usize);
    let bits = u16::try_from(bytes.len() * 8 - top).unwrap();
    [&bits.to_be_bytes()[..], bytes].concat()
}

/// Some time before the tests are, in seconds since 1970.
pub(super) fn past_s(seconds: i64) -> u32 {
    u32::try_from(now().as_second() - seconds).unwrap()
}

/// A key.
pub(super) struct Key {
    signing: SigningKey,
    pub(super) body: Vec<u8>,
}

/// What a signature says beside what it is over.
#[derive(Clone)]
pub(super) struct Claims {
    pub(super) kind: u8,
    pub(super) created_s: u32,
    pub(super) hashed: Vec<u8>,
    pub(super) unhashed: Vec<u8>,
}

impl Claims {
    pub(super) fn of(kind: u8) -> Self {
        Self { kind, created_s: past_s(1_000), hashed: Vec::new(), unhashed: Vec::new() }
    }

    pub(super) fn with(mut self, kind: u8, value: &[u8]) -> Self {
        self.hashed.extend(subpacket(kind, value));
        self
    }

    pub(super) fn created(self, created_s: u32) -> Self {
        Self { created_s, ..self }
    }
}

impl Key {
    pub(super) fn new(seed: u8) -> Self {
        Self::created(seed, past_s(10_000))
    }

    pub(super) fn created(seed: u8, created_s: u32) -> Self {
        const ED25519: &[u8] = &[9, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];
        let signing = SigningKey::from_bytes(&[seed; 32]);
        let point = [&[0x40], signing.verifying_key().as_bytes().as_slice()].concat();
        let body = [&[4], &created_s.to_be_bytes()[..], &[22], ED25519, &number(&point)].concat();
        Self { signing, body }
    }

    /// What is hashed of it.
    pub(super) fn hashed(&self) -> Vec<u8> {
        let len = u16::try_from(self.body.len()).unwrap().to_be_bytes();
        [&[0x99], &len[..], &self.body].concat()
    }

    pub(super) fn id(&self) -> [u8; 8] {
        let fingerprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.hashed());
        *fingerprint.as_ref().last_chunk().unwrap()
    }

    /// The body of a signature packet over these bytes, with SHA-256.
    pub(super) fn signature_body(&self, claims: &Claims, data: &[u8]) -> Vec<u8> {
        let created = subpacket(2, &claims.created_s.to_be_bytes());
        let hashed = [created, claims.hashed.clone()].concat();
        let unhashed = [subpacket(ISSUER, &self.id()), claims.unhashed.clone()].concat();
        let sized =
            |area: &[u8]| [&u16::try_from(area.len()).unwrap().to_be_bytes()[..], area].concat();
        let covered = [&[4, claims.kind, 22, 8], &sized(&hashed)[..]].concat();
        let len = u32::try_from(covered.len()).unwrap().to_be_bytes();
        let digest = digest(&SHA256, &[data, &covered, &[4, 0xff], &len].concat());
        let signature = self.signing.sign(digest.as_ref()).to_bytes();
        let numbers = [number(&signature[..32]), number(&signature[32..])].concat();
        [&covered[..], &sized(&unhashed), &digest.as_ref()[..2], &numbers].concat()
    }

    /// A signature of the version before, over data.
    pub(super) fn sign_v3(&self, created_s: u32, data: &[u8]) -> Vec<u8> {
        let hashed = [&[0], &created_s.to_be_bytes()[..]].concat();
        let digest = digest(&SHA256, &[data, &hashed].concat());
        let signature = self.signing.sign(digest.as_ref()).to_bytes();
        let numbers = [number(&signature[..32]), number(&signature[32..])].concat();
        let algorithms = [22, 8];
        let parts = [&[3, 5], &hashed[..], &self.id(), &algorithms, &digest.as_ref()[..2]];
        packet(SIGNATURE, &[parts.concat(), numbers].concat())
    }

    pub(super) fn sign(&self, claims: &Claims, data: &[u8]) -> Vec<u8> {
        packet(SIGNATURE, &self.signature_body(claims, data))
    }

    /// A name that this key certifies for another, or for itself.
    pub(super) fn certify(&self, claims: &Claims, other: &Self, name: &str) -> Vec<u8> {
        let len = u32::try_from(name.len()).unwrap().to_be_bytes();
        self.sign(claims, &[&other.hashed()[..], &[0xb4], &len, name.as_bytes()].concat())
    }

    /// A name and its self-signature.
    pub(super) fn named(&self, name: &str) -> Vec<u8> {
        self.named_with(&Claims::of(POSITIVE).with(FLAGS, &[3]), name)
    }

    pub(super) fn named_with(&self, claims: &Claims, name: &str) -> Vec<u8> {
        [packet(USER_ID, name.as_bytes()), self.certify(claims, self, name)].concat()
    }

    pub(super) fn packet(&self) -> Vec<u8> {
        packet(PUBLIC_KEY, &self.body)
    }

    /// Key and one name.
    pub(super) fn published(&self) -> Vec<u8> {
        [self.packet(), self.named("Some One <one@vectors.test>")].concat()
    }

    /// A subkey with what ties it to this key.
    pub(super) fn with_subkey(&self, subkey: &Self, binding: &Claims) -> Vec<u8> {
        let data = [self.hashed(), subkey.hashed()].concat();
        [packet(PUBLIC_SUBKEY, &subkey.body), self.sign(binding, &data)].concat()
    }

    /// A binding of a subkey that may sign, which the subkey owns up to.
    pub(super) fn signing_binding(&self, subkey: &Self) -> Claims {
        let data = [self.hashed(), subkey.hashed()].concat();
        let mut claims = Claims::of(0x18).with(FLAGS, &[2]);
        claims.unhashed = subpacket(32, &subkey.signature_body(&Claims::of(0x19), &data));
        claims
    }
}
