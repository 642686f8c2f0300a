//! PEM blocks in a text.

/// The bytes of every block with this label, in order.
pub fn pem_blocks(text: &str, label: &str) -> Result<Vec<Vec<u8>>, PemError> {
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(&begin) {
        let tail = &rest[start..];
        let stop = tail.find(&end).ok_or(PemError::Broken)? + end.len();
        let (_, bytes) =
            der::pem::decode_vec(&tail.as_bytes()[..stop]).map_err(|_| PemError::Broken)?;
        blocks.push(bytes);
        rest = &tail[stop..];
    }
    Ok(blocks)
}

/// The bytes of the first block with this label.
pub fn pem_block(text: &str, label: &'static str) -> Result<Vec<u8>, PemError> {
    let first = pem_blocks(text, label)?.into_iter().next();
    first.ok_or(PemError::Absent(label))
}

/// The text of one block, lines ended by a newline.
pub fn to_pem(label: &str, bytes: &[u8]) -> String {
    der::pem::encode_string(label, der::pem::LineEnding::LF, bytes)
        .expect("invariant: our labels are valid and the buffer has the computed length")
}

/// Why a text holds no such block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// A block begins and is not PEM.
    #[error("broken PEM block")]
    Broken,
    /// There is no block with this label.
    #[error("no PEM block `{0}`")]
    Absent(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_between_other_text() {
        let text = format!("x\n{}y\n{}", to_pem("A", b"one"), to_pem("A", b"two"));
        assert_eq!(pem_blocks(&text, "A").unwrap(), [b"one".to_vec(), b"two".to_vec()]);
        assert_eq!(pem_block(&text, "B"), Err(PemError::Absent("B")));
    }

    #[test]
    fn broken_blocks_are_errors() {
        for text in [
            "-----BEGIN A-----",
            "-----BEGIN A-----\n!!\n-----END A-----",
            "-----BEGIN A----------END A-----",
        ] {
            assert_eq!(pem_blocks(text, "A"), Err(PemError::Broken), "{text}");
        }
    }
}
