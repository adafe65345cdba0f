use http::{HeaderMap, HeaderValue, Version};
use proptest::prelude::*;

use crate::*;

fn parse(target: &str) -> Result<CanonicalTarget, Malformed> {
    CanonicalTarget::parse(target, &TargetLimits::default())
}

fn path(target: &str) -> String {
    parse(target).unwrap_or_else(|e| panic!("{target}: {e}")).path().to_owned()
}

#[test]
fn paths_become_canonical() {
    for (given, wanted) in [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("//a///b//", "/a/b/"),
        ("/./a/./b/.", "/a/b/"),
        ("/a/b/../c", "/a/c"),
        ("/a/b/..", "/a/"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/%61%7e%2D", "/a~-"),
        ("/a%3bb;c", "/a%3Bb;c"),
        ("/100%25%20caf%c3%a9", "/100%25%20caf%C3%A9"),
        ("/caf\u{e9}", "/caf%C3%A9"),
        ("/{id}\"<>|^`[]", "/%7Bid%7D%22%3C%3E%7C%5E%60%5B%5D"),
        ("/...", "/..."),
        ("/..a/.b", "/..a/.b"),
        ("/a+b", "/a+b"),
    ] {
        assert_eq!(path(given), wanted, "{given}");
    }
}

#[test]
fn ambiguous_paths_are_refused() {
    use Malformed as M;
    for (given, wanted) in [
        ("", M::NotOriginForm),
        ("*", M::NotOriginForm),
        ("a/b", M::NotOriginForm),
        ("http://x/", M::NotOriginForm),
        ("/%", M::BadEscape("path")),
        ("/%4", M::BadEscape("path")),
        ("/%zz", M::BadEscape("path")),
        ("/%+1", M::BadEscape("path")),
        ("/%u0041", M::BadEscape("path")),
        ("/a%00b", M::ControlCharacter("path")),
        ("/a\0b", M::ControlCharacter("path")),
        ("/a%0d%0ab", M::ControlCharacter("path")),
        ("/a%7f", M::ControlCharacter("path")),
        ("/a%c2%85", M::ControlCharacter("path")),
        ("/a\\b", M::Backslash),
        ("/a%5cb", M::EncodedSeparator),
        ("/a%2fb", M::EncodedSeparator),
        ("/..%2f..%2fetc", M::EncodedSeparator),
        ("/a%252fb", M::DoubleEncoding),
        ("/a%25252Fb", M::DoubleEncoding),
        ("/%252e%252e/b", M::DoubleEncoding),
        ("/a%255cb", M::DoubleEncoding),
        ("/a%2500", M::DoubleEncoding),
        ("/..", M::Climbs),
        ("/a/../..", M::Climbs),
        ("/%2e%2e/etc/passwd", M::Climbs),
        ("/..;/admin", M::Climbs),
        ("/a/..;x=1/b", M::Climbs),
        ("/a/%2e%2e%3b/b", M::Climbs),
        ("/%c0%ae%c0%ae/x", M::NotUtf8("path")),
        ("/%c0%af", M::NotUtf8("path")),
        ("/%ff", M::NotUtf8("path")),
        ("/%ed%a0%80", M::NotUtf8("path")),
        ("/a b", M::RawCharacter("path")),
        ("/a#b", M::RawCharacter("path")),
    ] {
        assert_eq!(parse(given), Err(wanted), "{given:?}");
    }
}

#[test]
fn limits_hold() {
    let limits = TargetLimits { bytes: 20, segments: 3, parameters: 2, ..TargetLimits::default() };
    let parse = |target: &str| CanonicalTarget::parse(target, &limits);
    assert!(parse("/a/b/c?x=1&y=2").is_ok());
    assert_eq!(parse("/a/b/c/d"), Err(Malformed::TooManySegments(3)));
    assert_eq!(parse("/a/../a/.."), Err(Malformed::TooManySegments(3)));
    assert_eq!(parse("/?a&b&c"), Err(Malformed::TooManyParameters(2)));
    assert!(parse("/?&&&&a&&b").is_ok());
    assert_eq!(parse("/aaaaaaaaaaaaaaaaaaaa"), Err(Malformed::TargetTooLong(20)));
    assert_eq!(Malformed::TargetTooLong(20).problem().status(), 414);
}

#[test]
fn separators_pass_only_where_allowed_and_never_with_dots() {
    let limits = TargetLimits {
        allow_encoded_separators: true,
        allow_double_encoding: true,
        ..TargetLimits::default()
    };
    let target = CanonicalTarget::parse("/files/a%2fb%252f", &limits).unwrap();
    assert_eq!(target.path(), "/files/a%2Fb%252f");
    assert_eq!(target.segments(), ["files", "a/b%2f"]);
    for climbs in ["/files/a%2f..%2fb", "/files/..%2f", "/files/..%5cx", "/files/a%2f.%2e", "/x%2f..;y"] {
        assert_eq!(CanonicalTarget::parse(climbs, &limits), Err(Malformed::Climbs), "{climbs}");
    }
}

#[test]
fn queries_are_decoded_for_us_and_forwarded_as_given() {
    let target = parse("/a?q=caf%C3%A9+%26&empty&&x=1=2&lyrics=la%0Ala").unwrap();
    assert_eq!(target.query(), Some("q=caf%C3%A9+%26&empty&&x=1=2&lyrics=la%0Ala"));
    let pairs: Vec<_> = target.parameters().iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(pairs, [("q", "café &"), ("empty", ""), ("x", "1=2"), ("lyrics", "la\nla")]);
    assert_eq!(target.path_and_query(), "/a?q=caf%C3%A9+%26&empty&&x=1=2&lyrics=la%0Ala");
    assert_eq!(parse("/a?").unwrap().path_and_query(), "/a?");
    assert_eq!(parse("/a?x=%"), Err(Malformed::BadEscape("query")));
    assert_eq!(parse("/a?x=%00"), Err(Malformed::ControlCharacter("query")));
    assert_eq!(parse("/a?x=%ff"), Err(Malformed::NotUtf8("query")));
    assert_eq!(parse("/a?x=\r\n"), Err(Malformed::ControlCharacter("query")));
}

#[test]
fn hosts_are_parsed() {
    for (given, wanted) in [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("example.com:8080", "example.com:8080"),
        ("example.com:", "example.com"),
        ("xn--caf-dma.example", "xn--caf-dma.example"),
        ("localhost", "localhost"),
        ("my_service:80", "my_service:80"),
        ("127.0.0.1:9", "127.0.0.1:9"),
        ("[::1]:443", "[::1]:443"),
        ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
    ] {
        assert_eq!(Host::parse(given).map(|h| h.to_string()).as_deref(), Ok(wanted), "{given}");
    }
    let long_label = "a".repeat(64);
    let long = "a.".repeat(127) + "example";
    for wrong in [
        "",
        ".",
        ":80",
        "a..b",
        "user@host",
        "a b",
        " a",
        "a/b",
        "a?b",
        "a#b",
        "a%41",
        "a,b",
        "a\0",
        "a\tb",
        "a\\b",
        "::1",
        "[::1",
        "[::1]x",
        "[::1]x:80",
        "[fe80::1%25eth0]",
        "[1.2.3.4]",
        "a:80:90",
        "a:65536",
        "a:-1",
        "a:+1",
        "a:8 0",
        "1.2.3",
        "2130706433",
        "0x7f000001",
        "1.2.3.256",
        "a.0x7f",
        "-a",
        "a-",
        "caf\u{e9}",
        "a.example..",
        &long_label,
        &long,
    ] {
        assert_eq!(Host::parse(wrong), Err(Malformed::Host), "{wrong:?}");
    }
    assert!(HostName::parse("a:80").is_err());
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(*name, HeaderValue::from_static(value));
    }
    map
}

