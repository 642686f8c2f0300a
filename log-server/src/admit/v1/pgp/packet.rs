//! Packets (RFC 9580, 4): cutting a text of bytes into them, and writing one again.

use super::PgpFault;

/// Most packets of a key or a signature. Keys have one for each name, each key and each signature
/// under them; those that an entry can hold have at most some hundreds.
const PACKETS_MAX: usize = 1_000;

/// The kinds of packets that matter here.
pub(super) mod tag {
    pub(in super::super) const SIGNATURE: u8 = 2;
    pub(in super::super) const SECRET_KEY: u8 = 5;
    pub(in super::super) const PUBLIC_KEY: u8 = 6;
    pub(in super::super) const SECRET_SUBKEY: u8 = 7;
    pub(in super::super) const COMPRESSED: u8 = 8;
    pub(in super::super) const USER_ID: u8 = 13;
    pub(in super::super) const PUBLIC_SUBKEY: u8 = 14;
}

/// A packet: its kind and what its header encloses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) tag: u8,
    pub(super) body: &'a [u8],
}

impl Packet<'_> {
    /// The packet with a header of the newer format, and with the shortest length.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(0b1100_0000 | self.tag);
        let len = self.body.len();
        match len {
            0..192 => out.push(low_byte(len)),
            192..8384 => out.extend([low_byte(((len - 192) >> 8) + 192), low_byte(len - 192)]),
            _ => {
                let len = u32::try_from(len).expect("invariant: keys are far below 4 GiB");
                out.push(255);
                out.extend(len.to_be_bytes());
            }
        }
        out.extend_from_slice(self.body);
    }
}

/// All packets of some bytes. Lengths that only a packet with data may have are refused, and so no
/// packet is anything but a slice of the input.
pub(super) fn packets(mut bytes: &[u8]) -> Result<Vec<Packet<'_>>, PgpFault> {
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        if packets.len() == PACKETS_MAX {
            return Err(PgpFault::TooManyPackets);
        }
        let (packet, rest) = first(bytes).ok_or(PgpFault::MalformedPacket)?;
        packets.push(packet);
        bytes = rest;
    }
    Ok(packets)
}

fn first(bytes: &[u8]) -> Option<(Packet<'_>, &[u8])> {
    let (header, rest) = bytes.split_first()?;
    let (tag, (len, rest)) = match header >> 6 {
        0b11 => (header & 0b11_1111, new_length(rest)?),
        0b10 => (header >> 2 & 0b1111, old_length(header & 0b11, rest)?),
        _ => return None,
    };
    let (body, rest) = rest.split_at_checked(len)?;
    Some((Packet { tag, body }, rest))
}

/// A length of the newer format, which subpackets have too; partial lengths are none.
fn new_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [len @ 0..192, rest @ ..] => Some((usize::from(*len), rest)),
        [high @ 192..224, low, rest @ ..] => Some((two_bytes(*high, *low), rest)),
        [255, rest @ ..] => big_endian(rest, 4),
        _ => None,
    }
}

/// A length of a subpacket (RFC 9580, 5.2.3.7), where two bytes reach further.
pub(super) fn subpacket_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [high @ 192..=254, low, rest @ ..] => Some((two_bytes(*high, *low), rest)),
        _ => new_length(bytes),
    }
}

fn two_bytes(high: u8, low: u8) -> usize {
    ((usize::from(high) - 192) << 8) + usize::from(low) + 192
}

fn old_length(kind: u8, bytes: &[u8]) -> Option<(usize, &[u8])> {
    match kind {
        0 => big_endian(bytes, 1),
        1 => big_endian(bytes, 2),
        2 => big_endian(bytes, 4),
        _ => None,
    }
}

fn big_endian(bytes: &[u8], len: usize) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_at_checked(len)?;
    Some((number.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)), rest))
}

fn low_byte(number: usize) -> u8 {
    u8::try_from(number & 0xff).expect("invariant: one byte is left")
}

/// A number with its length in bits in front (RFC 9580, 3.2), and what follows it.
pub(super) fn number(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (bits, rest) = big_endian(bytes, 2)?;
    rest.split_at_checked(bits.div_ceil(8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for len in [0, 1, 191, 192, 193, 8_383, 8_384, 70_000] {
            let body = vec![7; len];
            let packet = Packet { tag: tag::PUBLIC_SUBKEY, body: &body };
            let mut written = vec![];
            packet.write(&mut written);
            packet.write(&mut written);
            assert_eq!(packets(&written), Ok(vec![packet, packet]), "{len}");
            assert!(packets(&written[..written.len() - 1]).is_err());
        }
    }

    #[test]
    fn headers_of_the_older_format_are_read() {
        for header in [&[0x98, 2][..], &[0x99, 0, 2], &[0x9a, 0, 0, 0, 2]] {
            let bytes = [header, b"ab"].concat();
            assert_eq!(packets(&bytes), Ok(vec![Packet { tag: 6, body: b"ab" }]));
        }
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for bytes in [
            &[0x00, 0][..],
            &[0x7f, 0],
            &[0x99, 0],
            &[0x9a, 0xff, 0xff, 0xff, 0xff],
            // Until the end, and partial.
            &[0x9b, 1],
            &[0xc6, 224, 1],
            &[0xc6, 254],
            &[0xc6, 255, 0xff, 0xff, 0xff, 0xff],
            &[0xc6],
        ] {
            assert_eq!(packets(bytes), Err(PgpFault::MalformedPacket), "{bytes:x?}");
        }
        let many = [0xc6, 0].repeat(PACKETS_MAX);
        assert_eq!(packets(&many).map(|packets| packets.len()), Ok(PACKETS_MAX));
        let more = [&many[..], &[0xc6, 0]].concat();
        assert_eq!(packets(&more), Err(PgpFault::TooManyPackets));
    }

    #[test]
    fn numbers_have_a_length_in_bits() {
        assert_eq!(number(&[0, 9, 1, 2, 3]), Some((&[1, 2][..], &[3][..])));
        assert_eq!(number(&[0, 0]), Some((&[][..], &[][..])));
        assert_eq!(number(&[0, 9, 1]), None);
        assert_eq!(number(&[0xff, 0xff, 1]), None);
    }
}
