//! Signature packets (RFC 9580, 5.2) of versions 3 and 4.

use aws_lc_rs::digest::{Context, Digest};

use super::super::algorithm::HashFunction;
use super::PgpFault;
use super::packet::subpacket_length;

/// What a signature is over.
pub(super) mod kind {
    pub(in super::super) const BINARY: u8 = 0x00;
    pub(in super::super) const TEXT: u8 = 0x01;
    pub(in super::super) const CERTIFICATIONS: std::ops::RangeInclusive<u8> = 0x10..=0x13;
    pub(in super::super) const SUBKEY_BINDING: u8 = 0x18;
    pub(in super::super) const PRIMARY_KEY_BINDING: u8 = 0x19;
    pub(in super::super) const DIRECT_KEY: u8 = 0x1f;
    pub(in super::super) const KEY_REVOCATION: u8 = 0x20;
    pub(in super::super) const SUBKEY_REVOCATION: u8 = 0x28;
    pub(in super::super) const CERTIFICATION_REVOCATION: u8 = 0x30;
}

/// Subpackets that are understood (RFC 9580, 5.2.3.7). Others may be there, unless they are
/// critical.
mod subpacket {
    pub(super) const CREATED: u8 = 2;
    pub(super) const EXPIRES: u8 = 3;
    pub(super) const KEY_EXPIRES: u8 = 9;
    pub(super) const ISSUER: u8 = 16;
    pub(super) const NOTATION: u8 = 20;
    pub(super) const PRIMARY_USER_ID: u8 = 25;
    pub(super) const KEY_FLAGS: u8 = 27;
    pub(super) const EMBEDDED_SIGNATURE: u8 = 32;
    pub(super) const ISSUER_FINGERPRINT: u8 = 33;
    /// Preferences and hints, which decide nothing here.
    pub(super) const HARMLESS: [u8; 15] = [4, 5, 6, 7, 11, 12, 21, 22, 23, 24, 26, 28, 29, 30, 34];
}

/// May sign data.
const FLAG_SIGN: u8 = 0x02;

/// A signature.
#[derive(Debug, Clone, Default)]
pub(super) struct Signature<'a> {
    pub(super) kind: u8,
    /// The algorithm of the key.
    pub(super) key_algorithm: u8,
    /// The numbers of the signature itself.
    pub(super) numbers: &'a [u8],
    pub(super) created_s: u32,
    /// After its creation; zero is never.
    pub(super) expires_after_s: u32,
    /// After the creation of the key that it is about; zero is never.
    pub(super) key_expires_after_s: u32,
    pub(super) issuer: Option<u64>,
    pub(super) is_primary_user_id: bool,
    pub(super) has_critical_notation: bool,
    pub(super) embedded: Option<&'a [u8]>,
    flags: Option<u8>,
    hash: Option<HashFunction>,
    /// What is hashed behind the data.
    trailer: Vec<u8>,
    /// The first two bytes of the digest.
    digest_start: [u8; 2],
}

impl<'a> Signature<'a> {
    /// A signature over data, of either version.
    pub(super) fn parse_detached(body: &'a [u8]) -> Result<Self, PgpFault> {
        match body {
            [3, 5, rest @ ..] => Self::parse_v3(rest).ok_or(PgpFault::MalformedSignature)?,
            _ => Self::parse(body),
        }
    }

