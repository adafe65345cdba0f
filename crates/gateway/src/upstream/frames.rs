//! Where the frames of a WebSocket (RFC 6455 §5.2) end, without reading what is in them.

/// Follows one direction of a tunnel, from its first byte on.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// The bytes of a head that is not whole yet; at most 14.
    head: [u8; 14],
    have: usize,
    /// Payload of the present frame that is still to come.
    payload: u64,
}

impl Frames {
    /// Whether the next byte begins a frame.
    pub(crate) const fn between(&self) -> bool {
        self.have == 0 && self.payload == 0
    }

    /// Takes note of bytes that went by.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.step(bytes)..];
        }
    }

    /// How many of these bytes belong to the frame that is half-way through; none between frames.
    pub(crate) fn rest(&self, bytes: &[u8]) -> usize {
        let mut ahead = Self { head: self.head, ..*self };
        let mut count = 0;
        while !ahead.between() && count < bytes.len() {
            count += ahead.step(&bytes[count..]);
        }
        count
    }

    /// Goes by one byte of a head or as much payload as there is; gives how many bytes that was.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if self.payload > 0 {
            let count = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
            self.payload -= count as u64;
            return count;
        }
        self.head[self.have] = bytes[0];
        self.have += 1;
        if let Some(payload) = self.whole() {
            (self.have, self.payload) = (0, payload);
        }
        1
    }

    /// The length of the payload, once the head is whole.
    fn whole(&self) -> Option<u64> {
        if self.have < 2 {
            return None;
        }
        let mask = if self.head[1] & 0x80 == 0 { 0 } else { 4 };
        let short = self.head[1] & 0x7f;
        let extra = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if self.have < 2 + extra + mask {
            return None;
        }
        let long = self.head[2..2 + extra].iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        Some(if extra == 0 { u64::from(short) } else { long })
    }
}

/// Close frames (RFC 6455 §5.5.1, §7.4.1).
pub(crate) mod close {
    /// The server goes down.
    pub(crate) const GOING_AWAY: u16 = 1001;
    /// The decision behind the connection no longer holds.
    pub(crate) const POLICY: u16 = 1008;

    /// A Close frame with this code and no words; what a client sends is masked, here with zeroes.
    pub(crate) fn frame(code: u16, masked: bool) -> Vec<u8> {
        let mut frame = vec![0x88];
        if masked {
            frame.extend([0x82, 0, 0, 0, 0]);
        } else {
            frame.push(0x02);
        }
        frame.extend(code.to_be_bytes());
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match length {
            0..126 => frame.push(mask | u8::try_from(length).unwrap()),
            126..=0xffff => {
                frame.push(mask | 126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend([9; 4]);
        }
        frame.extend(vec![0x88; length]);
        frame
    }

    #[test]
    fn the_ends_of_frames_are_found_however_the_bytes_come() {
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000, 0, 0];
        for masked in [false, true] {
            let mut ends = vec![0];
            let mut all = Vec::new();
            for length in lengths {
                all.extend(frame(length, masked));
                ends.push(all.len());
            }
            for size in [1, 2, 3, 7, 1_000, 16_384, all.len()] {
                let mut frames = Frames::default();
                let mut at = 0;
                for piece in all.chunks(size) {
                    let end = ends.iter().find(|end| **end >= at).copied().unwrap();
                    assert_eq!(frames.between(), end == at, "at {at} in pieces of {size}");
                    assert_eq!(frames.rest(piece), (end - at).min(piece.len()));
                    frames.pass(piece);
                    at += piece.len();
                }
                assert!(frames.between());
            }
        }
    }

    #[test]
    fn a_length_beyond_reason_is_a_long_frame_and_no_fault() {
        let mut frames = Frames::default();
        frames.pass(&[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]);
        frames.pass(&[0; 1000]);
        assert!(!frames.between());
    }

    #[test]
    fn close_frames_are_as_the_rfc_writes_them() {
        assert_eq!(close::frame(close::POLICY, false), [0x88, 0x02, 0x03, 0xf0]);
        assert_eq!(close::frame(close::GOING_AWAY, true), [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]);
    }
}
