//! Signs, verifies and reads with the sigstore crates, the strictest of the client libraries about
//! the answers of a log.
//!
//!     cairn-interop-rust sign   TRUST TOKEN FILE BUNDLE
//!     cairn-interop-rust attest TRUST TOKEN FILE BUNDLE
//!     cairn-interop-rust verify TRUST FILE BUNDLE IDENTITY ISSUER
//!     cairn-interop-rust verify-key TRUST FILE BUNDLE KEY
//!     cairn-interop-rust read   URL
//!
//! TRUST is a directory with `trusted_root.json` and `signing_config.json`.

use std::error::Error;
use std::fs;
use std::num::NonZeroU8;
use std::path::Path;
use std::process::ExitCode;

use sigstore_oidc::IdentityToken;
use sigstore_rekor::RekorV2Client;
use sigstore_sign::{Attestation, Signer, SigningContext, SigningServices};
use sigstore_trust_root::{SigningConfig, TrustedRoot};
use sigstore_types::{Bundle, DerPublicKey};
use sigstore_verify::crypto::sha256;
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, verify};

type Outcome = Result<String, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        ["sign", trust, token, file, bundle] => sign(trust, token, file, bundle).await,
        ["attest", trust, token, file, bundle] => attest(trust, token, file, bundle).await,
        ["verify", trust, file, bundle, identity, issuer] => {
            let policy = VerificationPolicy::new(identity, issuer);
            read_bundle(bundle).and_then(|bundle| {
                verify(&fs::read(file)?, &bundle, &policy, &root(trust)?)?;
                Ok(format!("verified: {identity}"))
            })
        }
        ["verify-key", trust, file, bundle, key] => verify_key(trust, file, bundle, key),
        ["read", url] => read(url).await,
        _ => {
            eprintln!("usage: sign | attest | verify | verify-key | read, see the source");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            let mut cause = error.source();
            while let Some(inner) = cause {
                eprintln!("  because: {inner}");
                cause = inner.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn sign(trust: &str, token: &str, file: &str, bundle: &str) -> Outcome {
    let signed = signer(trust, token)?.sign(&fs::read(file)?).await?;
    fs::write(bundle, signed.to_json()?)?;
    Ok(format!("signed {file}"))
}

async fn attest(trust: &str, token: &str, file: &str, bundle: &str) -> Outcome {
    let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
    let provenance = serde_json::json!({"buildDefinition": {}, "runDetails": {}});
    let about = Attestation::new("https://slsa.dev/provenance/v1", provenance)
        .add_subject(name, sha256(&fs::read(file)?));
    let signed = signer(trust, token)?.sign_attestation(about).await?;
    fs::write(bundle, signed.to_json()?)?;
    Ok(format!("attested {file}"))
}

fn verify_key(trust: &str, file: &str, bundle: &str, key: &str) -> Outcome {
    let key = DerPublicKey::from_pem(&fs::read_to_string(key)?)?;
    let policy = PublicKeyVerificationPolicy::new(key);
    verify(&fs::read(file)?, &read_bundle(bundle)?, &policy, &root(trust)?)?;
    Ok("verified with the key".to_owned())
}

/// Reads checkpoint, first tile and first bundle, and compares the tile with the entries.
async fn read(url: &str) -> Outcome {
    let client = RekorV2Client::new(url)?;
    let size = client.get_checkpoint().await?.tree_size();
    // A full tile is asked for without a width.
    let width = u8::try_from(size).ok().and_then(NonZeroU8::new);
    let tile = client.get_tile(0, 0, width).await?.bytes;
    let mut bundle = &client.get_entry_bundle(0, width).await?.bytes[..];
    let mut hashes = Vec::new();
    while let Some((length, rest)) = bundle.split_first_chunk::<2>() {
        let (entry, rest) = rest
            .split_at_checked(usize::from(u16::from_be_bytes(*length)))
            .ok_or("short bundle")?;
        hashes.extend_from_slice(sha256(&[&[0], entry].concat()).as_bytes());
        bundle = rest;
    }
    if tile != hashes || tile.is_empty() {
        return Err("the first tile does not hold the hashes of the entries".into());
    }
    Ok(format!("read {} of {size} entries", tile.len() / 32))
}

fn signer(trust: &str, token: &str) -> Result<Signer, Box<dyn Error>> {
    let config = SigningConfig::from_file(format!("{trust}/signing_config.json"))?;
    let services = SigningServices::from_signing_config(&config)?;
    let token = IdentityToken::from_jwt(fs::read_to_string(token)?.trim())?;
    Ok(SigningContext::new(services).signer(token))
}

fn root(trust: &str) -> Result<TrustedRoot, Box<dyn Error>> {
    Ok(TrustedRoot::from_file(format!("{trust}/trusted_root.json"))?)
}

fn read_bundle(path: &str) -> Result<Bundle, Box<dyn Error>> {
    Ok(Bundle::from_json(&fs::read_to_string(path)?)?)
}
