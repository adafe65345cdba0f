use proptest::prelude::*;

use super::*;
use crate::context::ContextKind;

const PLACE: Context<'static> = Context {
    deployment: &[9; 16],
    kind: ContextKind::Field,
    table: "accounts",
    column: "email",
    row: &[2; 16],
    subject: &[3; 16],
};
const REF: KeyRef = KeyRef([4; 16]);

fn key(byte: u8) -> LockedKey {
    LockedKey::from_bytes(&mut [byte; 32])
}

fn record(plaintext: &[u8]) -> Vec<u8> {
    seal(&key(1), REF, &PLACE, plaintext, &Entropy::seeded(3))
}

#[test]
fn the_record_starts_as_documented() {
    let record = record(b"hello");
    assert_eq!(record[..3], [0xF7, 1, 1]);
    assert_eq!(record[3..19], REF.0);
    assert_eq!(record.len(), 19 + 24 + 32 + 5 + 16);
    assert_eq!(key_ref(&record), Ok(REF));
}

#[test]
fn sealing_twice_gives_two_records() {
    let entropy = Entropy::seeded(1);
    assert_ne!(seal(&key(1), REF, &PLACE, b"x", &entropy), seal(&key(1), REF, &PLACE, b"x", &entropy));
}

#[test]
fn a_record_opens_only_in_its_place_and_with_its_key() {
    let record = record(b"hello");
    assert_eq!(**open(&key(1), &PLACE, &record).unwrap(), *b"hello");
    let elsewhere = [
        Context { deployment: &[8; 16], ..PLACE },
        Context { kind: ContextKind::Token, ..PLACE },
        Context { kind: ContextKind::Key, ..PLACE },
        Context { table: "account", ..PLACE },
        Context { column: "name", ..PLACE },
        Context { row: &[1; 16], ..PLACE },
        Context { subject: &[1; 16], ..PLACE },
        Context { subject: &[], ..PLACE },
        Context { table: "accountsemail", column: "", ..PLACE },
    ];
    for place in elsewhere {
        assert_eq!(open(&key(1), &place, &record).err(), Some(Broken::Commitment.into()), "{place:?}");
    }
    assert_eq!(open(&key(2), &PLACE, &record).err(), Some(Broken::Commitment.into()));
}

#[test]
fn unknown_formats_are_told_apart() {
    let with = |at: usize, byte: u8| {
        let mut changed = record(b"hello");
        changed[at] = byte;
        open(&key(1), &PLACE, &changed).err()
    };
    assert_eq!(with(0, 0x7B), Some(OpenError::NotARecord));
    assert_eq!(with(1, 2), Some(OpenError::UnknownVersion(2)));
    assert_eq!(with(2, 0), Some(OpenError::UnknownSuite(0)));
    assert_eq!(key_ref(b""), Err(OpenError::NotARecord));
}

#[test]
fn streams_and_records_are_one_format() {
    let plain = vec![5; 40_000];
    let (mut streamed, mut sealer) = sealer(&key(1), REF, &PLACE, &Entropy::seeded(3));
    sealer.update(&plain, &mut streamed);
    sealer.finish(&mut streamed);
    assert_eq!(streamed, record(&plain));
    let (start, rest) = streamed.split_at(PREFIX + cobblestone::HEADER);
    let mut opener = opener(&key(1), &PLACE, start).unwrap();
    let mut out = Vec::new();
    opener.update(rest, &mut out).unwrap();
    opener.finish(&mut out).unwrap();
    assert_eq!(out, plain);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_sealed_opens(length in 0..40_000_usize, byte in any::<u8>()) {
        let plain = vec![byte; length];
        prop_assert_eq!(&**open(&key(1), &PLACE, &record(&plain)).unwrap(), &plain);
    }

    #[test]
    fn any_flipped_bit_is_noticed(
        plain in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let mut changed = record(&plain);
        let at = at.index(changed.len());
        changed[at] ^= 1 << bit;
        prop_assert!(open(&key(1), &PLACE, &changed).is_err());
    }

    #[test]
    fn any_cut_or_addition_is_noticed(
        length in 0..40_000_usize,
        cut in any::<prop::sample::Index>(),
        more in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let record = record(&vec![7; length]);
        prop_assert!(open(&key(1), &PLACE, &record[..cut.index(record.len())]).is_err());
        prop_assert!(open(&key(1), &PLACE, &[record, more].concat()).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = key_ref(&bytes);
        prop_assert!(open(&key(1), &PLACE, &bytes).is_err());
        let framed = [&[MAGIC, VERSION, SUITE_COBBLESTONE_256][..], &bytes].concat();
        prop_assert!(open(&key(1), &PLACE, &framed).is_err());
        prop_assert!(opener(&key(1), &PLACE, &framed).is_err());
    }
}
