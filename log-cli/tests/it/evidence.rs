//! `cairn evidence verify` on every file of the vectors, and on what is no evidence at all.

use serde_json::Value;

use crate::binary::Place;

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/c2sp.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} of {value}"))
}

fn command(vector: &Value, place: &Place) -> String {
    place.write("evidence", text(vector, "file"));
    let mut command = "evidence verify evidence".to_owned();
    let option = if vector["trusted_role"] == "log" { "--log-vkey" } else { "--cosigner-vkey" };
    for vkey in vector["trusted_vkeys"].as_array().unwrap() {
        command.push_str(&format!(" {option} {}", vkey.as_str().unwrap()));
    }
    command + " --origin " + text(vector, "trusted_origin")
}

#[test]
fn every_vector_gets_its_verdict() {
    let place = Place::new();
    let vectors = vectors();
    let vectors = vectors["evidence"].as_array().unwrap();
    let mut proven = 0;
    for vector in vectors {
        let name = text(vector, "name");
        let command = command(vector, &place);
        let output = place.cairn(&command);
        let (stdout, stderr) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        if text(vector, "expect") == "proven" {
            assert_eq!(output.status.code(), Some(0), "{name}: {stderr}");
            assert!(stdout.starts_with("proven: the holder of this key signed"), "{stdout}");
            let json = place.expect(0, &format!("{command} --json"));
            let json: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(json["id"], vector["id"], "{name}");
            assert_eq!(json["origin"], vector["trusted_origin"], "{name}");
            proven += 1;
        } else {
            assert_eq!(output.status.code(), Some(1), "{name}");
            let reason = format!("cairn: {}: ", text(vector, "expect"));
            assert!(stderr.starts_with(&reason), "{name}: {stderr}");
            assert_eq!(stdout, "", "{name}");
        }
    }
    assert!(proven >= 8 && vectors.len() >= 39);
}

#[test]
fn evidence_says_nothing_about_others() {
    let place = Place::new();
    let vectors = vectors();
    let vector = &vectors["evidence"][0];
    let good = command(vector, &place);
    place.expect(0, &good);
    let origin = text(vector, "trusted_origin");
    let stranger = text(&vectors["keys"]["stranger"], "vkey");
    let witness = text(&vectors["keys"]["witness"], "vkey_type_04");
    place.expect(1, &format!("evidence verify evidence --log-vkey {stranger} --origin {origin}"));
    place.expect(1, &format!("{good}x"));
    place.expect(
        1,
        &format!("evidence verify evidence --cosigner-vkey {witness} --origin {origin}"),
    );
    // Without --origin it is the name of the key, and two names are none.
    let short = good.split(" --origin").next().unwrap();
    place.expect(0, short);
    place.expect(2, &format!("{short} --log-vkey {stranger}"));
    place.expect(0, &format!("{good} --log-vkey {stranger}"));
}

#[test]
fn what_is_no_evidence_is_malformed_and_what_cannot_be_read_is_open() {
    let place = Place::new();
    let vectors = vectors();
    let good = command(&vectors["evidence"][0], &place);
    let file = text(&vectors["evidence"][0], "file");
    let long = format!("{file}{}", format!("comment {}\n", "x".repeat(900)).repeat(600));
    assert!(long.len() > 513 * 1024);
    for bytes in [
        Vec::new(),
        b"\xff\xfe".to_vec(),
        file.replace("@v1", "@v2").into_bytes(),
        file.replace("log-fork", "log-spoon").into_bytes(),
        [file.as_bytes(), &b"\n".repeat(513 * 1024)].concat(),
        long.into_bytes(),
        vec![0; 20 * 1024 * 1024],
    ] {
        place.write("evidence", &bytes);
        let output = place.cairn(&good);
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with("cairn: malformed: "), "{stderr}");
    }
    place.expect(3, &good.replace("verify evidence", "verify absent"));
    for wrong in [
        "evidence",
        "evidence verify evidence",
        "evidence verify --log-vkey k",
        "evidence verify evidence --log-vkey nonsense",
        "evidence verify evidence --log-vkey a --cosigner-vkey b --origin o",
    ] {
        place.expect(2, wrong);
    }
    let witness = text(&vectors["keys"]["witness"], "vkey_type_04");
    place.expect(2, &format!("evidence verify evidence --cosigner-vkey {witness}"));
}
