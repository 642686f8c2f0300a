//! Keys as people publish them: a primary key, names, subkeys, and the signatures that tie them
//! together (RFC 9580, 10.1). What ties nothing is left out, as the reference server does.

use super::PgpFault;
use super::key::PublicKey;
use super::packet::{Packet, packets, tag};
use super::signature::{Signature, holds, kind};

/// Most signatures of a key that are checked. Each costs as much as an entry of another kind;
/// keys that an entry can hold have fewer.
const CHECKED_SIGNATURES_MAX: usize = 128;

/// One primary key after the other, with what belongs to them.
#[derive(Debug)]
pub(super) struct Ring<'a>(Vec<Entity<'a>>);

/// A primary key with its names and subkeys.
#[derive(Debug)]
struct Entity<'a> {
    primary: PublicKey<'a>,
    revocations: Vec<Packet<'a>>,
    /// Signatures over the primary key alone.
    direct: Vec<Packet<'a>>,
    /// In the order of the input.
    identities: Vec<Identity<'a>>,
    subkeys: Vec<Subkey<'a>>,
}

/// A name.
#[derive(Debug)]
struct Identity<'a> {
    id: Packet<'a>,
    /// Those of strangers too.
    signatures: Vec<Packet<'a>>,
    /// The latest one of the key itself.
    binding: Option<Signature<'a>>,
    revocations: usize,
}

#[derive(Debug)]
struct Subkey<'a> {
    packet: Packet<'a>,
    key: PublicKey<'a>,
    revocations: Vec<Packet<'a>>,
    /// The latest one.
    binding: (Packet<'a>, Signature<'a>),
}

/// A key that may have made a signature.
pub(super) struct Candidate<'r, 'a> {
    pub(super) key: &'r PublicKey<'a>,
    entity: &'r Entity<'a>,
    subkey: Option<&'r Subkey<'a>>,
}

impl<'a> Ring<'a> {
    /// All keys that can be used; those that cannot are skipped, if there are others.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, PgpFault> {
        let packets = packets(bytes)?;
        if packets.iter().any(|packet| matches!(packet.tag, tag::SECRET_KEY | tag::SECRET_SUBKEY)) {
            return Err(PgpFault::SecretKey);
        }
        if packets.iter().any(|packet| packet.tag == tag::COMPRESSED) {
            return Err(PgpFault::Unsupported("compressed packet"));
        }
        let mut rest = packets.as_slice();
        let mut checks = Checks(CHECKED_SIGNATURES_MAX);
        let mut entities = Vec::new();
        let mut last_fault = PgpFault::NoKey;
        while let Some(at) = rest.iter().position(|packet| packet.tag == tag::PUBLIC_KEY) {
            let next = rest[at + 1..].iter().position(|packet| packet.tag == tag::PUBLIC_KEY);
            let end = next.map_or(rest.len(), |next| at + 1 + next);
            match Entity::parse(&rest[at..end], &mut checks) {
                Ok(entity) => entities.push(entity),
                Err(PgpFault::TooManySignatures) => return Err(PgpFault::TooManySignatures),
                Err(fault) => last_fault = fault,
            }
            rest = &rest[end..];
        }
        if entities.is_empty() { Err(last_fault) } else { Ok(Self(entities)) }
    }

    /// The same keys again, with packet headers of the newer format.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for entity in &self.0 {
            Packet { tag: tag::PUBLIC_KEY, body: entity.primary.body }.write(&mut out);
            let tied = entity.revocations.iter().chain(&entity.direct);
            tied.for_each(|packet| packet.write(&mut out));
            for identity in &entity.identities {
                identity.id.write(&mut out);
                identity.signatures.iter().for_each(|packet| packet.write(&mut out));
            }
            for subkey in &entity.subkeys {
                subkey.packet.write(&mut out);
                subkey.revocations.iter().for_each(|packet| packet.write(&mut out));
                subkey.binding.0.write(&mut out);
            }
        }
        out
    }

    /// The names, in the order of the input.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        let identities = self.0.iter().flat_map(|entity| &entity.identities);
        identities.map(|identity| identity.id.body)
    }

    /// The keys with this id that may sign data.
    pub(super) fn signers(&self, id: u64) -> Vec<Candidate<'_, 'a>> {
        let mut found = Vec::new();
        for entity in &self.0 {
            let binding = entity.primary_identity().and_then(|identity| identity.binding.as_ref());
            if entity.primary.id == id && binding.is_some_and(Signature::lets_sign) {
                found.push(Candidate { key: &entity.primary, entity, subkey: None });
            }
            let subkeys = entity.subkeys.iter().filter(|subkey| subkey.key.id == id);
            for subkey in subkeys.filter(|subkey| subkey.binding.1.lets_sign()) {
                found.push(Candidate { key: &subkey.key, entity, subkey: Some(subkey) });
            }
        }
        found
    }
}

