//! MD5 (RFC 1321), which every package carries and which its entry repeats. It proves nothing: the
//! signature does.

const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// How far each of four steps rotates, in each of four rounds.
const ROTATIONS: [[u32; 4]; 4] =
    [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// Which word each round starts with, and how far it goes on.
const WORDS: [(usize, usize); 4] = [(0, 1), (1, 5), (5, 3), (0, 7)];

const BLOCK: usize = 64;

/// The digest of some bytes.
pub(super) fn md5(bytes: &[u8]) -> [u8; 16] {
    let table = table();
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut state = START;
    blocks.iter().for_each(|block| step(&mut state, block, &table));
    let mut last = rest.to_vec();
    last.push(0x80);
    let zeros = (2 * BLOCK - 8 - last.len()) % BLOCK;
    last.extend(vec![0; zeros]);
    last.extend((bytes.len() as u64).wrapping_mul(8).to_le_bytes());
    last.as_chunks::<BLOCK>().0.iter().for_each(|block| step(&mut state, block, &table));
    let mut digest = [0; 16];
    for (out, word) in digest.chunks_exact_mut(4).zip(state) {
        out.copy_from_slice(&word.to_le_bytes());
    }
    digest
}

/// The integer parts of 2^32 times the sine of 1 to 64.
fn table() -> [u32; 64] {
    std::array::from_fn(|at| {
        let sine = ((at + 1) as f64).sin().abs();
        #[expect(clippy::cast_possible_truncation, reason = "a sine is at most one")]
        let word = (sine * 4_294_967_296.0) as u32;
        word
    })
}

fn step(state: &mut [u32; 4], block: &[u8; BLOCK], table: &[u32; 64]) {
    let mut words = [0; 16];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let [mut a, mut b, mut c, mut d] = *state;
    for (at, constant) in table.iter().enumerate() {
        let round = at / 16;
        let mixed = match round {
            0 => (b & c) | (!b & d),
            1 => (d & b) | (!d & c),
            2 => b ^ c ^ d,
            _ => c ^ (b | !d),
        };
        let (first, stride) = WORDS[round];
        let sum = a
            .wrapping_add(mixed)
            .wrapping_add(*constant)
            .wrapping_add(words[(first + stride * at) % 16]);
        (a, d, c) = (d, c, b);
        b = b.wrapping_add(sum.rotate_left(ROTATIONS[round][at % 4]));
    }
    for (word, add) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        md5(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The test suite of RFC 1321, and a length around each end of a block.
    #[test]
    fn digests_are_those_of_the_standard() {
        let digits = "1234567890".repeat(8);
        for (text, expected) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (&digits, "57edf4a22be3c955ac49da2e2107b67a"),
        ] {
            assert_eq!(hex(text.as_bytes()), expected, "{text}");
        }
        for (len, expected) in [
            (55, "ef1772b6dff9a122358552954ad0df65"),
            (56, "3b0c8ac703f828b04c6c197006d17218"),
            (64, "014842d480b571495a4a0363793f7367"),
        ] {
            assert_eq!(hex("a".repeat(len).as_bytes()), expected, "{len}");
        }
    }
}
