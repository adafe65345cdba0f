//! Counting how common values are, in fixed space.

use super::codec::{CorruptState, Reader, Writer};

const ROWS: usize = 3;
const COLUMNS: usize = 1024;

/// FNV-1a over a domain and a value; never zero, so that zero can mean "none". Not a secret: the history that it stands
/// in is sealed, and a collision only makes two devices look alike.
pub(crate) fn hash(domain: &[u8], value: &[u8]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in domain.iter().chain(&[0]).chain(value) {
        state ^= u64::from(*byte);
        state = state.wrapping_mul(0x0000_0100_0000_01b3);
    }
    // FNV's low bits mix badly for short values.
    state ^= state >> 32;
    state.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1)
}

/// A count-min sketch: answers are never too low, and too high by at most about total/500.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sketch {
    cells: Vec<f32>,
    pub(crate) total: f32,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { cells: vec![0.0; ROWS * COLUMNS], total: 0.0 }
    }
}

impl Sketch {
    fn places(key: u64) -> impl Iterator<Item = usize> {
        (0..ROWS).map(move |row| {
            let mixed =
                (key ^ (row as u64).wrapping_mul(0xa076_1d64_78bd_642f)).wrapping_mul(0xe703_7ed1_a0b4_28db);
            row * COLUMNS + usize::try_from(mixed >> 40).unwrap_or(0) % COLUMNS
        })
    }

    pub(crate) fn add(&mut self, key: u64) {
        self.total += 1.0;
        for place in Self::places(key) {
            self.cells[place] += 1.0;
        }
    }

    /// The share of sign-ins with this value, smoothed so that the never seen is rare, not impossible.
    pub(crate) fn share(&self, key: u64) -> f32 {
        let count = Self::places(key).map(|place| self.cells[place]).fold(f32::INFINITY, f32::min);
        (count + 0.5) / (self.total + 100.0)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (cell, more) in self.cells.iter_mut().zip(&other.cells) {
            *cell += more;
        }
        self.total += other.total;
    }

    pub(crate) fn halve(&mut self) {
        self.cells.iter_mut().for_each(|cell| *cell *= 0.5);
        self.total *= 0.5;
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.f32(self.total);
        // Most cells are empty in a small deployment: runs of zeros are counted.
        let mut cells = self.cells.iter().copied().peekable();
        while let Some(cell) = cells.next() {
            out.f32(cell);
            if cell == 0.0 {
                let mut zeros = 1_u16;
                while cells.next_if(|next| *next == 0.0).is_some() {
                    zeros += 1;
                }
                out.u16(zeros);
            }
        }
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, CorruptState> {
        let total = input.count()?;
        let mut cells = Vec::with_capacity(ROWS * COLUMNS);
        while cells.len() < ROWS * COLUMNS {
            let cell = input.count()?;
            let times = if cell == 0.0 { usize::from(input.u16()?) } else { 1 };
            if times == 0 || times > ROWS * COLUMNS - cells.len() {
                return Err(CorruptState("a run in the sketch is too long"));
            }
            cells.resize(cells.len() + times, cell);
        }
        Ok(Self { cells, total })
    }
}
