//! Key objects out of certificates: their subjects, their canonical form, and chains.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, date_time_ymd};

use super::*;

fn parse(pem: &str) -> Result<KeyObject, KeyFault> {
    KeyObject::parse(pem.as_bytes())
}

fn self_signed(params: CertificateParams) -> String {
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

fn with_names(names: Vec<SanType>) -> String {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    self_signed(params)
}

/// A certificate whose extension with names holds these bytes.
fn with_raw_names(der: &[u8]) -> String {
    let mut params = CertificateParams::default();
    let names = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 17], der.to_vec());
    params.custom_extensions = vec![names];
    self_signed(params)
}

#[test]
fn subjects_come_in_the_reference_servers_order() {
    let text = |text: &str| text.try_into().unwrap();
    let fulcio = vec![1, 3, 6, 1, 4, 1, 57264, 1, 7];
    let pem = with_names(vec![
        SanType::OtherName((fulcio, "some|identity".into())),
        SanType::OtherName((vec![1, 2, 3], "not ours".into())),
        SanType::URI(text("https://Example.com/Path")),
        SanType::IpAddress("2001:db8::1".parse().unwrap()),
        SanType::IpAddress("192.0.2.1".parse().unwrap()),
        SanType::IpAddress("::ffff:192.0.2.2".parse().unwrap()),
        SanType::Rfc822Name(text("A@example.com")),
        SanType::DnsName(text("b.example.com")),
        SanType::DnsName(text("a.example.com")),
    ]);
    let expected = [
        "b.example.com",
        "a.example.com",
        "A@example.com",
        "2001:db8::1",
        "192.0.2.1",
        "192.0.2.2",
        "https://Example.com/Path",
        "some|identity",
    ];
    assert_eq!(parse(&pem).unwrap().subjects, expected);
    assert!(parse(&with_names(Vec::new())).unwrap().subjects.is_empty());
}

#[test]
fn names_of_unknown_kinds_are_stepped_over_and_broken_ones_refused() {
    // x400Address, directoryName, registeredID, then an e-mail address.
    let unknown = b"\x30\x0f\xa3\x02\x30\0\xa4\x02\x30\0\x88\x01\x2a\x81\x02a@";
    assert_eq!(unknown[1] as usize, unknown.len() - 2);
    assert_eq!(parse(&with_raw_names(unknown)).unwrap().subjects, ["a@"]);
    for broken in [
        &b""[..],
        b"\x30\x05",
        b"\x31\0",
        b"\x30\x02\x81\x01",
        b"\x30\x03\x81\x01\xff",
        b"\x30\x03\x87\x01\x01",
        b"\x30\x07\x87\x05\x01\x02\x03\x04\x05",
        b"\x30\0\0",
    ] {
        let refused = parse(&with_raw_names(broken)).err();
        assert_eq!(refused, Some(KeyFault::MalformedNames), "{broken:02x?}");
    }
    // An other name that is none of ours, or none at all, is no subject.
    for other in [&b"\x30\x02\xa0\0"[..], b"\x30\x06\xa0\x04\x06\x02\x2a\x03"] {
        assert!(parse(&with_raw_names(other)).unwrap().subjects.is_empty(), "{other:02x?}");
    }
}

/// Root, authority and leaf, with the years in which the leaf becomes valid and the root ends.
fn chain(leaf_from: i32, root_to: i32) -> [String; 3] {
    let key = || KeyPair::generate().unwrap();
    let params = |from: i32, to: i32, is_ca: bool| {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        if is_ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("{from} {is_ca}"));
        params
    };
    let (root_key, authority_key) = (key(), key());
    let root = params(2000, root_to, true);
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let root = Issuer::new(root, root_key);
    let authority = params(2001, 2090, true);
    let authority_pem = authority.signed_by(&authority_key, &root).unwrap().pem();
    let authority = Issuer::new(authority, authority_key);
    let leaf = params(leaf_from, 2091, false);
    [root_pem, authority_pem, leaf.signed_by(&key(), &authority).unwrap().pem()]
}

