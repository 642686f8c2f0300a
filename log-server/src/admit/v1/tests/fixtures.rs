//! Upstream's own files, beside the directory that `CAIRN_EXTRA_VECTORS` names. They are not in
//! this repository.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::search::{KeyFormat, public_key_key};
use super::{admitted, encode, now, reason};

/// The files, each by its path; nothing where they are not at hand.
struct Fixtures(PathBuf);

impl Fixtures {
    fn find() -> Option<Self> {
        let Some(directory) = std::env::var_os("CAIRN_EXTRA_VECTORS") else {
            eprintln!("skipped: CAIRN_EXTRA_VECTORS is not set");
            return None;
        };
        let directory = PathBuf::from(directory);
        let found = directory.ancestors().map(|parent| parent.join("rekor-v1-fixtures"));
        let found = found.take(3).find(|candidate| candidate.is_dir());
        if found.is_none() {
            eprintln!("skipped: no rekor-v1-fixtures beside {}", directory.display());
        }
        found.map(Self)
    }

    fn read(&self, path: &str) -> Vec<u8> {
        let path = self.0.join(path);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn rekord(&self, format: &str, [data, signature, key]: [&str; 3]) -> Value {
        json!({ "apiVersion": "0.0.1", "kind": "rekord", "spec": {
            "data": { "content": encode(self.read(data)) },
            "signature": {
                "format": format,
                "content": encode(self.read(signature)),
                "publicKey": { "content": encode(self.read(key)) },
            },
        } })
    }
}

#[test]
fn files_of_every_format_are_admitted() {
    let Some(fixtures) = Fixtures::find() else { return };
    let minisign = "pkg/pki/minisign/testdata";
    let hello = format!("{minisign}/hello_world.txt");
    for (format, signature, key) in [
        ("minisign", "hello_world.txt.minisig", "minisign.pub"),
        ("minisign", "hello_world.txt.minisig", "minisign_key_only.pub"),
        ("minisign", "hello_world_hashed.txt.minisig", "minisign_hashed.pub"),
        ("minisign", "hello_world.txt.signify", "signify.pub"),
    ] {
        let files = [&*hello, &format!("{minisign}/{signature}"), &format!("{minisign}/{key}")];
        admitted(&fixtures.rekord(format, files));
    }
    for (format, files) in [
        (
            "ssh",
            [
                "ssh/testdata/hello_world.txt",
                "ssh/testdata/hello_world.txt.sig",
                "ssh/testdata/id_rsa.pub",
            ],
        ),
        (
            "x509",
            [
                "x509/testdata/hello_world.txt",
                "x509/testdata/hello_world.txt.sig",
                "x509/testdata/ec.pub",
            ],
        ),
    ] {
        let files = files.map(|file| format!("pkg/pki/{file}"));
        admitted(&fixtures.rekord(format, [&files[0], &files[1], &files[2]]));
    }
    let app = "cmd/rekor-cli/app/tests/test_x509";
    let files = ["_artifact.txt", ".sig", "_public_key.pem"].map(|end| format!("{app}{end}"));
    admitted(&fixtures.rekord("x509", [&files[0], &files[1], &files[2]]));
}

#[test]
fn proposed_entries_in_files_are_read() {
    let Some(fixtures) = Fixtures::find() else { return };
    for name in ["dsse", "hashedrekord", "intoto"] {
        let path = format!("pkg/generated/models/testdata/{name}.json");
        let request: Value = serde_json::from_slice(&fixtures.read(&path)).unwrap();
        match name {
            // Its envelope is a text, as in the older version.
            "intoto" => {
                let refused = reason(&request).to_string();
                assert!(refused.starts_with("validation failure list:\n"), "{refused}");
            }
            _ => assert_eq!(admitted(&request).kind.name(), name),
        }
    }
}

#[test]
fn metadata_of_the_update_framework_is_judged_as_upstream_does() {
    let Some(fixtures) = Fixtures::find() else { return };
    let read = |name: &str| fixtures.read(&format!("pkg/pki/tuf/testdata/{name}"));
    let in_its_days = "2021-12-01T00:00:00Z".parse().unwrap();
    let root = |name: &str| public_key_key(KeyFormat::Tuf, &read(name), in_its_days);
    // The same root with other white space is the same key.
    assert!(root("1.root.json").is_some());
    assert_eq!(root("1.root.json"), root("reformat.1.root.json"));
    assert_ne!(root("1.root.json"), root("other_root.json"));
    for name in ["unsigned_root.json", "bogus.json", "timestamp.json"] {
        assert_eq!(root(name), None, "{name}");
    }
    // They have expired since.
    assert_eq!(public_key_key(KeyFormat::Tuf, &read("1.root.json"), now()), None);
}

#[test]
fn a_cose_message_needs_its_additional_data() {
    let Some(fixtures) = Fixtures::find() else { return };
    let read = |name: &str| encode(fixtures.read(&format!("cmd/rekor-cli/app/tests/{name}")));
    let request = |data: Value| {
        json!({ "apiVersion": "0.0.1", "kind": "cose", "spec": {
            "message": read("test_cose.cbor"), "publicKey": read("test_cose.pub"), "data": data,
        } })
    };
    admitted(&request(json!({ "aad": encode(b"test aad") })));
    assert_eq!(reason(&request(json!({}))).to_string(), "verification error");
}

#[test]
fn openpgp_keys_are_one_key_in_every_form() {
    let Some(fixtures) = Fixtures::find() else { return };
    let at = |name: &str| format!("pkg/pki/pgp/testdata/{name}");
    let (data, binary) = (at("hello_world.txt"), at("hello_world.txt.sig"));
    let (armored_key, binary_key) = (at("valid_armored_public.pgp"), at("valid_binary_public.pgp"));
    let keys = [&armored_key, &binary_key].map(|key| {
        let made = admitted(&fixtures.rekord("pgp", [&data, &binary, key]));
        assert!(made.index_keys.contains(&"not@real.com".to_owned()));
        public_key_key(KeyFormat::Pgp, &fixtures.read(key), now()).unwrap()
    });
    assert_eq!(keys[0], keys[1]);
    admitted(&fixtures.rekord("pgp", [&data, &at("hello_world.txt.asc.sig"), &armored_key]));
    let file = ["txt", "sig"].map(|end| format!("tests/test_file.{end}"));
    admitted(&fixtures.rekord("pgp", [&file[0], &file[1], "tests/test_public_key.key"]));
    // Only the first block counts, as upstream has it, and that holds a DSA key.
    let complex = fixtures.read(&at("valid_armored_complex_public.pgp"));
    assert_eq!(public_key_key(KeyFormat::Pgp, &complex, now()), None);
}

#[test]
fn packages_of_every_kind_are_admitted() {
    let Some(fixtures) = Fixtures::find() else { return };
    let content = |path: &str| json!({ "content": encode(fixtures.read(path)) });
    for (kind, spec) in [
        ("jar", json!({ "archive": content("pkg/types/jar/v0.0.1/tests/test.jar") })),
        (
            "alpine",
            json!({
                "package": content("pkg/types/alpine/tests/test_alpine.apk"),
                "publicKey": content("pkg/types/alpine/tests/test_alpine.pub"),
            }),
        ),
        (
            "rpm",
            json!({
                "package": content("pkg/types/rpm/tests/test.rpm"),
                "publicKey": content("pkg/types/rpm/tests/test_rpm_public_key.key"),
            }),
        ),
        (
            "helm",
            json!({
                "chart": { "provenance": content("pkg/types/helm/tests/test-0.1.0.tgz.prov") },
                "publicKey": content("pkg/types/helm/tests/test_helm_armor.pub"),
            }),
        ),
    ] {
        let request = json!({ "apiVersion": "0.0.1", "kind": kind, "spec": spec });
        assert_eq!(admitted(&request).kind.name(), kind);
    }
    let helm = fixtures.read("cmd/rekor-cli/app/tests/helm.json");
    admitted(&serde_json::from_slice(&helm).unwrap());
    let alpine = fixtures.read("cmd/rekor-cli/app/tests/alpine.json");
    let refused = reason(&serde_json::from_slice(&alpine).unwrap()).to_string();
    assert!(refused.starts_with("failed parsing base64 data for "), "{refused}");
}