#[test]
fn heads_are_checked() {
    let limits = HeadLimits { fields: 4, bytes: 60 };
    let check =
        |version, fields: &[(&'static str, &'static str)]| check_headers(&headers(fields), version, &limits);
    let (v10, v11, v2) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
    let host = ("host", "a");
    assert_eq!(check(v11, &[host, ("content-length", "5")]), Ok(()));
    assert_eq!(check(v11, &[host, ("transfer-encoding", "Chunked")]), Ok(()));
    assert_eq!(check(v2, &[("te", "trailers"), ("cookie", "a"), ("cookie", "b")]), Ok(()));
    assert_eq!(check(v10, &[]), Ok(()));
    use Malformed as M;
    for (version, fields, wanted) in [
        (v11, &[][..], M::HostMissing),
        (v11, &[host, ("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")], M::TooManyHeaders(4)),
        (
            v11,
            &[host, ("a", "0123456789012345678901234567890123456789012345678901234567890")],
            M::HeadersTooLong(60),
        ),
        (v11, &[host, host], M::DuplicateHeader("Host")),
        (
            v11,
            &[host, ("content-length", "5"), ("content-length", "5")],
            M::DuplicateHeader("Content-Length"),
        ),
        (v11, &[host, ("authorization", "a"), ("authorization", "b")], M::DuplicateHeader("Authorization")),
        (v11, &[host, ("content-type", "a"), ("content-type", "b")], M::DuplicateHeader("Content-Type")),
        (v11, &[host, ("transfer-encoding", "chunked"), ("content-length", "5")], M::LengthConflict),
        (v11, &[host, ("transfer-encoding", "gzip, chunked")], M::TransferEncoding),
        (v11, &[host, ("transfer-encoding", "xchunked")], M::TransferEncoding),
        (v10, &[host, ("transfer-encoding", "chunked")], M::TransferEncoding),
        (v2, &[("transfer-encoding", "chunked")], M::TransferEncoding),
        (v11, &[host, ("content-length", "+5")], M::ContentLength),
        (v11, &[host, ("content-length", "5, 5")], M::ContentLength),
        (v11, &[host, ("content-length", "")], M::ContentLength),
        (v11, &[host, ("content-length", "99999999999999999999")], M::ContentLength),
        (v2, &[("connection", "close")], M::ConnectionHeader("Connection")),
        (v2, &[("te", "gzip")], M::ConnectionHeader("TE")),
    ] {
        assert_eq!(check(version, fields), Err(wanted), "{fields:?}");
    }
    assert_eq!(M::TooManyHeaders(4).problem().status(), 431);
}