#[test]
fn a_chain_is_verified_at_the_time_of_its_first_certificate() {
    let [root, authority, leaf] = chain(2040, 2090);
    let verify = |parts: &[&str]| parse(&parts.concat()).unwrap().verify_chain();
    assert_eq!(verify(&[&leaf, &authority, &root]), Ok(()));
    assert_eq!(verify(&[&leaf, &root, &authority, &root]), Ok(()));
    assert_eq!(verify(&[&leaf, &authority]), Ok(()));
    assert_eq!(verify(&[&leaf]), Ok(()));
    for broken in [&[&leaf, &root][..], &[&leaf, &leaf], &[&leaf, &authority, &leaf]] {
        let text: String = broken.iter().map(|pem| pem.as_str()).collect();
        let refused = parse(&text).unwrap().verify_chain();
        assert!(matches!(refused, Err(KeyFault::BrokenChain(_))), "{refused:?}");
    }
    let [root, authority, leaf] = chain(2040, 2030);
    let refused = verify(&[&leaf, &authority, &root]);
    assert!(matches!(refused, Err(KeyFault::BrokenChain(_))), "{refused:?}");
    let [root, authority, leaf] = chain(1999, 2090);
    let refused = verify(&[&leaf, &authority, &root]);
    assert!(matches!(refused, Err(KeyFault::BrokenChain(_))), "{refused:?}");
}

/// What certificates say of themselves: may they certify, whom, and how many below them.
#[test]
fn authorities_must_be_allowed_to_certify() {
    type Change = fn(&mut CertificateParams);
    let verify = |of_root: Change, of_authority: Change| {
        let params = |name: &str| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params
        };
        let (mut root, mut authority, mut leaf) = (params("r"), params("a"), params("l"));
        leaf.is_ca = IsCa::NoCa;
        of_root(&mut root);
        of_authority(&mut authority);
        let keys = [(); 3].map(|()| KeyPair::generate().unwrap());
        let [root_key, authority_key, leaf_key] = &keys;
        let root_issuer = Issuer::from_params(&root, root_key);
        let authority_issuer = Issuer::from_params(&authority, authority_key);
        let chain = [
            leaf.signed_by(leaf_key, &authority_issuer).unwrap().pem(),
            authority.signed_by(authority_key, &root_issuer).unwrap().pem(),
            root.self_signed(root_key).unwrap().pem(),
        ];
        parse(&chain.concat()).unwrap().verify_chain()
    };
    let same: Change = |_| {};
    let no_authority: Change = |params| params.is_ca = IsCa::ExplicitNoCa;
    let none_below: Change = |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let one_below: Change = |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    let signs: Change = |params| params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let other_use: Change = |params| params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    let broken = |error| Err(KeyFault::BrokenChain(error));
    for (of_root, of_authority, expected) in [
        (same, same, Ok(())),
        (one_below, none_below, Ok(())),
        (signs, signs, Ok(())),
        (none_below, same, broken(webpki::Error::PathLenConstraintViolated)),
        (no_authority, same, broken(webpki::Error::EndEntityUsedAsCa)),
        (other_use, same, broken(webpki::Error::EndEntityUsedAsCa)),
        (same, no_authority, broken(webpki::Error::EndEntityUsedAsCa)),
        (same, other_use, broken(webpki::Error::EndEntityUsedAsCa)),
    ] {
        assert_eq!(verify(of_root, of_authority), expected);
    }
}

#[test]
fn the_first_certificate_of_a_chain_counts() {
    let [root, authority, leaf] = chain(2020, 2090);
    let whole = parse(&[&*leaf, &authority, &root].concat()).unwrap();
    let alone = parse(&leaf).unwrap();
    assert_eq!(whole.public_key_bytes(), alone.public_key_bytes());
    assert_ne!(whole.fingerprint(), alone.fingerprint());
    assert!(whole.pem.starts_with(&alone.pem));
    assert!(!whole.is_bare() && !alone.is_bare());
}
