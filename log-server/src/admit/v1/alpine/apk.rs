//! Packages of apk: three gzip members, one behind the other. The first holds a signature over the
//! bytes of the second; in the second stands the digest of the third. The third is never inflated.

use std::io::{self, BufRead as _, Read};

use flate2::bufread::GzDecoder;
use log_core::hash::sha256;
use thiserror::Error;

use super::Info;
use super::tar::{self, Header};

/// Longest signature and longest `.PKGINFO`, in bytes, as the reference server has it.
const METADATA_BYTES_MAX: u64 = 1024 * 1024;

/// Most bytes that one of the first two members may inflate to. The second holds the scripts of a
/// package too; they are kilobytes. A bomb costs at most this much work, and no memory.
const INFLATED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Longest header that says more about the next file, in bytes: some lines of text.
const EXTENSION_BYTES_MAX: u64 = 64 * 1024;

/// Why a package does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApkFault {
    /// Not three gzip members, or not archives in the first two.
    #[error("gzip: invalid header")]
    NotGzip,
    /// The first two members are no archives, or inflate to too much.
    #[error("archive/tar: invalid tar header")]
    NotTar,
    /// Headers that give the next file another name or size.
    #[error("archive/tar: extended headers with names or sizes are not taken")]
    ExtendedHeader,
    /// The first member has no signature in it.
    #[error("no signature detected in alpine package")]
    NoSignature,
    /// The second member has no `.PKGINFO` in it, or two.
    #[error(".PKGINFO file was not located")]
    NoInfo,
    /// Metadata that are too long.
    #[error("uncompressed {name} file size {size} exceeds max allowed size {METADATA_BYTES_MAX}")]
    TooLong {
        /// Which of them.
        name: &'static str,
        /// What its header says.
        size: u64,
    },
    /// A line of `.PKGINFO` is not a name and a value.
    #[error("invalid line in .PKGINFO")]
    InfoLine,
    /// The third member is another one.
    #[error("checksum for data.tar.gz ({actual}) does not match value from .PKGINFO ({expected})")]
    OtherData {
        /// Of the third member.
        actual: String,
        /// What the second says.
        expected: String,
    },
}

/// A package whose members fit together.
pub(super) struct Apk<'a> {
    pub(super) signature: Vec<u8>,
    /// The bytes of the second member, which are signed.
    pub(super) control: &'a [u8],
    pub(super) info: Info,
}

impl<'a> Apk<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, ApkFault> {
        let mut signature = None;
        let control = walk(bytes, |header, reader| {
            if signature.is_none() && header.is_file && header.name.starts_with(b".SIGN") {
                signature = Some(metadata(reader, header, ".SIGN")?);
                return Ok(true);
            }
            Ok(false)
        })?;
        let signature = signature.ok_or(ApkFault::NoSignature)?;
        let mut infos = Vec::new();
        let data = walk(control, |header, reader| {
            if header.name != b".PKGINFO" {
                return Ok(false);
            }
            if !header.is_file || !infos.is_empty() {
                return Err(ApkFault::NoInfo);
            }
            infos.push(metadata(reader, header, ".PKGINFO")?);
            Ok(true)
        })?;
        let info = parse_info(&infos.pop().ok_or(ApkFault::NoInfo)?)?;
        let actual = sha256(data).to_string();
        let expected = info.get("datahash").cloned().unwrap_or_default();
        if actual != expected {
            return Err(ApkFault::OtherData { actual, expected });
        }
        Ok(Self { signature, control: &control[..control.len() - data.len()], info })
    }
}

/// Goes through the archive in the first gzip member, and gives what follows that member. `visit`
/// says whether it has read the contents of a file.
fn walk(
    bytes: &[u8],
    mut visit: impl FnMut(&Header, &mut dyn Read) -> Result<bool, ApkFault>,
) -> Result<&[u8], ApkFault> {
    let mut decoder = GzDecoder::new(bytes);
    if decoder.header().is_none() {
        return Err(ApkFault::NotGzip);
    }
    let mut reader = Read::by_ref(&mut decoder).take(INFLATED_BYTES_MAX);
    while let Some(header) = tar::next(&mut reader).map_err(not_tar)? {
        if header.is_extension {
            check_extension(&mut reader, &header)?;
            continue;
        }
        if !visit(&header, &mut reader)? {
            tar::skip_contents(&mut reader, &header).map_err(not_tar)?;
        }
    }
    // What is behind the archive still belongs to the member.
    io::copy(&mut reader, &mut io::sink()).map_err(not_tar)?;
    if reader.limit() == 0 {
        return Err(ApkFault::NotTar);
    }
    let mut rest = decoder.into_inner();
    rest.fill_buf().map_err(not_tar)?;
    Ok(rest)
}

/// Times and owners may be said again at length; another name or size would make of the next file
/// another one for other readers.
fn check_extension(reader: &mut impl Read, header: &Header) -> Result<(), ApkFault> {
    if header.size > EXTENSION_BYTES_MAX {
        return Err(ApkFault::ExtendedHeader);
    }
    let records = tar::contents(reader, header).map_err(not_tar)?;
    let has = |word: &[u8]| records.windows(word.len()).any(|window| window == word);
    let is_harmless = !has(b"path=") && !has(b"size=") && !header.names_next;
    is_harmless.then_some(()).ok_or(ApkFault::ExtendedHeader)
}

fn metadata(
    mut reader: &mut dyn Read,
    header: &Header,
    name: &'static str,
) -> Result<Vec<u8>, ApkFault> {
    if header.size > METADATA_BYTES_MAX {
        return Err(ApkFault::TooLong { name, size: header.size });
    }
    tar::contents(&mut reader, header).map_err(not_tar)
}

fn not_tar(_: io::Error) -> ApkFault {
    ApkFault::NotTar
}

/// Lines `name = value`, of which the last with a name counts, and comments.
fn parse_info(text: &[u8]) -> Result<Info, ApkFault> {
    let text = str::from_utf8(text).map_err(|_| ApkFault::InfoLine)?;
    let mut info = Info::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or(ApkFault::InfoLine)?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() {
            return Err(ApkFault::InfoLine);
        }
        info.insert(name.to_owned(), value.to_owned());
    }
    Ok(info)
}
