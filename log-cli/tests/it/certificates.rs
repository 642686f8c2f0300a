//! Bundles with certificates: chain, embedded timestamps of CT logs, identity, time.

use log_cli::artefact::Artefact;
use log_cli::bundle::{Bundle, RawBytes, SignedTimestamp, TimestampData, VerificationMaterial};
use log_cli::failure::Failure;
use log_cli::log_entry::LogId;
use log_cli::protojson::Bytes;
use log_cli::signer::{KeyAlgorithm, Signer};
use log_cli::tlv::{Element, INTEGER, OCTET_STRING, OID, SEQUENCE, SET, context, encode};
use log_cli::trusted_root::{KeyInstance, LogInstance, TimeRange, TrustedRoot};
use log_cli::verify::{Expected, Identity, verify_bundle};
use log_core::entry::{HashAlgorithm, Verifier};
use log_core::hash::sha256;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};

use crate::fixture::{FILE, TestLog, bundle, hashed_rekord};
use crate::timestamps::authority;

const NAME: &str = "dev@example.test";
const ISSUER: &str = "https://issuer.example.test";

/// A private key in both libraries.
struct Key {
    signer: Signer,
    pair: KeyPair,
}

impl Key {
    fn new() -> Self {
        let pem = Signer::generate(KeyAlgorithm::P256).unwrap();
        Self { signer: Signer::from_pem(&pem).unwrap(), pair: KeyPair::from_pem(&pem).unwrap() }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.signer.sign(&Artefact::of(message)).unwrap()
    }
}

/// An authority: a root, an intermediate, and their keys.
struct Ca {
    root: Vec<u8>,
    intermediate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
    issuer_spki: Vec<u8>,
}

impl Ca {
    fn new() -> Self {
        let (root_key, key) = (Key::new(), Key::new());
        let ca = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.distinguished_name.push(DnType::OrganizationName, "Test");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2040, 1, 1);
            params
        };
        let root = ca("root").self_signed(&root_key.pair).unwrap().der().to_vec();
        let issuer_spki = key.signer.public_key().spki_der().to_vec();
        let root_issuer = Issuer::new(ca("root"), root_key.pair);
        let params = ca("intermediate");
        let intermediate = params.signed_by(&key.pair, &root_issuer).unwrap().der().to_vec();
        let issuer = Issuer::new(params, key.pair);
        Self { root, intermediate, issuer, issuer_spki }
    }
}

/// What a certificate says; one field at a time is changed by the tests.
#[derive(Clone)]
struct Leaf {
    usage: Vec<ExtendedKeyUsagePurpose>,
    not_after: i32,
    san: SanType,
    old_issuer_extension: bool,
    sct: Option<Sct>,
}

#[derive(Clone, Copy)]
struct Sct {
    timestamp_ms: u64,
    flipped_bit: Option<usize>,
    twice: bool,
}

impl Leaf {
    fn good() -> Self {
        Self {
            usage: vec![ExtendedKeyUsagePurpose::CodeSigning],
            not_after: 2030,
            san: SanType::Rfc822Name(NAME.try_into().unwrap()),
            old_issuer_extension: false,
            sct: Some(Sct { timestamp_ms: 1_700_000_000_000, flipped_bit: None, twice: false }),
        }
    }

    fn issue(&self, key: &Key, ca: &Ca, ct: &Key) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.serial_number = Some(SerialNumber::from_slice(&[1, 2, 3]));
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(self.not_after, 1, 1);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages.clone_from(&self.usage);
        params.subject_alt_names = vec![self.san.clone()];
        params.use_authority_key_identifier_extension = true;
        let fulcio = [1, 3, 6, 1, 4, 1, 57264, 1];
        let (last, content) = if self.old_issuer_extension {
            (1, ISSUER.as_bytes().to_vec())
        } else {
            (8, encode(0x0c, ISSUER.as_bytes()))
        };
        let oid = [fulcio.as_slice(), &[last]].concat();
        params.custom_extensions = vec![CustomExtension::from_oid_content(&oid, content)];
        let Some(sct) = self.sct else {
            return params.signed_by(&key.pair, &ca.issuer).unwrap().der().to_vec();
        };
        let precert = params.signed_by(&key.pair, &ca.issuer).unwrap();
        let tbs = Element::parse(precert.der(), SEQUENCE).unwrap();
        let tbs = tbs.children().unwrap().expect(SEQUENCE).unwrap().raw.to_vec();
        let list = sct.list(ct, &ca.issuer_spki, &tbs);
        let oid = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
        let extension = CustomExtension::from_oid_content(&oid, encode(OCTET_STRING, &list));
        params.custom_extensions.push(extension);
        params.signed_by(&key.pair, &ca.issuer).unwrap().der().to_vec()
    }
}

