//! Keyless bundles of Rekor v1: the log's promise is the time at which the certificate was used.

use log_cli::artefact::Artefact;
use log_cli::bundle::{Bundle, CertificateChain, RawBytes};
use log_cli::certificate::CertificateError;
use log_cli::legacy_bundle;
use log_cli::pem::to_pem;
use log_cli::protojson::{Bytes, Int64};
use log_cli::signer::{KeyAlgorithm, Signer};
use log_cli::trusted_root::{Authority, DistinguishedName, TimeRange, TrustedRoot};
use log_cli::verify::{Expected, Identity, Refusal, Verified, verify_bundle};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use serde_json::{Value, json};

use crate::fixture::FILE;
use crate::v1_fixture::{V1Log, base64, hashed_rekord_body, v1_bundle};

const NAME: &str = "dev@example.test";
const ISSUER: &str = "https://issuer.example.test";

/// A signer and its certificate, valid from the first of one year to the first of another. The
/// fixture's log takes its entries in September 2026.
struct Keyless {
    signer: Signer,
    leaf: Vec<u8>,
    root: Vec<u8>,
}

impl Keyless {
    fn new(from: i32, until: i32) -> Self {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        (ca.not_before, ca.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2040, 1, 1));
        let ca_key = KeyPair::generate().unwrap();
        let root = ca.self_signed(&ca_key).unwrap().der().to_vec();
        let issuer = Issuer::new(ca, ca_key);
        let pem = Signer::generate(KeyAlgorithm::P256).unwrap();
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) =
            (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.subject_alt_names = vec![SanType::Rfc822Name(NAME.try_into().unwrap())];
        let oid = [1, 3, 6, 1, 4, 1, 57264, 1, 1];
        let extension = CustomExtension::from_oid_content(&oid, ISSUER.as_bytes().to_vec());
        params.custom_extensions = vec![extension];
        let leaf = params.signed_by(&KeyPair::from_pem(&pem).unwrap(), &issuer).unwrap();
        Self { signer: Signer::from_pem(&pem).unwrap(), leaf: leaf.der().to_vec(), root }
    }

    /// A bundle whose entry holds the certificate.
    fn bundle(&self, log: &mut V1Log) -> Bundle {
        let mut body: Value =
            serde_json::from_slice(&hashed_rekord_body(&self.signer, FILE)).unwrap();
        let pem = base64(to_pem("CERTIFICATE", &self.leaf).as_bytes());
        body["spec"]["signature"]["publicKey"]["content"] = json!(pem);
        let signature = body["spec"]["signature"]["content"].as_str().unwrap();
        let signature = Bytes::from_base64(signature).unwrap();
        let index = log.add(body.to_string().into_bytes());
        let mut bundle = v1_bundle(&self.signer, log);
        let material = &mut bundle.verification_material;
        material.public_key = None;
        material.certificate = Some(RawBytes { raw_bytes: Bytes(self.leaf.clone()) });
        material.tlog_entries = vec![log.entry(index)];
        bundle.message_signature.as_mut().unwrap().signature = signature;
        bundle
    }

    fn root(&self, log: &V1Log) -> TrustedRoot {
        let mut root = log.trusted_root();
        let certificates = vec![RawBytes { raw_bytes: Bytes(self.root.clone()) }];
        root.certificate_authorities = vec![Authority {
            subject: DistinguishedName::default(),
            uri: String::new(),
            cert_chain: CertificateChain { certificates },
            valid_for: TimeRange { start: Some("2020-01-01T00:00:00Z".into()), end: None },
            operator: String::new(),
        }];
        root
    }

    fn judge(&self, bundle: &Bundle, log: &V1Log) -> Result<Verified, Refusal> {
        let (name, issuer) = (NAME.to_owned(), ISSUER.to_owned());
        let expected = Expected::Identity(Identity { name, issuer, sct_required: false });
        verify_bundle(bundle, &Artefact::of(FILE), &self.root(log), &expected)
    }
}

#[test]
fn the_promised_time_must_be_one_of_the_certificate() {
    for (from, until, is_good) in [(2026, 2027, true), (2025, 2026, false), (2027, 2028, false)] {
        let keyless = Keyless::new(from, until);
        let mut log = V1Log::with_leaves("rekor.example", 5);
        let bundle = keyless.bundle(&mut log);
        let legacy = legacy_bundle::write(&bundle).unwrap();
        let legacy = legacy_bundle::parse(legacy.as_bytes()).unwrap();
        for bundle in [&bundle, &legacy] {
            match keyless.judge(bundle, &log) {
                Ok(_) => assert!(is_good, "{from}"),
                Err(Refusal::Certificate(CertificateError::Chain(_))) => assert!(!is_good),
                Err(other) => panic!("{from}: {other:?}"),
            }
        }
    }
}

#[test]
fn an_unpromised_time_is_none_and_another_certificate_is_another_entry() {
    let keyless = Keyless::new(2026, 2027);
    let mut log = V1Log::with_leaves("rekor.example", 5);
    let mut bundle = keyless.bundle(&mut log);
    let other = Keyless::new(2026, 2027);
    let mut replaced = bundle.clone();
    replaced.verification_material.certificate =
        Some(RawBytes { raw_bytes: Bytes(other.leaf.clone()) });
    assert!(other.judge(&replaced, &log).is_err());
    assert!(keyless.judge(&replaced, &log).is_err());
    // The bare key of the certificate is not what was logged.
    replaced.verification_material.certificate = None;
    let expected = Expected::Key(keyless.signer.public_key().clone());
    let judged = verify_bundle(&replaced, &Artefact::of(FILE), &log.trusted_root(), &expected);
    assert!(matches!(judged.unwrap_err(), Refusal::Mismatch(_)));
    let entry = &mut bundle.verification_material.tlog_entries[0];
    (entry.inclusion_promise, entry.integrated_time) = (None, Int64(0));
    assert!(matches!(keyless.judge(&bundle, &log).unwrap_err(), Refusal::NoTimestamp));
}
