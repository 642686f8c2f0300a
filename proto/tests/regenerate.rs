//! The committed code is what the `.proto` files give.
//!
//! `UPDATE=1 cargo test -p log-proto` writes it anew; without `UPDATE` a difference fails.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The files to compile; what they import comes along.
const PROTO_FILES: [&str; 2] =
    ["dev/sigstore/rekor/v2/rekor_service.proto", "google/rpc/status.proto"];

/// Descriptors of all files, as gRPC reflection serves them.
const DESCRIPTOR_SET: &str = "descriptor_set.bin";

#[test]
fn generated_code_matches_the_proto_files() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let committed_dir = root.join("src/generated");
    let generated = generate(&root);
    if std::env::var_os("UPDATE").is_some() {
        fs::remove_dir_all(&committed_dir).expect("remove the old code");
        fs::create_dir_all(&committed_dir).expect("create src/generated");
        for (name, content) in &generated {
            fs::write(committed_dir.join(name), content).expect("write the new code");
        }
    }
    let committed = read_dir(&committed_dir);
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&generated), names(&committed), "files in src/generated");
    for (name, content) in &generated {
        let same = committed.get(name) == Some(content);
        assert!(same, "{name} is stale: run UPDATE=1 cargo test -p log-proto");
    }
}

fn generate(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut compiler = protox::Compiler::new([root]).expect("an include directory");
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(PROTO_FILES)
        .expect("the .proto files compile");
    let out = tempfile::tempdir().expect("a temporary directory");
    tonic_prost_build::configure()
        .out_dir(out.path())
        .emit_rerun_if_changed(false)
        .compile_fds(compiler.file_descriptor_set())
        .expect("code generation");
    let mut files = read_dir(out.path());
    compiler.include_source_info(false);
    files.insert(DESCRIPTOR_SET.to_owned(), compiler.encode_file_descriptor_set());
    files
}

fn read_dir(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(dir)
        .expect("a readable directory")
        .map(|entry| {
            let path = entry.expect("a directory entry").path();
            let name = path.file_name().expect("a file name").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("a readable file"))
        })
        .collect()
}