impl Sct {
    fn list(&self, ct: &Key, issuer_spki: &[u8], tbs: &[u8]) -> Vec<u8> {
        let time = self.timestamp_ms.to_be_bytes();
        let length = (tbs.len() as u32).to_be_bytes();
        let issuer = sha256(issuer_spki);
        let head: [&[u8]; 2] = [&[0, 0], &time];
        let body: [&[u8]; 5] = [&[0, 1], issuer.as_bytes(), &length[1..], tbs, &[0, 0]];
        let signature = ct.sign(&[head.concat(), body.concat()].concat());
        let log_id = sha256(ct.signer.public_key().spki_der());
        let signature_length = (signature.len() as u16).to_be_bytes();
        let parts: [&[u8]; 6] =
            [&[0], log_id.as_bytes(), &time, &[0, 0, 4, 3], &signature_length, &signature];
        let mut sct = parts.concat();
        if let Some(bit) = self.flipped_bit {
            sct[bit / 8] ^= 1 << (bit % 8);
        }
        let vector = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
        let item = vector(&sct);
        vector(&if self.twice { [item.clone(), item].concat() } else { item })
    }
}

/// A timestamp response over the message, by a fresh authority.
fn timestamp(message: &[u8], time: &str, ca: &Ca) -> (Vec<u8>, Vec<u8>) {
    let key = Key::new();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "timestamps");
    params.serial_number = Some(SerialNumber::from_slice(&[9]));
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::TimeStamping];
    let certificate = params.signed_by(&key.pair, &ca.issuer).unwrap().der().to_vec();
    let digest = |bytes: &[u8]| {
        let digest = Artefact::of(bytes);
        encode(OCTET_STRING, digest.digest(HashAlgorithm::Sha2_256).as_ref())
    };
    let sequence = |parts: &[Vec<u8>]| encode(SEQUENCE, &parts.concat());
    let set = |part: Vec<u8>| encode(SET, &part);
    let oid = |bytes: &[u8]| encode(OID, bytes);
    let pkcs9 = |last: &[u8]| [&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09], last].concat();
    let sha256_algorithm =
        sequence(&[oid(&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01])]);
    let ecdsa = sequence(&[oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02])]);
    let version = |number: u8| encode(INTEGER, &[number]);
    let info = sequence(&[
        version(1),
        oid(&[0x2a, 0x03]),
        sequence(&[sha256_algorithm.clone(), digest(message)]),
        version(5),
        encode(0x18, time.as_bytes()),
    ]);
    let info_type = oid(&pkcs9(&[0x10, 0x01, 0x04]));
    let attributes = [
        sequence(&[oid(&pkcs9(&[0x03])), set(info_type.clone())]),
        sequence(&[oid(&pkcs9(&[0x04])), set(digest(&info))]),
        sequence(&[
            oid(&pkcs9(&[0x10, 0x02, 0x2f])),
            set(sequence(&[sequence(&[sequence(&[digest(&certificate)])])])),
        ]),
    ]
    .concat();
    let signature = key.sign(&encode(SET, &attributes));
    let tbs = Element::parse(&certificate, SEQUENCE).unwrap().children().unwrap();
    let mut fields = tbs.clone().expect(SEQUENCE).unwrap().children().unwrap();
    fields.optional(context(0)).unwrap();
    let serial = fields.expect(INTEGER).unwrap().raw.to_vec();
    fields.expect(SEQUENCE).unwrap();
    let issuer = fields.expect(SEQUENCE).unwrap().raw.to_vec();
    let signer_info = sequence(&[
        version(1),
        sequence(&[issuer, serial]),
        sha256_algorithm.clone(),
        encode(context(0), &attributes),
        ecdsa,
        encode(OCTET_STRING, &signature),
    ]);
    let signed_data = sequence(&[
        version(3),
        set(sha256_algorithm),
        sequence(&[info_type, encode(context(0), &encode(OCTET_STRING, &info))]),
        set(signer_info),
    ]);
    let signed_data_type = oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02]);
    let content_info = sequence(&[signed_data_type, encode(context(0), &signed_data)]);
    (sequence(&[sequence(&[version(0)]), content_info]), certificate)
}

/// A bundle with a certificate, everything that it needs, and the root that trusts it.
struct Scene {
    bundle: Bundle,
    root: TrustedRoot,
}