impl Candidate<'_, '_> {
    /// Whether a signature that this key made counts now, and the key counted when it made it.
    pub(super) fn check_in_force(
        &self,
        signature: &Signature<'_>,
        now_s: i64,
    ) -> Result<(), PgpFault> {
        let identity = self.entity.primary_identity();
        let binding = identity.and_then(|identity| identity.binding.as_ref());
        let subkey_binding = self.subkey.map(|subkey| &subkey.binding.1);
        let used = [Some(signature), binding, subkey_binding];
        if used.iter().flatten().any(|signature| signature.has_critical_notation) {
            return Err(PgpFault::CriticalNotation);
        }
        let is_revoked = !self.entity.revocations.is_empty()
            || self.subkey.is_some_and(|subkey| !subkey.revocations.is_empty())
            || identity.is_some_and(|identity| identity.revocations > 0);
        if is_revoked {
            return Err(PgpFault::KeyRevoked);
        }
        // Old signatures are logged too: what their keys were then is what counts.
        let then_s = i64::from(signature.created_s);
        let lived = |key: &PublicKey<'_>, binding: Option<&Signature<'_>>| {
            let for_s = binding.map_or(0, |binding| binding.key_expires_after_s);
            let is_bound = binding.is_none_or(|binding| !binding.has_ended_at(then_s));
            is_bound && holds(key.created_s, for_s, then_s)
        };
        let subkey_lived = self.subkey.is_none_or(|subkey| lived(&subkey.key, subkey_binding));
        if !lived(&self.entity.primary, binding) || !subkey_lived {
            return Err(PgpFault::KeyExpired);
        }
        if signature.holds_at(now_s) { Ok(()) } else { Err(PgpFault::SignatureExpired) }
    }
}

