//! What is known of everybody together: counts, of fixed size, that name nobody.

use super::Sighting;
use super::codec::{CorruptState, Reader, Writer};
use super::history::History;
use super::line::{Lines, Seen};
use super::sketch::Sketch;
use super::status::{self, BUCKETS, DEVICES, DeviceStatus, NETS, NetStatus};

const MAGIC: &[u8; 4] = b"ftlp";
const VERSION: u8 = 1;
/// Sign-ins after which old ones begin to count half, so that habits of years ago fade.
const FADE_AT: f32 = 200_000.0;

/// How owners' sign-ins stand to their histories before anything was learned: rounded shares from the development set,
/// so that a fresh installation is not blind. Worth [`PRIOR_WEIGHT`] sign-ins.
pub(crate) const NET_PRIOR: [f32; NETS] = [0.62, 0.26, 0.06, 0.03, 0.03];
pub(crate) const DEVICE_PRIOR: [f32; DEVICES] = [0.45, 0.40, 0.03, 0.005, 0.01, 0.025, 0.03, 0.05];
const PRIOR_WEIGHT: f32 = 20.0;

/// How owners sign in, over all accounts. About 20 kB, whatever the number of people. Two of them that were counted
/// apart can be added up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Population {
    /// Sign-ins by length of history, network status and device status.
    table: [[[f32; DEVICES]; NETS]; BUCKETS],
    /// First sign-ins of their accounts, which compare with nothing.
    firsts: f32,
    pub(crate) lines: Lines,
    pub(crate) shapes: Sketch,
    pub(crate) families: Sketch,
    /// Sign-ins of which it was known whether the network hides where people are, and those where it does.
    classified: f32,
    hidden: f32,
    /// Round-trip times of people through providers that they know.
    pub(crate) rtt_usual: Spread,
    /// How a round-trip time stands to the person's own on the same provider.
    pub(crate) rtt_drift: Spread,
}

impl Population {
    /// How many completed sign-ins were counted (older ones fade).
    pub fn sign_ins(&self) -> f32 {
        self.total() + self.firsts
    }

    fn total(&self) -> f32 {
        self.table.iter().flatten().flatten().sum()
    }

    pub(crate) fn learn(&mut self, sighting: &Sighting, history: &History) {
        if history.is_empty() {
            self.firsts += 1.0;
        } else {
            let (net, device) = (status::net(sighting, history), status::device(sighting, history));
            self.table[status::bucket(history.len())][net as usize][device as usize] += 1.0;
            if matches!(net, NetStatus::SameAddress | NetStatus::KnownProvider) {
                let seen = Seen::of(history, sighting.provider());
                self.lines.learn(seen, net == NetStatus::KnownProvider);
            }
        }
        for (sketch, key) in
            [(&mut self.shapes, sighting.agent.shape), (&mut self.families, sighting.agent.family)]
        {
            if key != 0 {
                sketch.add(key);
            }
        }
        if let Some(hidden) = sighting.hidden() {
            self.classified += 1.0;
            self.hidden += f32::from(u8::from(hidden));
        }
        if let Some(rtt) = sighting.rtt_ms {
            let log = log_rtt(rtt);
            if let Some(own) = own_rtt(history, sighting.provider()) {
                self.rtt_usual.add(log);
                self.rtt_drift.add(log - own);
            }
        }
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        for (cell, more) in
            self.table.iter_mut().flatten().flatten().zip(other.table.iter().flatten().flatten())
        {
            *cell += more;
        }
        self.firsts += other.firsts;
        self.classified += other.classified;
        self.hidden += other.hidden;
        self.lines.merge(&other.lines);
        self.shapes.merge(&other.shapes);
        self.families.merge(&other.families);
        self.rtt_usual.merge(&other.rtt_usual);
        self.rtt_drift.merge(&other.rtt_drift);
        if self.sign_ins() > FADE_AT {
            self.table.iter_mut().flatten().flatten().for_each(|cell| *cell *= 0.5);
            self.firsts *= 0.5;
            self.classified *= 0.5;
            self.hidden *= 0.5;
            self.lines.halve();
            self.shapes.halve();
            self.families.halve();
            self.rtt_usual.halve();
            self.rtt_drift.halve();
        }
    }

    /// The chance that an owner's sign-in has this network status, over histories of all lengths.
    pub(crate) fn net(&self, net: NetStatus) -> f32 {
        let count: f32 = self.table.iter().map(|nets| nets[net as usize].iter().sum::<f32>()).sum();
        (count + PRIOR_WEIGHT * NET_PRIOR[net as usize]) / (self.total() + PRIOR_WEIGHT)
    }