impl Scene {
    fn new(leaf: &Leaf, time: &str) -> Self {
        let (ca, tsa, ct, key) = (Ca::new(), Ca::new(), Key::new(), Key::new());
        let certificate = leaf.issue(&key, &ca, &ct);
        let mut log = TestLog::with_leaves("log.example", 3);
        let rekord = hashed_rekord(&key.signer, Verifier::Certificate(certificate.clone()));
        let index = log.add(rekord.to_leaf().unwrap());
        let (response, stamper) = timestamp(&rekord.signature.content, time, &tsa);
        let material = VerificationMaterial {
            certificate: Some(RawBytes { raw_bytes: Bytes(certificate) }),
            tlog_entries: vec![log.entry(index, "hashedrekord")],
            timestamp_verification_data: Some(TimestampData {
                rfc3161_timestamps: vec![SignedTimestamp { signed_timestamp: Bytes(response) }],
            }),
            ..Default::default()
        };
        let spki = ct.signer.public_key().spki_der();
        let mut root = log.trusted_root();
        root.certificate_authorities = vec![authority(&[&ca.intermediate, &ca.root])];
        root.timestamp_authorities = vec![authority(&[&stamper, &tsa.intermediate, &tsa.root])];
        root.ctlogs = vec![LogInstance {
            base_url: String::new(),
            hash_algorithm: "SHA2_256".into(),
            public_key: KeyInstance {
                raw_bytes: Bytes::from(spki),
                key_details: "PKIX_ECDSA_P256_SHA_256".into(),
                valid_for: TimeRange { start: Some("2021-01-01T00:00:00Z".into()), end: None },
            },
            log_id: Some(LogId { key_id: Bytes(sha256(spki).as_bytes().to_vec()) }),
            checkpoint_key_id: None,
            operator: String::new(),
        }];
        Self { bundle: bundle(&rekord, material), root }
    }

    fn good() -> Self {
        Self::new(&Leaf::good(), TIME)
    }

    fn verify(&self, name: &str, issuer: &str, sct_required: bool) -> Result<(), String> {
        let (name, issuer) = (name.to_owned(), issuer.to_owned());
        let expected = Expected::Identity(Identity { name, issuer, sct_required });
        verify_bundle(&self.bundle, &Artefact::of(FILE), &self.root, &expected)
            .map(drop)
            .map_err(|refusal| Failure::no(refusal).to_string())
    }

    fn refusal(&self) -> String {
        self.verify(NAME, ISSUER, true).unwrap_err()
    }
}

const TIME: &str = "20260601120000.5Z";

#[test]
fn a_good_certificate_verifies() {
    Scene::good().verify(NAME, ISSUER, true).unwrap();
    let uri = "https://example.test/workflow";
    let leaf = Leaf {
        san: SanType::URI(uri.try_into().unwrap()),
        old_issuer_extension: true,
        ..Leaf::good()
    };
    Scene::new(&leaf, TIME).verify(uri, ISSUER, true).unwrap();
}

#[test]
fn another_identity_or_issuer_is_refused() {
    let scene = Scene::good();
    for name in ["", "dev@example.tes", "Dev@example.test", "dev@example.test "] {
        let refusal = scene.verify(name, ISSUER, true).unwrap_err();
        assert_eq!(refusal, "the certificate names dev@example.test", "{name}");
    }
    for issuer in ["", "https://issuer.example.test/", "http://issuer.example.test"] {
        let refusal = scene.verify(NAME, issuer, true).unwrap_err();
        assert_eq!(refusal, format!("the identity comes from {ISSUER}"), "{issuer}");
    }
}

#[test]
fn certificates_for_other_uses_or_times_are_refused() {
    let tls = Leaf { usage: vec![ExtendedKeyUsagePurpose::ServerAuth], ..Leaf::good() };
    let none = Leaf { usage: vec![], ..Leaf::good() };
    let expired = Leaf { not_after: 2026, ..Leaf::good() };
    for leaf in [tls, none, expired] {
        let refusal = Scene::new(&leaf, TIME).refusal();
        assert!(refusal.contains("does not chain"), "{refusal}");
    }
    let refusal = Scene::new(&Leaf::good(), "20241231235959Z").refusal();
    assert!(refusal.contains("does not chain"), "{refusal}");
}

