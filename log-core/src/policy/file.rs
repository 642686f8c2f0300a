//! The policy file: one line for each log, witness and group, and one for the quorum.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use thiserror::Error;

use super::{Group, Member, PolicyLog, PolicyWitness, WitnessPolicy};
use crate::key::{VerifierKey, VerifierKeyError};
use crate::tree::parse_decimal;

/// Longest policy that is read, in bytes. The 32 logs and 32 witnesses that the specification asks
/// for take about 120,000 with ML-DSA-44 keys; this is room for some hundred such keys.
pub const POLICY_BYTES_MAX: usize = 1 << 20;

/// Most lines in a policy, comments and empty ones included: far more than the specification asks
/// for, and few enough to be read at once.
pub const POLICY_LINES_MAX: usize = 4_096;

/// The name of the quorum that everything satisfies. Nobody else can have it.
const NONE: &str = "none";

impl WitnessPolicy {
    /// Reads a policy of at most [`POLICY_BYTES_MAX`] bytes and [`POLICY_LINES_MAX`] lines. Names
    /// must be UTF-8; comments need not.
    ///
    /// # Errors
    /// [`PolicyError`] names the line, counted from 1, and its fault. Whoever wrote the policy must
    /// act.
    pub fn parse(policy: &[u8]) -> Result<Self, PolicyError> {
        if policy.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLong);
        }
        if policy.is_empty() {
            return Err(PolicyError::NoQuorum);
        }
        let lines = policy.strip_suffix(b"\n").ok_or(PolicyError::Unterminated)?;
        let mut reader = Reader::new();
        for (number, line) in (1..).zip(lines.split(|byte| *byte == b'\n')) {
            if number > POLICY_LINES_MAX {
                return Err(PolicyError::TooManyLines);
            }
            reader.line(line).map_err(|fault| PolicyError::Line { number, fault })?;
        }
        if reader.has_quorum { Ok(reader.policy) } else { Err(PolicyError::NoQuorum) }
    }

    fn name_of(&self, member: Member) -> &str {
        match member {
            Member::Witness(index) => &self.witnesses[index].name,
            Member::Group(index) => &self.groups[index].name,
        }
    }
}

impl fmt::Display for WitnessPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url =
            |url: &Option<String>| url.as_ref().map_or(String::new(), |url| format!(" {url}"));
        for log in &self.logs {
            writeln!(f, "log {}{}", log.key, url(&log.url))?;
        }
        for witness in &self.witnesses {
            writeln!(f, "witness {} {}{}", witness.name, witness.key, url(&witness.url))?;
        }
        for group in &self.groups {
            write!(f, "group {} ", group.name)?;
            match group.threshold {
                all if all == group.members.len() => f.write_str("all")?,
                1 => f.write_str("any")?,
                number => write!(f, "{number}")?,
            }
            for member in &group.members {
                write!(f, " {}", self.name_of(*member))?;
            }
            writeln!(f)?;
        }
        writeln!(f, "quorum {}", self.quorum.map_or(NONE, |quorum| self.name_of(quorum)))
    }
}

/// A policy while it is read.
struct Reader {
    policy: WitnessPolicy,
    has_quorum: bool,
    /// Witnesses and groups share one namespace.
    names: BTreeMap<String, Member>,
    members: BTreeSet<Member>,
    log_keys: BTreeSet<Vec<u8>>,
    witness_keys: BTreeSet<Vec<u8>>,
}

impl Reader {
    const fn new() -> Self {
        Self {
            policy: WitnessPolicy::none(),
            has_quorum: false,
            names: BTreeMap::new(),
            members: BTreeSet::new(),
            log_keys: BTreeSet::new(),
            witness_keys: BTreeSet::new(),
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), PolicyFault> {
        let forbidden = |byte: &&u8| !matches!(**byte, b'\t' | b' '..=b'~' | 0x80..);
        if let Some(byte) = line.iter().find(forbidden) {
            return Err(PolicyFault::ForbiddenByte(*byte));
        }
        if line.trim_ascii_start().starts_with(b"#") {
            return Ok(());
        }
        let line = std::str::from_utf8(line).map_err(|_| PolicyFault::NotUtf8)?;
        let fields = line.split([' ', '\t']).filter(|field| !field.is_empty());
        match fields.collect::<Vec<_>>()[..] {
            [] => Ok(()),
            ["log", key] => self.log(key, None),
            ["log", key, url] => self.log(key, Some(url)),
            ["witness", name, key] => self.witness(name, key, None),
            ["witness", name, key, url] => self.witness(name, key, Some(url)),
            ["group", name, threshold, ref members @ ..] => self.group(name, threshold, members),
            ["quorum", name] => self.quorum(name),
            ["log" | "witness" | "group" | "quorum", ..] => Err(PolicyFault::WrongFieldCount),
            _ => Err(PolicyFault::UnknownKeyword),
        }
    }

    fn log(&mut self, vkey: &str, url: Option<&str>) -> Result<(), PolicyFault> {
        let key = VerifierKey::parse(vkey)?;
        if !key.is_log_key() {
            return Err(PolicyFault::NotALogKey);
        }
        if !self.log_keys.insert(key.public_key_bytes()) {
            return Err(PolicyFault::RepeatedKey);
        }
        let url = url.map(checked_url).transpose()?;
        self.policy.logs.push(PolicyLog { key, url });
        Ok(())
    }

    fn witness(&mut self, name: &str, vkey: &str, url: Option<&str>) -> Result<(), PolicyFault> {
        let key = VerifierKey::parse(vkey)?;
        if !key.is_cosigner_key() {
            return Err(PolicyFault::NotAWitnessKey);
        }
        if !self.witness_keys.insert(key.public_key_bytes()) {
            return Err(PolicyFault::RepeatedKey);
        }
        let url = url.map(checked_url).transpose()?;
        self.define(name, Member::Witness(self.policy.witnesses.len()))?;
        self.policy.witnesses.push(PolicyWitness { name: name.to_owned(), key, url });
        Ok(())
    }

    fn group(&mut self, name: &str, threshold: &str, members: &[&str]) -> Result<(), PolicyFault> {
        if members.is_empty() {
            return Err(PolicyFault::EmptyGroup);
        }
        let threshold = match threshold {
            "all" => members.len(),
            "any" => 1,
            number => parse_decimal(number)
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| (1..=members.len()).contains(number))
                .ok_or(PolicyFault::BadThreshold)?,
        };
        let members = members.iter().map(|member| {
            let known = self.names.get(*member).copied();
            let member = known.ok_or_else(|| PolicyFault::UnknownName((*member).to_owned()))?;
            if self.members.insert(member) { Ok(member) } else { Err(PolicyFault::RepeatedMember) }
        });
        let members = members.collect::<Result<Vec<_>, _>>()?;
        self.define(name, Member::Group(self.policy.groups.len()))?;
        self.policy.groups.push(Group { name: name.to_owned(), threshold, members });
        Ok(())
    }