#[test]
fn underscored_fields_are_stripped() {
    let mut map = headers(&[("x_user", "root"), ("x_user", "toor"), ("x-user", "ada"), ("_", "x")]);
    assert_eq!(strip_underscored(&mut map), 2);
    assert_eq!(map, headers(&[("x-user", "ada")]));
}

/// Pieces that parsers stumble over, so that random text meets them often.
fn tricky() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/".to_owned()),
        Just(".".to_owned()),
        Just("..".to_owned()),
        Just("%".to_owned()),
        "%[0-9a-fA-F]{2}",
        Just("%25".to_owned()),
        Just("%2e".to_owned()),
        Just("%2F".to_owned()),
        Just("%5c".to_owned()),
        Just("\\".to_owned()),
        Just(";".to_owned()),
        Just("?".to_owned()),
        Just("&".to_owned()),
        "[a-z0-9]{1,3}",
        "\\PC{1,2}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| "/".to_owned() + &pieces.concat())
}

proptest! {
    #[test]
    fn canonical_form_is_stable_and_does_not_climb(target in tricky(), separators: bool, double: bool) {
        let limits = TargetLimits {
            allow_encoded_separators: separators,
            allow_double_encoding: double,
            ..TargetLimits::default()
        };
        if let Ok(once) = CanonicalTarget::parse(&target, &limits) {
            let twice = CanonicalTarget::parse(&once.path_and_query(), &limits);
            prop_assert_eq!(twice.as_ref(), Ok(&once));
            prop_assert!(once.path().starts_with('/') && once.path().is_ascii() && !once.path().contains("//"));
            for segment in once.segments() {
                prop_assert!(segment.split(['/', '\\']).all(|part| part != ".." && part != "."), "{segment}");
            }
            prop_assert!(once.path().split('/').all(|part| part != ".." && part != "."));
            prop_assert_eq!(once.path().split('/').filter(|s| !s.is_empty()).count(), once.segments().len());
            // The form can be forwarded.
            prop_assert!(once.path().parse::<http::Uri>().is_ok());
        }
    }

    #[test]
    fn nothing_panics(text in any::<String>()) {
        let _ = parse(&text);
        let _ = parse(&format!("/{text}"));
        if let Ok(host) = Host::parse(&text) {
            prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
        }
    }

    #[test]
    fn hosts_print_as_they_parse(text in "[a-zA-Z0-9.:\\[\\]-]{0,20}") {
        if let Ok(host) = Host::parse(&text) {
            prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
        }
    }
}