#[test]
fn certificates_of_other_authorities_are_refused() {
    let mut scene = Scene::good();
    scene.root.certificate_authorities = Scene::good().root.certificate_authorities;
    assert!(scene.refusal().contains("does not chain"));
    scene.root.certificate_authorities.clear();
    assert_eq!(scene.refusal(), "the trusted root has no certificate authority");
    let mut scene = Scene::good();
    scene.root.certificate_authorities[0].valid_for.end = Some("2025-12-31T00:00:00Z".into());
    assert!(scene.refusal().contains("not trusted for the time"));
    let mut scene = Scene::good();
    scene.root.certificate_authorities[0].cert_chain.certificates.clear();
    assert!(scene.refusal().contains("no certificate"));
    let mut scene = Scene::good();
    for garbage in [vec![], vec![0x30, 0], vec![0xff; 300]] {
        let chain = &mut scene.root.certificate_authorities[0].cert_chain.certificates;
        chain.last_mut().unwrap().raw_bytes = Bytes(garbage);
        assert!(scene.verify(NAME, ISSUER, true).is_err());
    }
}

#[test]
fn embedded_timestamps_are_checked() {
    let with = |sct| Scene::new(&Leaf { sct, ..Leaf::good() }, TIME);
    let good = Leaf::good().sct.unwrap();
    assert_eq!(with(None).refusal(), "the certificate has no signed certificate timestamp");
    with(None).verify(NAME, ISSUER, false).unwrap();
    with(Some(Sct { twice: true, ..good })).verify(NAME, ISSUER, true).unwrap();
    let early = with(Some(Sct { timestamp_ms: 1_000, ..good })).refusal();
    assert!(early.contains("not trusted"), "{early}");
    // version, log id, time, extensions, algorithm, signature
    for bit in [0, 8, 33 * 8, 40 * 8, 42 * 8, 43 * 8, 44 * 8, 47 * 8, 60 * 8] {
        let scene = with(Some(Sct { flipped_bit: Some(bit), ..good }));
        assert!(scene.verify(NAME, ISSUER, true).is_err(), "bit {bit}");
        scene.verify(NAME, ISSUER, false).unwrap();
    }
    let mut other_log = Scene::good();
    other_log.root.ctlogs = Scene::good().root.ctlogs;
    assert!(other_log.refusal().contains("no signed certificate timestamp is of a trusted"));
}

#[test]
fn the_time_comes_from_a_trusted_authority_and_is_over_the_signature() {
    let mut scene = Scene::good();
    scene.bundle.verification_material.timestamp_verification_data = None;
    assert!(scene.refusal().contains("no timestamp"));
    let mut scene = Scene::good();
    scene.root.timestamp_authorities.clear();
    assert!(scene.refusal().contains("no timestamp"));
    let mut scene = Scene::good();
    let other = Scene::good().bundle.verification_material.timestamp_verification_data;
    scene.bundle.verification_material.timestamp_verification_data = other;
    assert_eq!(scene.refusal(), "the timestamp is over something else");
    for time in ["20260601120000", "2026060112000Z", "20261301120000Z", "20260601120000.Z", "Z"] {
        assert!(Scene::new(&Leaf::good(), time).verify(NAME, ISSUER, true).is_err(), "{time}");
    }
    let mut before = Scene::good();
    before.root.tlogs[0].public_key.valid_for.start = Some("2026-06-02T00:00:00Z".into());
    assert_eq!(before.refusal(), "the log is not trusted for the time of the signature");
}

#[test]
fn a_key_may_be_expected_of_a_certificate() {
    let scene = Scene::good();
    let certificate = scene.bundle.verification_material.leaf_certificate().unwrap();
    let certificate = log_cli::certificate::SigningCertificate::from_der(certificate).unwrap();
    let verify =
        |key| verify_bundle(&scene.bundle, &Artefact::of(FILE), &scene.root, &Expected::Key(key));
    let verified = verify(certificate.public_key().clone()).unwrap();
    assert_eq!(verified.time.unwrap().to_string(), "2026-06-01T12:00:00.5Z");
    assert!(verify(Key::new().signer.public_key().clone()).is_err());
}

#[test]
fn a_bundle_without_certificate_has_no_identity() {
    let mut scene = Scene::good();
    scene.bundle.verification_material.certificate = None;
    assert_eq!(scene.refusal(), "the bundle holds no certificate");
}

#[test]
fn no_bit_of_a_certificate_can_change() {
    let scene = Scene::good();
    let good = scene.bundle.verification_material.leaf_certificate().unwrap().to_vec();
    let mut changed = Scene { bundle: scene.bundle.clone(), root: scene.root.clone() };
    for at in 0..good.len() {
        let mut der = good.clone();
        der[at] ^= 1;
        let raw_bytes = Bytes(der);
        changed.bundle.verification_material.certificate = Some(RawBytes { raw_bytes });
        assert!(changed.verify(NAME, ISSUER, true).is_err(), "byte {at}");
    }
}
