//! The two baselines of the ratios: one bare signature check, and one synced write.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
};
use rustix::time::{ClockId, clock_gettime};

/// Distinct signatures that are verified in turn, so that no branch predictor learns one of them.
const SIGNATURES: u32 = 256;

/// What one verification of ECDSA P-256 costs on this machine, with nothing around it: the digest
/// is known and the key is parsed already, which is the cheapest form that there is.
pub struct BareVerification {
    key: ParsedPublicKey,
    cases: Vec<(Digest, Vec<u8>)>,
}

impl BareVerification {
    /// Makes a key and signatures.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn prepare() -> anyhow::Result<Self> {
        let refused = |_| anyhow!("aws-lc-rs refuses to sign");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(refused)?;
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.public_key().as_ref())?;
        let random = SystemRandom::new();
        let sign = |number: u32| {
            let message = number.to_be_bytes();
            let signature = pair.sign(&random, &message).map_err(refused)?;
            Ok((digest::digest(&digest::SHA256, &message), signature.as_ref().to_vec()))
        };
        Ok(Self { key, cases: (0..SIGNATURES).map(sign).collect::<anyhow::Result<_>>()? })
    }

    /// Time on the core for one verification, as the mean over about `time` in one thread. A mean,
    /// because the server's time for an entry is one too.
    ///
    /// # Panics
    /// A signature does not verify: aws-lc-rs is broken.
    pub fn measure(&self, time: Duration) -> Duration {
        let (began, before) = (Instant::now(), thread_time());
        let mut done = 0;
        loop {
            for (digest, signature) in &self.cases {
                let verified = self.key.verify_digest_sig(digest, signature);
                assert!(verified.is_ok(), "a signature made by aws-lc-rs does not verify");
            }
            done += SIGNATURES;
            // Looked at last: a machine under load may let the time pass before the first.
            if began.elapsed() >= time {
                return (thread_time() - before) / done;
            }
        }
    }
}

/// Time that this thread has spent on a core.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("invariant: a thread's time is never negative")
}

/// A file that grows by 4 KiB and is synced each time, as a write-ahead log is.
pub struct SyncedFile(File);

impl SyncedFile {
    const BLOCK: [u8; 4096] = [0x5a; 4096];

    /// Makes the file in a directory on the disk that is to be measured.
    ///
    /// # Errors
    /// The file exists, or cannot be made.
    pub fn create(directory: &Path) -> io::Result<Self> {
        let path = directory.join("synced");
        let file = OpenOptions::new().create_new(true).append(true).open(path)?;
        file.sync_all()?;
        Ok(Self(file))
    }

    /// Appends 4 KiB and waits until they are on the disk (`fdatasync`).
    ///
    /// # Errors
    /// The disk failed.
    pub fn append(&mut self) -> io::Result<Duration> {
        let began = Instant::now();
        self.0.write_all(&Self::BLOCK)?;
        self.0.sync_data()?;
        Ok(began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_baselines_take_time() {
        let verification = BareVerification::prepare().unwrap();
        assert!(verification.measure(Duration::from_millis(1)) > Duration::from_micros(1));
        let dir = tempfile::tempdir().unwrap();
        let mut file = SyncedFile::create(dir.path()).unwrap();
        assert!(file.append().unwrap() > Duration::ZERO);
        file.append().unwrap();
        assert_eq!(std::fs::metadata(dir.path().join("synced")).unwrap().len(), 8192);
    }
}