    fn quorum(&mut self, name: &str) -> Result<(), PolicyFault> {
        if self.has_quorum {
            return Err(PolicyFault::RepeatedQuorum);
        }
        self.has_quorum = true;
        if name != NONE {
            let known = self.names.get(name).copied();
            let quorum = known.ok_or_else(|| PolicyFault::UnknownName(name.to_owned()))?;
            self.policy.quorum = Some(quorum);
        }
        Ok(())
    }

    fn define(&mut self, name: &str, member: Member) -> Result<(), PolicyFault> {
        if name == NONE || self.names.insert(name.to_owned(), member).is_some() {
            return Err(PolicyFault::RepeatedName);
        }
        Ok(())
    }
}

/// Refuses what can only be a slip, such as a comment at the end of a line.
fn checked_url(url: &str) -> Result<String, PolicyFault> {
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(url.to_owned());
    }
    Err(PolicyFault::BadUrl)
}

/// Why a file is not a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// More than [`POLICY_BYTES_MAX`] bytes.
    #[error("the policy is longer than {POLICY_BYTES_MAX} bytes")]
    TooLong,
    /// More than [`POLICY_LINES_MAX`] lines.
    #[error("the policy has more than {POLICY_LINES_MAX} lines")]
    TooManyLines,
    /// The last line lacks its newline: the file may have been cut.
    #[error("the policy does not end with a newline")]
    Unterminated,
    /// There is no quorum line.
    #[error("the policy has no quorum line")]
    NoQuorum,
    /// A line is at fault.
    #[error("line {number} of the policy: {fault}")]
    Line {
        /// Which line, counted from 1.
        number: usize,
        /// What is wrong with it.
        fault: PolicyFault,
    },
}

/// What is wrong with a line of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyFault {
    /// A control character other than the tab, as the carriage return.
    #[error("the byte 0x{0:02x} is not allowed")]
    ForbiddenByte(u8),
    /// A line that is not a comment is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// The line begins with none of `log`, `witness`, `group`, `quorum`.
    #[error("a line begins with log, witness, group, quorum or #")]
    UnknownKeyword,
    /// Too few or too many fields; a comment cannot stand behind them.
    #[error("the line has too few or too many fields")]
    WrongFieldCount,
    /// Not a verifier key.
    #[error(transparent)]
    BadKey(#[from] VerifierKeyError),
    /// A key that cannot speak for a log.
    #[error("a key of this type does not sign for a log")]
    NotALogKey,
    /// A key that cannot speak for a witness.
    #[error("a key of this type does not cosign; a witness has a key of type 0x04 or 0x06")]
    NotAWitnessKey,
    /// The same public key stands on an earlier line of its kind, under whatever name.
    #[error("this public key was listed before")]
    RepeatedKey,
    /// The URL is of another scheme, or is no URL.
    #[error("a URL begins with https:// or http://")]
    BadUrl,
    /// A witness or group of this name exists, or the name is `none`.
    #[error("this name was given before")]
    RepeatedName,
    /// No line before this one defines the name.
    #[error("no line above defines {0:?}")]
    UnknownName(String),
    /// A member of this group or of an earlier one.
    #[error("a name can be a member of one group, once")]
    RepeatedMember,
    /// A group without members.
    #[error("the group has no members")]
    EmptyGroup,
    /// Not `all`, `any`, or a canonical number from 1 to the number of members.
    #[error("a threshold is all, any, or a number from 1 to the number of members")]
    BadThreshold,
    /// There is a quorum line already.
    #[error("a second quorum line")]
    RepeatedQuorum,
}
