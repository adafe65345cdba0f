//! Sealed events on their way to the log: what a row of the outbox holds.
//!
//! Version 1: one byte `1`, then each event as parts of a length (4 bytes, little-endian) and its bytes: leaf, account,
//! acting account, blind index of the address (each empty or 16 bytes), number of bodies (one byte), and for each body
//! its account and its sealed record.

use base::{Id, kind as ids};

const VERSION: u8 = 1;

/// One event, ready for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedEvent {
    /// The bytes under the tree's hash.
    pub(crate) leaf: Vec<u8>,
    /// Whose data it is.
    pub(crate) account: Option<Id<ids::Account>>,
    /// Who did it, if that is a person; the leaf does not say who.
    pub(crate) actor: Option<Id<ids::Account>>,
    /// The first half of the address' blind index.
    pub(crate) address_index: Option<[u8; 16]>,
    /// The sealed bodies, in the order of the leaf's commitments; never empty.
    pub(crate) bodies: Vec<SealedBody>,
}

/// One sealed body and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedBody {
    pub(crate) account: Option<Id<ids::Account>>,
    pub(crate) record: Vec<u8>,
}

/// The bytes are not of this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotPacked;

/// Packs the events of one row.
pub(crate) struct Packer(Vec<u8>);

impl Packer {
    pub(crate) fn new() -> Self {
        Self(vec![VERSION])
    }

    /// The bytes of a row with one event.
    pub(crate) fn of(event: &SealedEvent) -> Vec<u8> {
        let mut packer = Self::new();
        packer.add(event);
        packer.finish()
    }

    pub(crate) fn add(&mut self, event: &SealedEvent) {
        self.part(&event.leaf);
        self.account(event.account);
        self.account(event.actor);
        self.part(event.address_index.as_ref().map_or(&[][..], |index| index));
        let count = u8::try_from(event.bodies.len()).expect("an event has few bodies");
        self.part(&[count]);
        for body in &event.bodies {
            self.account(body.account);
            self.part(&body.record);
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    fn account(&mut self, account: Option<Id<ids::Account>>) {
        self.part(account.as_ref().map_or(&[][..], |id| id.as_bytes()));
    }

    fn part(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).expect("leaves and bodies are bounded");
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(bytes);
    }
}

/// The events of one row.
pub(crate) fn unpack(bytes: &[u8]) -> Result<Vec<SealedEvent>, NotPacked> {
    let (&version, rest) = bytes.split_first().ok_or(NotPacked)?;
    if version != VERSION {
        return Err(NotPacked);
    }
    let mut parts = Parts(rest);
    let mut events = Vec::new();
    while !parts.0.is_empty() {
        let leaf = parts.part()?.to_vec();
        let (account, actor, address_index) = (parts.id()?, parts.id()?, parts.fixed()?);
        let &[count] = parts.part()? else { return Err(NotPacked) };
        let mut bodies = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            bodies.push(SealedBody { account: parts.id()?, record: parts.part()?.to_vec() });
        }
        if bodies.is_empty() {
            return Err(NotPacked);
        }
        events.push(SealedEvent { leaf, account, actor, address_index, bodies });
    }
    Ok(events)
}

struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn part(&mut self) -> Result<&'a [u8], NotPacked> {
        let (length, rest) = self.0.split_first_chunk().ok_or(NotPacked)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| NotPacked)?;
        let (part, rest) = rest.split_at_checked(length).ok_or(NotPacked)?;
        self.0 = rest;
        Ok(part)
    }

    fn fixed(&mut self) -> Result<Option<[u8; 16]>, NotPacked> {
        match self.part()? {
            [] => Ok(None),
            bytes => bytes.try_into().map(Some).map_err(|_| NotPacked),
        }
    }

    fn id(&mut self) -> Result<Option<Id<ids::Account>>, NotPacked> {
        Ok(self.fixed()?.map(Id::from_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(byte: u8) -> SealedEvent {
        SealedEvent {
            leaf: vec![byte; 5],
            account: Some(Id::from_bytes([byte; 16])),
            actor: None,
            address_index: Some([byte; 16]),
            bodies: vec![
                SealedBody { account: Some(Id::from_bytes([byte; 16])), record: vec![byte; 40] },
                SealedBody { account: None, record: vec![byte; 3] },
            ],
        }
    }

    #[test]
    fn events_are_packed_and_unpacked() {
        let events = [event(1), event(2), SealedEvent { account: None, address_index: None, ..event(3) }];
        let mut packer = Packer::new();
        events.iter().for_each(|event| packer.add(event));
        assert_eq!(unpack(&packer.finish()).unwrap(), events);
        assert_eq!(unpack(&Packer::new().finish()).unwrap(), []);
    }

    #[test]
    fn cut_and_foreign_bytes_are_refused() {
        let mut packer = Packer::new();
        packer.add(&event(1));
        let bytes = packer.finish();
        for length in 2..bytes.len() {
            assert_eq!(unpack(&bytes[..length]), Err(NotPacked), "{length}");
        }
        assert_eq!(unpack(&[]), Err(NotPacked));
        assert_eq!(unpack(&[2]), Err(NotPacked));
        let mut long = bytes;
        long[1] = 0xff;
        assert_eq!(unpack(&long), Err(NotPacked));
    }
}