    /// A signature as keys have them, of version 4.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, PgpFault> {
        match body {
            [4, rest @ ..] => Self::parse_v4(rest).ok_or(PgpFault::MalformedSignature)?,
            _ => Err(PgpFault::Unsupported("signature version")),
        }
    }

    fn parse_v3(body: &'a [u8]) -> Option<Result<Self, PgpFault>> {
        let (hashed, rest) = body.split_at_checked(5)?;
        let (issuer, rest) = rest.split_first_chunk::<8>()?;
        let [key_algorithm, hash, start_0, start_1, numbers @ ..] = rest else { return None };
        let [kind, created @ ..] = hashed.first_chunk::<5>()?;
        if !is_known(*key_algorithm, *hash) {
            return Some(Err(PgpFault::Unsupported("signature algorithm")));
        }
        Some(Ok(Self {
            kind: *kind,
            key_algorithm: *key_algorithm,
            numbers,
            created_s: u32::from_be_bytes(*created),
            issuer: Some(u64::from_be_bytes(*issuer)),
            hash: hash_function(*hash),
            trailer: hashed.to_vec(),
            digest_start: [*start_0, *start_1],
            ..Self::default()
        }))
    }

    fn parse_v4(body: &'a [u8]) -> Option<Result<Self, PgpFault>> {
        let [kind, key_algorithm, hash, rest @ ..] = body else { return None };
        let (hashed, rest) = sized(rest)?;
        let (unhashed, rest) = sized(rest)?;
        let [start_0, start_1, numbers @ ..] = rest else { return None };
        if !is_known(*key_algorithm, *hash) {
            return Some(Err(PgpFault::Unsupported("signature algorithm")));
        }
        // The packet up to its hashed subpackets, and how long that is.
        let covered = [&[4], &body[..5 + hashed.len()]].concat();
        let len = u32::try_from(covered.len()).ok()?.to_be_bytes();
        let mut signature = Self {
            kind: *kind,
            key_algorithm: *key_algorithm,
            numbers,
            hash: hash_function(*hash),
            trailer: [&covered[..], &[4, 0xff], &len].concat(),
            digest_start: [*start_0, *start_1],
            ..Self::default()
        };
        let mut has_creation = false;
        for (is_hashed, mut area) in [(true, hashed), (false, unhashed)] {
            while !area.is_empty() {
                let (len, rest) = subpacket_length(area)?;
                let (subpacket, rest) = rest.split_at_checked(len)?;
                area = rest;
                let (kind, value) = subpacket.split_first()?;
                let (kind, is_critical) = (kind & 0x7f, kind & 0x80 != 0);
                has_creation |= is_hashed && kind == subpacket::CREATED;
                match signature.take(kind, is_critical, is_hashed, value)? {
                    Ok(()) => {}
                    Err(fault) => return Some(Err(fault)),
                }
            }
        }
        Some(if has_creation { Ok(signature) } else { Err(PgpFault::MalformedSignature) })
    }

    /// Of what is not hashed only those count that lie at their own cost.
    fn take(
        &mut self,
        kind: u8,
        is_critical: bool,
        is_hashed: bool,
        value: &'a [u8],
    ) -> Option<Result<(), PgpFault>> {
        let number = || value.try_into().ok().map(u32::from_be_bytes);
        match kind {
            subpacket::ISSUER => {
                self.issuer = Some(u64::from_be_bytes(value.try_into().ok()?));
            }
            subpacket::ISSUER_FINGERPRINT => {
                let (version, fingerprint) = value.split_first()?;
                if *version == 4 && fingerprint.len() == 20 {
                    let id = fingerprint.last_chunk::<8>()?;
                    self.issuer.get_or_insert(u64::from_be_bytes(*id));
                }
            }
            subpacket::EMBEDDED_SIGNATURE => self.embedded = Some(value),
            _ if !is_hashed => {}
            subpacket::CREATED => self.created_s = number()?,
            subpacket::EXPIRES => self.expires_after_s = number()?,
            subpacket::KEY_EXPIRES => self.key_expires_after_s = number()?,
            subpacket::PRIMARY_USER_ID => {
                self.is_primary_user_id = value.first().is_some_and(|flag| *flag != 0);
            }
            subpacket::KEY_FLAGS => self.flags = value.first().copied(),
            subpacket::NOTATION => self.has_critical_notation |= is_critical,
            other if is_critical && !subpacket::HARMLESS.contains(&other) => {
                return Some(Err(PgpFault::Unsupported("critical signature subpacket")));
            }
            _ => {}
        }
        Some(Ok(()))
    }

    /// Whether the key that it is about may sign data; keys from before there were flags may.
    pub(super) fn lets_sign(&self) -> bool {
        self.flags.is_none_or(|flags| flags & FLAG_SIGN != 0)
    }

    /// Whether it says so.
    pub(super) fn names_signing(&self) -> bool {
        self.flags.is_some_and(|flags| flags & FLAG_SIGN != 0)
    }

    /// The digest that is signed, with the hash function that makes it.
    ///
    /// # Errors
    /// Also if it starts otherwise than the signature says: most wrong keys end here.
    pub(super) fn digest(&self, data: &[&[u8]]) -> Result<(HashFunction, Digest), PgpFault> {
        let hash = self.hash.ok_or(PgpFault::Unsupported("hash function"))?;
        let mut context = Context::new(hash.algorithm());
        data.iter().for_each(|part| context.update(part));
        context.update(&self.trailer);
        let digest = context.finish();
        if digest.as_ref().first_chunk() == Some(&self.digest_start) {
            Ok((hash, digest))
        } else {
            Err(PgpFault::HashTag)
        }
    }

    /// Whether it counts at this time. Seconds since 1970.
    pub(super) fn holds_at(&self, now_s: i64) -> bool {
        holds(self.created_s, self.expires_after_s, now_s)
    }

    /// Whether its time was over then. Keys are certified anew, later than they sign.
    pub(super) fn has_ended_at(&self, then_s: i64) -> bool {
        then_s >= i64::from(self.created_s) && !self.holds_at(then_s)
    }
}

/// Whether something that was made then, and holds for so long, or for ever if zero, holds now.
pub(super) fn holds(created_s: u32, for_s: u32, now_s: i64) -> bool {
    let created = i64::from(created_s);
    created <= now_s && (for_s == 0 || now_s <= created + i64::from(for_s))
}

/// Bytes with a length of two bytes in front, and what follows them.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

/// Whether the reference server knows both algorithms, by their numbers (RFC 9580, 9.1 and 9.5). In
/// keys it leaves out signatures that it does not know, and keeps the others, checked or not.
fn is_known(key_algorithm: u8, hash: u8) -> bool {
    matches!(key_algorithm, 1 | 3 | 17 | 19 | 22 | 27 | 28) && matches!(hash, 2 | 8..=12 | 14)
}

/// The hash functions that are good enough, by their numbers (RFC 9580, 9.5).
fn hash_function(number: u8) -> Option<HashFunction> {
    match number {
        2 => Some(HashFunction::Sha1),
        8 => Some(HashFunction::Sha256),
        9 => Some(HashFunction::Sha384),
        10 => Some(HashFunction::Sha512),
        _ => None,
    }
}
