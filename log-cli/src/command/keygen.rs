//! `cairn keygen`: makes a signing key.

use std::path::PathBuf;

use serde_json::json;

use crate::failure::Failure;
use crate::files;
use crate::output::Answer;
use crate::pem::to_pem;
use crate::signer::{KeyAlgorithm, Signer};

/// Arguments of `cairn keygen`.
#[derive(Debug, clap::Args)]
pub struct KeygenArgs {
    /// Where the private key goes (PKCS#8 PEM, mode 0600); the public key goes to KEY.pub.
    #[arg(long, value_name = "KEY")]
    pub out: PathBuf,
    /// What kind of key.
    #[arg(long, value_enum, default_value = "p256")]
    pub algorithm: KeyAlgorithm,
}

/// Makes the key. Existing files are never overwritten.
pub fn run(args: &KeygenArgs) -> Result<Answer, Failure> {
    let pem = Signer::generate(args.algorithm).map_err(Failure::undecided)?;
    let signer = Signer::from_pem(&pem).map_err(Failure::undecided)?;
    let mut public = args.out.clone().into_os_string();
    public.push(".pub");
    let public = PathBuf::from(public);
    if public.exists() {
        let reason = format!("{} exists and is not overwritten", public.display());
        return Err(Failure::undecided(reason));
    }
    files::write_secret(&args.out, &pem)?;
    files::write(&public, to_pem("PUBLIC KEY", signer.public_key().spki_der()).as_bytes())?;
    let (key, public) = (args.out.display().to_string(), public.display().to_string());
    Ok(Answer::new(
        format!("wrote {key} and {public}"),
        json!({ "privateKey": key, "publicKey": public }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::public_key::PublicKey;

    #[test]
    fn keys_are_written_once_and_kept_private() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("key");
        let args = KeygenArgs { out: out.clone(), algorithm: KeyAlgorithm::P256 };
        run(&args).unwrap();
        let pem = std::fs::read_to_string(&out).unwrap();
        let public = std::fs::read_to_string(directory.path().join("key.pub")).unwrap();
        let signer = Signer::from_pem(&pem).unwrap();
        assert_eq!(signer.public_key(), &PublicKey::from_pem(&public).unwrap());
        #[cfg(unix)]
        {
            let mode = std::fs::metadata(&out).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(run(&args).unwrap_err().exit_code(), 3);
        assert_eq!(std::fs::read_to_string(&out).unwrap(), pem);
    }
}
