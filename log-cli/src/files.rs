//! Files named on the command line.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use log_core::VerifierKey;

use crate::artefact::Artefact;
use crate::failure::Failure;

/// Longest key, certificate or checkpoint file that is read.
pub const SMALL_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The bytes of a file that may be at most `limit` bytes long.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let file = File::open(path).map_err(|error| failed("read", path, &error))?;
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| failed("read", path, &error))?;
    if bytes.len() as u64 > limit {
        let reason = format!("{} is longer than {limit} bytes", path.display());
        return Err(Failure::undecided(reason));
    }
    Ok(bytes)
}

/// The text of a small file.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path, SMALL_FILE_BYTES_MAX)?)
        .map_err(|_| Failure::undecided(format!("{} is not UTF-8 text", path.display())))
}

/// The digests of a file of any length.
pub fn read_artefact(path: &Path) -> Result<Artefact, Failure> {
    let file = File::open(path).map_err(|error| failed("read", path, &error))?;
    Artefact::read(file).map_err(|error| failed("read", path, &error))
}

/// At most one byte more than `limit` of a file, for a parser that refuses what is too long.
pub fn read_start(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|error| failed("read", path, &error))?;
    Ok(bytes)
}

/// A log's verifier key, given as itself or as the name of a file that holds it.
pub fn read_log_vkey(text: &str) -> Result<VerifierKey, Failure> {
    let key = read_vkey(text)?;
    if key.is_log_key() {
        return Ok(key);
    }
    let reason = format!("{key} is the key of a witness: a log does not sign with such a key");
    Err(Failure::Usage(reason))
}

/// A witness's verifier key, given as itself or as the name of a file that holds it.
pub fn read_cosigner_vkey(text: &str) -> Result<VerifierKey, Failure> {
    let key = read_vkey(text)?;
    if key.is_cosigner_key() {
        return Ok(key);
    }
    let reason = format!("{key} is the key of a log: a witness does not cosign with such a key");
    Err(Failure::Usage(reason))
}

fn read_vkey(text: &str) -> Result<VerifierKey, Failure> {
    if let Ok(key) = VerifierKey::parse(text.trim()) {
        return Ok(key);
    }
    let path = Path::new(text);
    if !path.is_file() {
        return Err(Failure::Usage(format!("neither a verifier key nor a file: {text}")));
    }
    VerifierKey::parse(read_text(path)?.trim())
        .map_err(|error| Failure::undecided(format!("{text}: {error}")))
}

/// Writes a file whole or not at all: to a neighbour first, which then takes its name.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = File::create(&partial)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        // The neighbour is whole and durable; a crash here leaves the old file and a neighbour.
        .and_then(|()| fs::rename(&partial, path))
        .and_then(|()| sync_directory_of(path));
    written.map_err(|error| failed("write", path, &error))
}

/// Writes a secret that only its owner may read. An existing file is never overwritten.
pub fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| failed("write", path, &error))
}

/// Makes the name of a file durable, where directories can be synced.
fn sync_directory_of(path: &Path) -> std::io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn failed(act: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::undecided(format!("cannot {act} {}: {error}", path.display()))
}
