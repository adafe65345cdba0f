//! The stored form: big-endian numbers behind a magic and a version.

/// A stored state that this version cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored login-risk state cannot be read: {0}")]
pub struct CorruptState(pub(crate) &'static str);

#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(magic: &[u8; 4], version: u8) -> Self {
        let mut out = Self::default();
        out.bytes(magic);
        out.u8(version);
        out
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn f32(&mut self, value: f32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Checks magic and version.
    pub(crate) fn new(bytes: &'a [u8], magic: &[u8; 4], version: u8) -> Result<Self, CorruptState> {
        let rest = bytes.strip_prefix(magic).ok_or(CorruptState("not such a state"))?;
        match rest.split_first() {
            Some((found, rest)) if *found == version => Ok(Self(rest)),
            _ => Err(CorruptState("another version")),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], CorruptState> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(CorruptState("too short"))?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, CorruptState> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, CorruptState> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, CorruptState> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, CorruptState> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A number that must be finite.
    pub(crate) fn f32(&mut self) -> Result<f32, CorruptState> {
        let value = f32::from_be_bytes(self.array()?);
        if value.is_finite() { Ok(value) } else { Err(CorruptState("not a number")) }
    }

    /// A number that must be finite and not negative.
    pub(crate) fn count(&mut self) -> Result<f32, CorruptState> {
        let value = self.f32()?;
        if value >= 0.0 { Ok(value) } else { Err(CorruptState("a negative count")) }
    }

    pub(crate) fn end(self) -> Result<(), CorruptState> {
        if self.0.is_empty() { Ok(()) } else { Err(CorruptState("too long")) }
    }
}
