//! The SSH encoding of strings and numbers (RFC 4251, section 5).

/// Reads from the front of some bytes.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes(4)?.try_into().ok()?))
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        self.bytes(len)
    }

    /// A number of any size above zero, without its leading zeros.
    pub(super) fn positive(&mut self) -> Option<&'a [u8]> {
        let bytes = self.string()?;
        if bytes.first()? & 0x80 != 0 {
            return None;
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes.get(zeros..).filter(|bytes| !bytes.is_empty())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Writes one field after the other.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn string(self, bytes: &[u8]) -> Self {
        let len = u32::try_from(bytes.len()).expect("invariant: no field of 4 GiB is ever written");
        self.bytes(&len.to_be_bytes()).bytes(bytes)
    }

    /// A number above zero without leading zeros.
    pub(super) fn positive(self, bytes: &[u8]) -> Self {
        let needs_zero = bytes.first().is_some_and(|top| top & 0x80 != 0);
        let zero: &[u8] = if needs_zero { &[0] } else { &[] };
        self.string(&[zero, bytes].concat())
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}