    /// The chance that an owner's sign-in has this device status, over histories of all lengths.
    pub(crate) fn device(&self, device: DeviceStatus) -> f32 {
        let count: f32 = self.table.iter().flatten().map(|devices| devices[device as usize]).sum();
        (count + PRIOR_WEIGHT * DEVICE_PRIOR[device as usize]) / (self.total() + PRIOR_WEIGHT)
    }

    /// The chance of both together for a history of this length: backs off from the bucket to all lengths, and from
    /// there to independence, as far as each was seen.
    pub(crate) fn joint(&self, len: usize, net: NetStatus, device: DeviceStatus) -> f32 {
        let alone = self.net(net) * self.device(device);
        let both: f32 = self.table.iter().map(|nets| nets[net as usize][device as usize]).sum();
        let overall = (both + PRIOR_WEIGHT * alone) / (self.total() + PRIOR_WEIGHT);
        let bucket = &self.table[status::bucket(len)];
        let in_bucket: f32 = bucket.iter().flatten().sum();
        (bucket[net as usize][device as usize] + PRIOR_WEIGHT * overall) / (in_bucket + PRIOR_WEIGHT)
    }

    /// The chance that an owner comes through a network that hides where people are.
    pub(crate) fn hidden(&self) -> f32 {
        (self.hidden + 1.0) / (self.classified + 50.0)
    }

    /// The form to store; versioned.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(MAGIC, VERSION);
        self.table.iter().flatten().flatten().for_each(|cell| out.f32(*cell));
        out.f32(self.firsts);
        out.f32(self.classified);
        out.f32(self.hidden);
        self.lines.write(&mut out);
        self.shapes.write(&mut out);
        self.families.write(&mut out);
        self.rtt_usual.write(&mut out);
        self.rtt_drift.write(&mut out);
        out.finish()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// If it is of another version, cut, too long, or holds what is no count.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CorruptState> {
        let mut input = Reader::new(bytes, MAGIC, VERSION)?;
        let mut read = Self::default();
        for cell in read.table.iter_mut().flatten().flatten() {
            *cell = input.count()?;
        }
        read.firsts = input.count()?;
        read.classified = input.count()?;
        read.hidden = input.count()?;
        read.lines = Lines::read(&mut input)?;
        read.shapes = Sketch::read(&mut input)?;
        read.families = Sketch::read(&mut input)?;
        read.rtt_usual = Spread::read(&mut input)?;
        read.rtt_drift = Spread::read(&mut input)?;
        input.end()?;
        Ok(read)
    }
}

/// The natural logarithm of a round-trip time in milliseconds.
pub(crate) fn log_rtt(rtt_ms: u32) -> f32 {
    f32::from(u16::try_from(rtt_ms.max(1)).unwrap_or(u16::MAX)).ln()
}

/// The mean of the person's own (logarithms of) round-trip times on a provider, from at least three.
pub(crate) fn own_rtt(history: &History, provider: u64) -> Option<f32> {
    let own = history.past.iter().filter(|past| past.provider == provider && past.rtt_ms > 0);
    let (sum, count) =
        own.fold((0.0, 0.0), |(sum, count), past| (sum + f32::from(past.rtt_ms).ln(), count + 1.0));
    (count >= 3.0).then(|| sum / count)
}

/// Mean and variance of numbers that are added one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Spread {
    count: f32,
    sum: f32,
    squares: f32,
}

impl Spread {
    fn add(&mut self, value: f32) {
        self.count += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    /// Mean and standard deviation, starting from a guess that is worth 20 numbers.
    pub(crate) fn normal(&self, mean: f32, deviation: f32) -> (f32, f32) {
        let count = self.count + 20.0;
        let found = (self.sum + 20.0 * mean) / count;
        let squares = (self.squares + 20.0 * (mean * mean + deviation * deviation)) / count;
        (found, (squares - found * found).max(0.01).sqrt())
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    fn halve(&mut self) {
        self.count *= 0.5;
        self.sum *= 0.5;
        self.squares *= 0.5;
    }

    fn write(&self, out: &mut Writer) {
        out.f32(self.count);
        out.f32(self.sum);
        out.f32(self.squares);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, CorruptState> {
        Ok(Self { count: input.count()?, sum: input.f32()?, squares: input.count()? })
    }
}