impl<'a> Entity<'a> {
    /// Reads the packets from a primary key to the next.
    fn parse(packets: &[Packet<'a>], checks: &mut Checks) -> Result<Self, PgpFault> {
        let [primary, rest @ ..] = packets else { return Err(PgpFault::NoKey) };
        let primary = PublicKey::parse(primary.body)?;
        primary.can_verify()?;
        let mut entity = Self {
            primary,
            revocations: Vec::new(),
            direct: Vec::new(),
            identities: Vec::new(),
            subkeys: Vec::new(),
        };
        let mut rest = rest;
        while let [packet, after @ ..] = rest {
            let is_signature = |packet: &Packet<'_>| packet.tag == tag::SIGNATURE;
            let signatures = after.iter().take_while(|packet| is_signature(packet)).count();
            let (signatures, after) = after.split_at(signatures);
            match packet.tag {
                tag::USER_ID => {
                    rest = after;
                    entity.add_identity(*packet, signatures, checks)?;
                }
                tag::PUBLIC_SUBKEY if Subkey::is_known(packet.body) => {
                    rest = after;
                    entity.add_subkey(*packet, signatures, checks)?;
                }
                // Also signatures behind a packet that is not known: they tie nothing.
                _ => {
                    entity.add_own(*packet, checks)?;
                    rest = &rest[1..];
                }
            }
        }
        if entity.identities.is_empty() { Err(PgpFault::NoIdentity) } else { Ok(entity) }
    }

    /// A signature over the primary key, or anything else that is not known.
    fn add_own(&mut self, packet: Packet<'a>, checks: &mut Checks) -> Result<(), PgpFault> {
        if packet.tag != tag::SIGNATURE {
            return Ok(());
        }
        let Some(signature) = known(&packet)? else { return Ok(()) };
        let prefix = self.primary.hashed_prefix();
        let data: [&[u8]; 2] = [&prefix, self.primary.body];
        match signature.kind {
            kind::KEY_REVOCATION => {
                checks.verify(&self.primary, &signature, &data)?;
                self.revocations.push(packet);
            }
            kind::DIRECT_KEY => match checks.verify(&self.primary, &signature, &data) {
                Ok(()) => self.direct.push(packet),
                Err(PgpFault::TooManySignatures) => return Err(PgpFault::TooManySignatures),
                Err(_) => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn add_identity(
        &mut self,
        id: Packet<'a>,
        signatures: &[Packet<'a>],
        checks: &mut Checks,
    ) -> Result<(), PgpFault> {
        let mut identity = Identity { id, signatures: Vec::new(), binding: None, revocations: 0 };
        let mut is_own = false;
        let prefix = self.primary.hashed_prefix();
        let len = u32::try_from(id.body.len()).map_err(|_| PgpFault::MalformedPacket)?;
        let id_prefix = [&[0xb4], &len.to_be_bytes()[..]].concat();
        for packet in signatures {
            let Some(signature) = known(packet)? else { continue };
            let is_revocation = signature.kind == kind::CERTIFICATION_REVOCATION;
            if !is_revocation && !kind::CERTIFICATIONS.contains(&signature.kind) {
                return Err(PgpFault::MisplacedSignature);
            }
            identity.signatures.push(*packet);
            if signature.issuer != Some(self.primary.id) {
                continue;
            }
            let data: [&[u8]; 4] = [&prefix, self.primary.body, &id_prefix, id.body];
            checks.verify(&self.primary, &signature, &data)?;
            is_own = true;
            if is_revocation {
                identity.revocations += 1;
            } else if is_later(&signature, identity.binding.as_ref()) {
                identity.binding = Some(signature);
            }
        }
        // The same name again replaces the first one.
        let same = self.identities.iter_mut().find(|other| other.id.body == id.body);
        match same {
            _ if !is_own => {}
            Some(same) => *same = identity,
            None => self.identities.push(identity),
        }
        Ok(())
    }

    fn add_subkey(
        &mut self,
        packet: Packet<'a>,
        signatures: &[Packet<'a>],
        checks: &mut Checks,
    ) -> Result<(), PgpFault> {
        let key = PublicKey::parse(packet.body)?;
        let mut revocations = Vec::new();
        let mut binding: Option<(Packet<'a>, Signature<'a>)> = None;
        let prefixes = (self.primary.hashed_prefix(), key.hashed_prefix());
        let data: [&[u8]; 4] = [&prefixes.0, self.primary.body, &prefixes.1, key.body];
        for packet in signatures {
            let Some(signature) = known(packet)? else { continue };
            if !matches!(signature.kind, kind::SUBKEY_BINDING | kind::SUBKEY_REVOCATION) {
                return Err(PgpFault::MisplacedSignature);
            }
            checks.verify(&self.primary, &signature, &data)?;
            if signature.kind == kind::SUBKEY_REVOCATION {
                revocations.push(*packet);
                continue;
            }
            if signature.names_signing() {
                let cross = signature.embedded.ok_or(PgpFault::NoCrossSignature)?;
                let cross = Signature::parse(cross).map_err(|_| PgpFault::NoCrossSignature)?;
                if cross.kind != kind::PRIMARY_KEY_BINDING {
                    return Err(PgpFault::NoCrossSignature);
                }
                checks.verify(&key, &cross, &data)?;
            }
            if is_later(&signature, binding.as_ref().map(|(_, binding)| binding)) {
                binding = Some((*packet, signature));
            }
        }
        let binding = binding.ok_or(PgpFault::UnboundSubkey)?;
        self.subkeys.push(Subkey { packet, key, revocations, binding });
        Ok(())
    }

    /// The name that speaks for the key: one that is not revoked, that is marked as primary, that
    /// was signed last.
    fn primary_identity(&self) -> Option<&Identity<'a>> {
        self.identities.iter().max_by_key(|identity| {
            let binding = identity.binding.as_ref();
            let is_primary = binding.is_some_and(|binding| binding.is_primary_user_id);
            let created_s = binding.map(|binding| binding.created_s);
            (std::cmp::Reverse(identity.revocations), is_primary, created_s)
        })
    }
}

impl Subkey<'_> {
    /// Whether the reference server keeps keys of this version and algorithm.
    fn is_known(body: &[u8]) -> bool {
        body.first() == Some(&4) && matches!(body.get(5), Some(1..=3 | 16..=19 | 22 | 25..=28))
    }
}

/// A signature that can be read; `None` for one of a sort that is left out.
fn known<'a>(packet: &Packet<'a>) -> Result<Option<Signature<'a>>, PgpFault> {
    match Signature::parse(packet.body) {
        Ok(signature) => Ok(Some(signature)),
        Err(PgpFault::Unsupported(_)) => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn is_later(signature: &Signature<'_>, than: Option<&Signature<'_>>) -> bool {
    than.is_none_or(|than| signature.created_s > than.created_s)
}

/// How many signatures may still be checked.
struct Checks(usize);

impl Checks {
    fn verify(
        &mut self,
        key: &PublicKey<'_>,
        signature: &Signature<'_>,
        data: &[&[u8]],
    ) -> Result<(), PgpFault> {
        self.0 = self.0.checked_sub(1).ok_or(PgpFault::TooManySignatures)?;
        key.verify(signature, &signature.digest(data)?)
    }
}
