//! The record of the witnesses: one form, and nothing else is read.

use log_core::cosignature::CosignerKey;
use log_core::key::KeyName;

use super::super::witnessed::Witnessed;
use super::*;

fn vkey(number: u8) -> String {
    let name = KeyName::parse(&format!("witness.example/{number}")).unwrap();
    CosignerKey::ed25519(name, [number; 32]).verifier_key().to_string()
}

fn full() -> Witnessed {
    let policy = format!("witness a {} http://127.0.0.1:1\nquorum a\n", vkey(1));
    let mut sizes = BTreeMap::new();
    sizes.insert(vkey(1), TreeSize::new(7));
    sizes.insert(vkey(2), TreeSize::new(0));
    Witnessed { note: Some("log.example\n7\n...\n\n\u{2014} x\n".into()), policy, sizes }
}

fn fault(record: &[u8]) -> String {
    Witnessed::parse(record).expect_err("must be refused").to_string()
}

#[test]
fn a_record_reads_back_as_it_was_written() {
    for record in [Witnessed::nothing(), full()] {
        let bytes = record.encode();
        let read = Witnessed::parse(&bytes).unwrap();
        assert_eq!(
            (&read.note, &read.policy, &read.sizes),
            (&record.note, &record.policy, &record.sizes)
        );
        assert_eq!(read.encode(), bytes);
        read.policy().unwrap();
    }
    let text = "cairn witnessed 1\npolicy 12\nquorum none\nnote 0\n";
    assert_eq!(Witnessed::nothing().encode(), text.as_bytes());
}

#[test]
fn a_record_cut_anywhere_or_with_more_at_its_end_is_refused() {
    let bytes = full().encode();
    for end in 0..bytes.len() {
        fault(&bytes[..end]);
    }
    assert!(fault(&[&bytes[..], b"x"].concat()).contains("end"));
}

#[test]
fn another_form_of_the_same_is_refused() {
    let text = String::from_utf8(full().encode()).unwrap();
    let (first, second) = (vkey(1).min(vkey(2)), vkey(1).max(vkey(2)));
    let swapped = text.replace(&first, "?").replace(&second, &first).replace('?', &second);
    let changes = [
        ("version", text.replace("witnessed 1", "witnessed 2")),
        ("order", swapped),
        ("twice", text.replace(&second, &first)),
        ("leading zero", text.replace("witness 7 ", "witness 07 ")),
        ("no size", text.replace("witness 7 ", "witness ")),
        ("no key", text.replacen(&first, "somebody", 1)),
        ("length", text.replace("note ", "note 0")),
        ("beyond", text.replace("note ", "note 9999999999")),
        ("overflow", text.replace("note ", "note 99999999999999999999")),
        ("within a character", text.replace("note ", "note 1").replace("log.example", "\u{2014}")),
        ("order of the parts", text.replace("policy ", "note ")),
    ];
    for (what, changed) in changes {
        assert_ne!(changed, text, "{what}");
        assert!(Witnessed::parse(changed.as_bytes()).is_err(), "{what}");
    }
    assert!(fault(b"\xff").contains("encoding"));
}

#[test]
fn a_note_that_is_not_this_logs_own_is_refused() {
    let disk = Disk::new();
    let (origin, key) = (Origin::parse(ORIGIN).unwrap(), disk.signer().verifier_key());
    assert!(full().checkpoint(&origin, &key).is_err());
    let note = cosigned_genesis(&disk).note;
    let record = Witnessed { note: Some(note.clone()), ..full() };
    assert_eq!(record.checkpoint(&origin, &key).unwrap().unwrap().head(), TreeHead::EMPTY);
    let other = Origin::parse("other.example").unwrap();
    assert!(record.checkpoint(&other, &key).is_err());
    let forged = Witnessed { note: Some(note.replacen("\n0\n", "\n1\n", 1)), ..full() };
    assert!(forged.checkpoint(&origin, &key).is_err());
}

#[test]
fn a_log_whose_record_does_not_fit_its_store_stays_shut() {
    let disk = Disk::new();
    let genesis = cosigned_genesis(&disk).note;
    let ahead = Witnessed { note: Some(genesis), ..full() };
    disk.rows.put_note(&ahead.encode()).unwrap();
    let shut = disk.try_start_with(|_| ()).err().unwrap();
    assert!(matches!(shut, Shut::ForeignRecord(_)), "{shut}");
    disk.rows.put_note(b"something else").unwrap();
    let shut = disk.try_start_with(|_| ()).err().unwrap();
    assert!(matches!(shut, Shut::Witnessed(_)), "{shut}");
}
